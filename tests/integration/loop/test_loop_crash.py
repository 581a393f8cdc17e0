"""A controller that was killed: the next one adopts, finishes, and doubles nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.decide.report import Outcome
from orchestrator.store.sqlite import SqliteStore
from tests.worlds.house import FLEET, NAMES, finish
from tests.worlds.memory import (
    eventually,
)


async def test_a_new_controller_adopts_what_runs(house):
    async with house.controlled():
        await house.apply()
    lives = {name: each.id for name, each in house.machine.instances.items()}
    for _ in range(3):
        async with house.controlled() as controller:
            outcome = await finish(controller.wait(None, deadline=timedelta(seconds=5)))
            assert outcome.ready
    assert {name: each.id for name, each in house.machine.instances.items()} == lives


async def test_an_apply_that_was_cut_off_after_its_revision_is_finished_by_the_next_controller(
    house,
):
    async with house.controlled():
        await house.apply()
    with SqliteStore.open(house.folder / "state.db") as store:
        current = store.current()
        text = FLEET.replace("period: 20", "period: 30")
        sources = ((current.sources[0][0], text),)
        store.save(replace(current, number=2, sources=sources), expect=1)
    async with house.controlled() as controller:
        outcome = await finish(controller.wait(None, deadline=timedelta(seconds=5)))
        assert outcome.ready
        assert isinstance(outcome, Outcome)
        assert outcome.revision == 2
        await eventually(lambda: house.machine.file("bollinger").config["period"] == 30)


async def test_a_damaged_newest_revision_is_told_and_the_one_before_is_not_gone_back_to(house):
    async with house.controlled():
        await house.apply()
        await house.apply(FLEET.replace("lookback: 14", "lookback: 15"))
        house.damage("revisions", 2)
    begun = len(house.machine.history)
    async with house.controlled():
        whole = await house.condition("StoreWhole")
        assert (whole.status, whole.reason) == (False, "Damaged")
        assert "revisions 2: its checksum does not fit" in whole.message
        await house.passes(3)
        assert {what for what, _ in house.machine.history[begun:]} <= {"halt"}
        assert house.machine.file("momentum").config["lookback"] == 15
        _, _, outcome = await house.apply(FLEET.replace("lookback: 14", "lookback: 16"))
        assert (outcome.ready, outcome.revision) == (True, 2)


@pytest.mark.parametrize("passes", range(1, 12))
async def test_killed_after_any_number_of_passes_it_starts_everybody_exactly_once(house, passes):
    house.machine.slow_start_s = 0.003
    async with house.controlled():
        await house.apply(wait=False)
    for _ in range(40):
        async with house.controlled():
            await house.passes(passes)
        if house.machine.running() >= NAMES:
            break
    async with house.controlled() as controller:
        outcome = await finish(controller.wait(None, deadline=timedelta(seconds=8)))
        assert outcome.ready
    assert house.machine.doubles == 0
    assert {name: house.starts(name) for name in NAMES} == dict.fromkeys(NAMES, 1)
