"""Whoever does not answer makes a condition, never an action."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.decide.state import Exit, Phase
from orchestrator.errors import ConflictError, UnreachableError
from tests.worlds.house import FLEET, NAMES, TEMPO, finish
from tests.worlds.memory import (
    eventually,
    utc,
)


async def test_blind_nothing_is_done_and_status_says_so(house):
    async with house.controlled():
        await house.apply()
        house.machine.away = True
        house.machine.end("bollinger", code=1)
        before = list(house.machine.history)
        status = await house.until("momentum", lambda each: each.state == "Unknown")
        assert status.message == "the runtime does not answer; it was Running when last seen"
        assert (await house.condition("RuntimeReachable")).status is False
        assert house.machine.history == before
        house.machine.away = False
        await house.until("bollinger", lambda each: each.ready)
        assert (await house.condition("RuntimeReachable")).status is True


async def test_a_runtime_that_hangs_is_one_that_does_not_answer(house):
    house.tempo = replace(TEMPO, look=timedelta(milliseconds=100))
    async with house.controlled():
        await house.apply()
        house.machine.hangs = True
        await house.until("momentum", lambda each: each.state == "Unknown")
        assert "took too long" in (await house.condition("RuntimeReachable")).message


async def test_a_broker_that_dies_is_repaired_and_stops_nobody(house):
    async with house.controlled():
        await house.apply()
        lives = {n: each.id for n, each in house.machine.instances.items() if n != "broker"}
        ensured = len(house.broker.ensured)
        house.machine.end("broker", signal=9)
        await eventually(lambda: "broker" in house.machine.running())
        await house.until("momentum", lambda each: each.ready)
        assert {n: each.id for n, each in house.machine.instances.items() if n != "broker"} == lives
        await eventually(lambda: len(house.broker.ensured) > ensured)


async def test_with_the_broker_away_a_change_waits_and_nobody_is_stopped(house):
    async with house.controlled():
        await house.apply()
        house.machine.crash_at_start["broker"] = Exit(utc(), code=1)
        house.machine.end("broker", signal=9)
        life = house.machine.instances["bollinger"].id
        _, _, outcome = await house.apply(
            FLEET.replace("period: 20", "period: 30"), deadline=timedelta(milliseconds=300)
        )
        assert not outcome.ready
        status = await house.until("bollinger", lambda each: "that waits" in each.message)
        assert status.state == "Running"
        assert status.message.startswith("changed: config.period 20 -> 30; that waits: Unreachable")
        assert house.machine.instances["bollinger"].id == life
        assert house.machine.instances["bollinger"].phase is Phase.RUNNING
        del house.machine.crash_at_start["broker"]
        outcome = await finish(house.controller.wait(None, deadline=timedelta(seconds=8)))
        assert outcome.ready
        assert house.machine.file("bollinger").config["period"] == 30


async def test_one_silent_plugin_is_replaced_and_all_silent_are_not(house):
    async with house.controlled():
        await house.apply()
        house.machine.silent.add("bollinger")
        life = house.machine.instances["bollinger"].id
        await eventually(lambda: house.machine.instances["bollinger"].id != life)
        assert "Unresponsive" in await house.reasons("bollinger")
        house.machine.silent.clear()
        await house.until("bollinger", lambda each: each.ready)
        house.machine.silent |= NAMES
        lives = {n: each.id for n, each in house.machine.instances.items()}
        now = utc()
        await eventually(lambda: utc() - now > timedelta(milliseconds=500))
        await house.passes(3)
        assert {n: each.id for n, each in house.machine.instances.items()} == lives


async def test_who_asks_all_the_time_keeps_nobody_silent_alive(house):
    """Each question is a look at the world, but none at those of whom nothing changed."""

    async def ask():
        while True:
            house.controller._loop.agenda.wake()
            await asyncio.sleep(0.002)

    async with house.controlled(), asyncio.TaskGroup() as tasks:
        await house.apply()
        journal = house.controller._rooms.journal
        # What else has all looked at: it was noticed that the bus is heard.
        await eventually(lambda: "BusListening" in {each.type for each in journal.conditions()})
        asking = tasks.create_task(ask())
        house.machine.silent.add("bollinger")
        life = house.machine.instances["bollinger"].id
        await eventually(lambda: house.machine.instances["bollinger"].id != life)
        asking.cancel()
        assert "Unresponsive" in await house.reasons("bollinger")


async def test_a_lost_lock_ends_the_controller_and_touches_nobody(house):
    async with house.controlled():
        await house.apply()
    before = list(house.machine.history)
    with pytest.raises(BaseExceptionGroup) as lost:  # noqa: PT012 - it comes while we wait
        async with house.controlled():
            (house.folder / "controller.lock").unlink()
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
    assert lost.group_contains(ConflictError, match="lock was lost")
    assert house.machine.history == before


async def test_without_the_store_nothing_is_done_and_everything_is_made_up_for(house):
    async with house.controlled() as controller:
        await house.apply()
        house.store.away = True
        house.machine.end("bollinger", code=1)
        await eventually(lambda: not controller._rooms.journal.holds("StoreSound"))
        before = list(house.machine.history)
        await house.passes(5)
        assert house.machine.history == before
        assert house.machine.running() == (NAMES - {"bollinger"}) | {"broker"}
        house.store.away = False
        await house.until("bollinger", lambda each: each.ready)
        assert (await house.condition("StoreSound")).status is True


async def test_blind_a_preview_says_that_it_cannot_know(house):
    async with house.controlled() as controller:
        await house.apply()
        house.machine.away = True
        await house.until("momentum", lambda each: each.state == "Unknown")
        with pytest.raises(UnreachableError, match="what would change is not known"):
            await house.preview()
        with pytest.raises(UnreachableError, match="cannot be replaced"):
            await finish(controller.restart("momentum", wait=True, deadline=timedelta(seconds=5)))
