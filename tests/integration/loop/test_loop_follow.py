"""Files that are followed: every edit that is whole and valid is applied, no other."""

import asyncio
import os
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.app.edits import Edits
from orchestrator.errors import ActionError
from orchestrator.settings import find
from orchestrator.store.sqlite import SqliteStore
from tests.worlds.house import FLEET, NAMES, House, finish
from tests.worlds.memory import eventually

OTHER = FLEET.replace("period: 20", "period: 30")
BROKEN = FLEET.replace("config: {period", "confg: {period")


class Desk(House):
    """A house whose folder has a plugins.yaml that is followed."""

    def __init__(self, folder):
        super().__init__(folder / "state" / "desk")
        self.file = folder / "plugins.yaml"
        self.env = folder / ".env"
        self.looks = 0
        settings = find([str(self.file)], project="desk")
        edits = Edits(settings, [str(self.file)], named=False)

        def look():
            self.looks += 1
            return edits()

        self.followed = look

    def save(self, text):
        """Write as careful editors do: by renaming."""
        fresh = self.file.with_name("plugins.yaml.new")
        fresh.write_text(text)
        fresh.replace(self.file)

    async def runs(self, *, revision, period=20):
        await eventually(lambda: self.controller._rooms.desk.book.revision == revision)
        outcome = await finish(self.controller.wait(None, deadline=timedelta(seconds=8)))
        assert outcome.ready, outcome.waiting
        assert self.machine.file("bollinger").config["period"] == period

    async def said(self, reason):
        """Wait for the condition to have that reason; return its message."""
        ends = asyncio.get_running_loop().time() + 30
        while True:
            found = await self.condition("FileFollowed")
            if found is not None and found.reason == reason:
                return found.message
            assert asyncio.get_running_loop().time() < ends, found
            await asyncio.sleep(0.005)

    def file_events(self):
        found = self.store.events(name="", limit=1000)
        return [each.reason for each in found if "FileFollowed: " in each.message]

    async def until_launched(self, name, count):
        await eventually(lambda: self.starts(name) == count)
        await self.until(name, lambda status: status.ready)

    async def looked(self):
        """Return when what is there now was looked at until it counted as settled, and longer."""
        await self.looks_on(int(self.tempo.unfinished / self.tempo.follow))

    async def looks_on(self, often=50):
        before = self.looks
        await eventually(lambda: self.looks > before + often)

    async def revisions(self):
        return [each.number for each in await self.controller.revisions()]


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


async def test_the_file_is_applied_at_the_start_and_each_edit_after_it(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        await eventually(lambda: desk.machine.running() == NAMES | {"broker"})
        before = len(desk.machine.history)
        desk.save(OTHER)
        await desk.runs(revision=2, period=30)
        assert desk.machine.history[before:] == [("stop", "bollinger"), ("start", "bollinger")]
        assert (await desk.condition("FileFollowed")).status is True


async def test_a_broken_edit_is_a_condition_with_its_place_until_the_next_good_one(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        before = list(desk.machine.history)
        desk.save(BROKEN)
        message = await desk.said("FileInvalid")
        assert "plugins.yaml:8:7: unknown field 'confg'" in message
        assert "fix:" in message
        desk.save(BROKEN.replace("confg", "konfig"))
        await eventually(lambda: desk.file_events() == ["FileInvalid", "FileInvalid"])
        assert desk.machine.history == before
        desk.save(OTHER)
        await desk.runs(revision=2, period=30)
        assert await desk.said("Applied") == ""


async def test_a_file_that_goes_away_stops_nothing(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        desk.file.unlink()
        assert "plugins.yaml: the file does not exist" in await desk.said("FileInvalid")
        assert desk.machine.running() == NAMES | {"broker"}
        desk.save(FLEET)
        await desk.said("Applied")
        assert await desk.revisions() == [1]


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        ("", "FileInvalid", "the file is empty"),
        ("plugins: {strategies: []}\n", "GuardedDeletion", "it declares no plugin at all"),
        (FLEET[: FLEET.index("  strategies:")], "GuardedDeletion", "it stops 3 of the 4"),
        (FLEET[: FLEET.index("    - name: paper") + 15], "GuardedDeletion", "cut off"),
    ],
)
async def test_a_file_that_deletes_much_waits_for_a_second_word(desk, text, reason, words):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        desk.save(text)
        assert words in await desk.said(reason)
        assert desk.machine.running() == NAMES | {"broker"}


async def test_a_second_word_by_hand_clears_the_condition(desk):
    desk.save(FLEET)
    less = FLEET[: FLEET.index("  strategies:")]
    async with desk.controlled():
        await desk.runs(revision=1)
        desk.save(less)
        await desk.said("GuardedDeletion")
        settings = dict(desk.followed().settings)
        await desk.apply(less, settings=settings, allow_deletes=True)
        await desk.said("Applied")
        assert await desk.revisions() == [1, 2]


async def test_an_edit_that_is_still_written_is_not_applied(desk):
    desk.save(FLEET)
    half = FLEET[: FLEET.index("    - name: momentum")]
    whole = FLEET.replace("lookback: 14", "lookback: 15")
    desk.tempo = replace(desk.tempo, settled=timedelta(seconds=1))
    async with desk.controlled():
        await desk.runs(revision=1)
        with desk.file.open("w") as file:
            # Valid YAML at each step, and each step is seen; none stays long enough.
            for text in (half, *whole[len(half) :].splitlines(keepends=True)):
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                seen = desk.looks
                await eventually(lambda seen=seen: desk.looks > seen + 1)
        await desk.runs(revision=2)
        assert desk.machine.file("momentum").config == {"lookback": 15}
        assert desk.machine.history.count(("stop", "momentum")) == 1


async def test_a_last_line_without_its_end_is_given_more_time(desk):
    desk.tempo = replace(desk.tempo, unfinished=timedelta(hours=1))
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        desk.save(OTHER.rstrip("\n"))
        await desk.looks_on()
        assert await desk.revisions() == [1]
        desk.save(OTHER)
        await desk.runs(revision=2, period=30)


async def test_a_restart_takes_up_nothing_twice(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        await desk.said("Applied")
    before = list(desk.machine.history)
    desk.catalog.digests["bollinger"] = "sha256:newer"
    async with desk.controlled():
        await desk.said("Applied")
        await desk.looked()
        assert desk.machine.history == before, "only an apply moves what a plugin resolves to"
        assert await desk.revisions() == [1]


async def test_an_edit_while_no_controller_ran_is_taken_up(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
    desk.save(OTHER)
    async with desk.controlled():
        await desk.runs(revision=2, period=30)


async def test_what_was_applied_by_hand_stays_until_the_next_edit(desk):
    desk.save(FLEET)
    by_hand = FLEET.replace("period: 20", "period: 40")
    async with desk.controlled():
        await desk.runs(revision=1)
        await desk.apply(by_hand)
        await desk.looked()
        await desk.runs(revision=2, period=40)
    async with desk.controlled():
        await desk.said("Applied")
        await desk.looked()
        await desk.runs(revision=2, period=40)
        desk.save(OTHER)
        await desk.runs(revision=3, period=30)


async def test_a_secret_in_the_dotenv_is_an_edit_too_also_while_nobody_looked(desk):
    desk.env.write_text("KEY=one\n")
    desk.save(FLEET.replace("lookback: 14", 'lookback: 14, key: "${KEY}"'))
    async with desk.controlled():
        await desk.until_launched("momentum", 1)
        desk.env.write_text("KEY=two\n")
        await desk.until_launched("momentum", 2)
        await desk.said("Applied")
    desk.env.write_text("KEY=three\n")
    async with desk.controlled():
        await desk.until_launched("momentum", 3)
        assert "two" not in str(desk.store.setting("followed"))
        assert desk.starts("bollinger") == 1


async def test_a_setting_in_the_dotenv_is_an_edit_and_a_mistake_in_it_is_told(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        desk.env.write_text("PLUGIN_MAX_MEMORY=64MB\n")
        await desk.runs(revision=2)
        desk.env.write_text("PLUGIN_SANDBOX=false\n")
        assert "--no-sandbox" in await desk.said("FileInvalid")
        desk.env.write_text("PLUGIN_MAX_MEMORY=a lot\n")
        await eventually(lambda: len(desk.file_events()) == 2)
        assert "PLUGIN_MAX_MEMORY" in await desk.said("FileInvalid")
        desk.env.write_text("PLUGIN_SANDBOX=maybe\n")
        desk.save(BROKEN)
        await eventually(lambda: len(desk.file_events()) >= 3)
        message = await desk.said("FileInvalid")
        assert "PLUGIN_SANDBOX was 'maybe'" in message
        assert "unknown field 'confg'" in message


async def test_another_name_in_the_file_is_another_project(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        desk.save("name: night\n" + FLEET)
        assert "names the project 'night'" in await desk.said("FileInvalid")
        assert await desk.revisions() == [1]


async def test_a_runtime_that_is_away_delays_an_edit_only(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        desk.machine.away = True
        await eventually(lambda: desk.controller._loop.observed.instances is None)
        desk.save(OTHER)
        await desk.looked()
        assert await desk.revisions() == [1]
        desk.machine.away = False
        await desk.runs(revision=2, period=30)


async def test_while_all_is_taken_down_nothing_is_taken_up(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        async for _ in desk.controller.down(delete_data=False, deadline=timedelta(seconds=8)):
            desk.save(OTHER)
        await eventually(lambda: desk.ended is not None)
        assert desk.machine.instances == {}
        with pytest.raises(ActionError, match="taken down"):
            await desk.apply(OTHER)


async def test_an_edit_that_a_bug_is_met_with_ends_nobody(desk):
    class OddError(Exception):
        """None of ours."""

    resolve = desk.catalog.resolve

    async def struck(wanted):
        if any(each.name == "odd" for each in wanted):
            raise OddError("what nobody thought of")
        return await resolve(wanted)

    desk.catalog.resolve = struck
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        desk.save(FLEET.replace("name: bollinger", "name: odd"))
        assert await desk.said("Bug")
        desk.save(OTHER)
        await desk.runs(revision=2, period=30)


async def test_an_edit_whose_revision_was_lost_is_applied_again(desk):
    desk.save(FLEET)
    async with desk.controlled():
        await desk.runs(revision=1)
        first = desk.store.setting("desired")
        desk.save(OTHER)
        await desk.runs(revision=2, period=30)
        await desk.said("Applied")
        taken_up = desk.store.setting("followed")
    # What a store that writes one thing after the other has kept, where it ended in between.
    with sqlite3.connect(desk.folder / "state.db") as state:
        state.execute("DELETE FROM revisions WHERE number = 2")
    with SqliteStore.open(desk.folder / "state.db") as store:
        store.set("desired", first)
        assert store.setting("followed") == taken_up
        assert store.current().number == 1
    async with desk.controlled():
        await desk.runs(revision=2, period=30)
