"""An entry that moves from one PluginSet to another is in neither of them between the two requests."""

from dataclasses import replace

import pytest

from orchestrator.app import on_cluster
from orchestrator.controller.outside import Edit
from tests.worlds.house import FLEET, NAMES, House
from tests.worlds.memory import eventually

PAPER = FLEET[FLEET.index("  executors:") :]
MOMENTUM = FLEET[FLEET.index("    - name: momentum") : FLEET.index("  executors:")]
WITHOUT = FLEET.replace(MOMENTUM, "")
OTHER = f"plugins:\n  strategies:\n{MOMENTUM}"


def both(desk, other):
    return Edit(sources=(("desk", desk), ("other", other)))


class Namespace(House):
    """Its two PluginSets are looked at as often as those of a cluster, and count when those would."""

    def __init__(self, folder):
        super().__init__(folder)
        self.tempo = replace(
            self.tempo, follow=on_cluster.TEMPO.follow, settled=on_cluster.TEMPO.settled
        )
        self.coming = []
        self.now = both(WITHOUT, OTHER)
        self.followed = self.look

    def look(self):
        if self.coming:
            self.now = self.coming.pop(0)
        return self.now


@pytest.mark.parametrize("looks", [1, 3], ids=["right after each other", "with a pause"])
async def test_an_entry_that_moves_is_stopped_only_where_the_state_between_stays(tmp_path, looks):
    house = Namespace(tmp_path / "state" / "desk")
    async with house.controlled():
        await eventually(lambda: house.machine.running() == NAMES | {"broker"})
        house.coming = [both(WITHOUT.replace(PAPER, ""), OTHER)] * looks + [
            both(WITHOUT.replace(PAPER, ""), OTHER + PAPER)
        ]
        last = house.coming[-1].sources
        await eventually(lambda: house.store.current().sources == last)
        await eventually(lambda: house.machine.running() == NAMES | {"broker"})
        assert house.starts("paper") == (1 if looks == 1 else 2)


async def test_an_entry_that_is_written_to_the_other_first_is_refused_and_nothing_stops(tmp_path):
    house = Namespace(tmp_path / "state" / "desk")
    async with house.controlled():
        await eventually(lambda: house.machine.running() == NAMES | {"broker"})
        before = [*house.machine.history]
        house.coming = [both(WITHOUT, OTHER + PAPER)] * 3
        await eventually(lambda: not house.coming)
        house.coming = [both(WITHOUT.replace(PAPER, ""), OTHER + PAPER)]
        last = house.coming[-1].sources
        await eventually(lambda: house.store.current().sources == last)
        assert house.machine.history == before
        events = house.store.events(name="", limit=100)
        assert any(each.reason == "FileInvalid" and "paper" in each.message for each in events)
