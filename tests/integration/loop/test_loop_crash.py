"""A controller that was killed: the next one adopts, finishes, and doubles nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.decide.report import Outcome
from orchestrator.errors import ConflictError, UnreachableError
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
        assert (outcome.ready, outcome.revision) == (True, 3)
        text = FLEET.replace("lookback: 14", "lookback: 17")
        with pytest.raises(ConflictError, match="revision 3 is applied, your plan was made for 2"):
            await house.apply(text, expect=2)  # of the one that is damaged
        assert house.machine.file("momentum").config["lookback"] == 16


async def test_an_apply_that_was_cut_off_after_a_damaged_revision_is_finished(house):
    async with house.controlled():
        await house.apply()
        await house.apply(FLEET.replace("lookback: 14", "lookback: 15"))
        house.damage("revisions", 2)
    async with house.controlled():
        house.store.cut_off = "desired"
        with pytest.raises(UnreachableError):
            await house.apply(FLEET.replace("lookback: 14", "lookback: 16"))
    async with house.controlled():
        await eventually(lambda: house.machine.file("momentum").config["lookback"] == 16)


async def test_where_what_was_wanted_is_damaged_too_nothing_older_is_taken_for_it(house):
    async with house.controlled() as controller:
        await house.apply()
        await house.apply(FLEET.replace("lookback: 14", "lookback: 15"))
        await finish(controller.halt([], flatten=None, wait=True, deadline=timedelta(seconds=5)))
        house.damage("revisions", 2)
        house.damage("settings", "desired")
    begun = len(house.machine.history)
    for _ in range(2):
        async with house.controlled() as controller:
            valid = await house.condition("ConfigValid")
            assert (valid.status, valid.reason) == (False, "Damaged")
            assert "revision 1 is older; what runs is left as it is" in valid.message
            await house.passes(3)
            # A person has said who is halted, and yet nobody knows what is wanted.
            items = controller.halt([], flatten=None, wait=True, deadline=timedelta(seconds=5))
            await finish(items)
            assert not (await house.condition("StoreWhole")).status
    assert house.machine.history[begun:] == []
    assert house.machine.file("momentum").config["lookback"] == 15
    async with house.controlled():
        _, _, outcome = await house.apply(FLEET.replace("lookback: 14", "lookback: 16"))
        assert outcome.revision == 3
        assert (await house.condition("ConfigValid")).status


async def test_where_only_what_was_wanted_is_damaged_the_newest_revision_says_it(house):
    async with house.controlled():
        await house.apply()
        house.damage("settings", "desired")
    async with house.controlled():
        await eventually(lambda: house.controller._rooms.desk.book.revision == 1)
        assert house.machine.instances.keys() >= NAMES


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
