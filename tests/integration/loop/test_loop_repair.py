"""What ends is started again: at once, later, or not, each with its reason."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.decide.state import Exit, Phase
from orchestrator.errors import ActionError
from tests.worlds.house import FAST, FLEET, NAMES, TEMPO, finish
from tests.worlds.memory import (
    eventually,
    utc,
)


async def test_a_first_crash_after_a_stable_life_is_restarted_at_once(house):
    async with house.controlled():
        await house.apply()
        started = house.machine.instances["bollinger"].started
        await eventually(lambda: utc() - started > FAST.stable)
        house.machine.end("bollinger", code=1)
        await eventually(lambda: "bollinger" in house.machine.running())
        status = await house.until("bollinger", lambda each: each.ready)
        assert status.restarts == 1
        assert status.last_exit.code == 1
        assert "Exited" in await house.reasons("bollinger")


async def test_what_was_altered_is_prepared_anew_before_it_is_started_again(house):
    async with house.controlled():
        await house.apply()
        house.catalog.altered |= {"bollinger", "momentum"}
        house.machine.end("bollinger", code=1)
        await house.until("bollinger", lambda each: each.restarts == 1 and each.ready)
        assert house.starts("bollinger") == 2
        assert house.catalog.altered == {"momentum"}


async def test_crashes_back_off_and_at_last_the_plugin_is_given_up_and_start_tries_again(house):
    async with house.controlled():
        house.machine.crash_at_start["bollinger"] = Exit(utc(), oom=True, memory_peak=530 << 20)
        _, progress, outcome = await house.apply()
        assert not outcome.ready
        assert [each.name for each in outcome.waiting] == ["bollinger"]
        assert ("OOMKilled", "limit 512 MiB, peak 530 MiB; raise resources.memory") in [
            (each.state, each.message) for each in progress
        ]
        status = await house.until("bollinger", lambda each: each.state == "GaveUp")
        assert "4 failures in a row, the last: OOMKilled" in status.message
        starts = house.starts("bollinger")
        assert starts == 4
        assert {
            each.name for each in (await house.controller.status(None)).plugins if each.ready
        } == (NAMES - {"bollinger"})
        del house.machine.crash_at_start["bollinger"]
        outcome = await finish(
            house.controller.start("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert house.starts("bollinger") == 5


async def test_failures_are_counted_on_by_the_next_controller(house):
    async with house.controlled():
        house.machine.crash_at_start["bollinger"] = Exit(utc(), code=1)
        await house.apply(wait=False)
        await eventually(lambda: house.starts("bollinger") == 2)
    for _ in range(4):
        async with house.controlled():
            await house.passes(3)
    async with house.controlled():
        await house.until("bollinger", lambda each: each.state == "GaveUp")
        assert house.starts("bollinger") == FAST.give_up_after


async def test_a_permanent_end_waits_for_a_changed_entry(house):
    async with house.controlled():
        house.machine.crash_at_start["bollinger"] = Exit(
            utc(), code=2, reason="ConfigRefused", message="period was -1", permanent=True
        )
        _, _, outcome = await house.apply()
        assert [(each.name, each.state) for each in outcome.waiting] == [
            ("bollinger", "ConfigRefused")
        ]
        assert outcome.waiting[0].message.startswith("period was -1; ")
        await house.passes(10)
        assert house.starts("bollinger") == 1
        del house.machine.crash_at_start["bollinger"]
        _, _, outcome = await house.apply(FLEET.replace("period: 20", "period: 21"))
        assert outcome.ready


async def test_a_service_that_ends_with_zero_has_failed(house):
    house.policy = replace(
        FAST, first_delay=timedelta(seconds=2), longest_delay=timedelta(seconds=2)
    )
    async with house.controlled():
        await house.apply()
        house.machine.crash_at_start["bollinger"] = Exit(utc(), code=0)
        house.machine.end("bollinger", code=0)
        status = await house.until("bollinger", lambda each: each.state == "ExitedZero")
        assert "runs until it is told to stop" in status.message


async def test_a_refused_start_is_shown_with_its_reason_and_tried_again(house):
    async with house.controlled():
        house.machine.refuse["momentum"] = ActionError("no free uid", reason="NoUid")
        _, _, outcome = await house.apply()
        assert [(e.name, e.state, e.message) for e in outcome.waiting] == [
            ("momentum", "NoUid", "no free uid")
        ]
        del house.machine.refuse["momentum"]
        await house.until("momentum", lambda each: each.ready)


async def test_what_was_refused_for_good_is_tried_again_by_the_next_controller(house):
    async with house.controlled():
        house.machine.refuse["momentum"] = ActionError(
            "no sandbox works here", reason="NoSandbox", permanent=True
        )
        _, _, outcome = await house.apply()
        assert [each.state for each in outcome.waiting] == ["NoSandbox"]
        del house.machine.refuse["momentum"]
        await house.passes(10)
        assert (await house.status("momentum")).state == "NoSandbox"
    async with house.controlled():
        await house.until("momentum", lambda each: each.ready)


async def test_an_end_that_any_look_sees_is_repaired_without_an_event(house):
    house.tempo = replace(TEMPO, relist=timedelta(minutes=5))
    async with house.controlled():
        await house.apply()
        there = house.machine.instances["bollinger"]
        end = Exit(utc(), code=1)
        house.machine.instances["bollinger"] = replace(there, phase=Phase.EXITED, exit=end)
        await house.status("momentum")
        await eventually(lambda: house.machine.instances["bollinger"].phase is Phase.RUNNING)


def is_parked(house):
    return "bollinger" in house.controller._loop.parked()


async def vanish(house):
    """Remove bollinger behind the controller's back, and wait until it is there again, or parked."""
    await eventually(lambda: "bollinger" in house.machine.running())
    house.machine.instances.pop("bollinger")
    house.machine.touch()
    await eventually(lambda: "bollinger" in house.machine.running() or is_parked(house))


async def parked(house):
    """Have bollinger left alone, by doing so again and again; return its status."""
    while not is_parked(house):
        await vanish(house)
    return await house.until("bollinger", lambda each: each.state == "Flapping")


@pytest.fixture
def flapping(house):
    house.tempo = replace(TEMPO, most_actions=6, flapping=timedelta(seconds=30))
    return house


async def test_a_plugin_replanned_without_progress_is_parked(flapping):
    async with flapping.controlled() as controller:
        await flapping.apply()
        status = await parked(flapping)
        assert "no progress" in status.message
        outcome = await finish(
            controller.restart("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready


async def test_an_apply_tries_at_once_what_was_parked(flapping):
    async with flapping.controlled():
        await flapping.apply()
        await parked(flapping)
        await flapping.apply(FLEET.replace("period: 20", "period: 30"))
        await flapping.until("bollinger", lambda each: each.ready)


async def test_what_was_replanned_often_is_taken_down_all_the_same(flapping):
    async with flapping.controlled() as controller:
        await flapping.apply()
        for _ in range(4):
            await vanish(flapping)
        assert not is_parked(flapping), "five starts; a stop and a removal would be one too many"
        await flapping.until("bollinger", lambda each: each.ready)
        downed = await finish(controller.down(delete_data=False, deadline=timedelta(seconds=5)))
        assert "bollinger" in downed.removed


async def test_one_that_cannot_be_stopped_is_tried_again_with_a_pause(house):
    async with house.controlled():
        await house.apply()
        house.machine.unkillable.add("bollinger")
        without = (
            FLEET[: FLEET.index("    - name: bollinger")]
            + FLEET[FLEET.index("    - name: momentum") :]
        )
        await house.apply(without, wait=False)
        await eventually(lambda: house.machine.stop_tries >= 3)
        assert "LeftoverAlive" in await house.reasons("bollinger")
        tries, number = house.machine.stop_tries, house.controller._loop.done
        await house.passes(20)
        assert house.machine.stop_tries - tries < house.controller._loop.done - number
        house.machine.unkillable.clear()
        await eventually(lambda: "bollinger" not in house.machine.instances)


async def test_a_restart_does_not_wait_for_the_installation_of_another(house):
    async with house.controlled():
        await house.apply()
        house.catalog.slow["extra"] = asyncio.Event()
        more = FLEET.replace("  executors:", "    - name: extra\n  executors:")
        await house.apply(more, wait=False)
        await house.until(
            "extra", lambda each: each.message == "its requirements are being installed"
        )
        house.machine.end("momentum", code=1)
        await house.until("momentum", lambda each: each.ready)
        house.catalog.slow["extra"].set()
        await house.until("extra", lambda each: each.ready)


async def test_beats_are_heard_closely_while_somebody_is_not_ready_and_only_then(house):
    house.machine.unready.add("momentum")
    async with house.controlled() as controller:
        await house.apply(wait=False)
        await eventually(lambda: "momentum" in house.machine.running())
        await controller.status(None)
        assert house.bus.closely
        house.machine.unready.clear()
        await eventually(lambda: not house.bus.closely)
        house.machine.unready.add("momentum")
        await finish(controller.restart("momentum", wait=False, deadline=timedelta(0)))
        await eventually(lambda: house.bus.closely)


async def test_of_a_crowd_that_is_busy_only_who_asks_sees_more(house):
    house.tempo = replace(house.tempo, crowd=2, crowded=timedelta(hours=1))
    house.catalog.slow |= {name: asyncio.Event() for name in NAMES}
    async with house.controlled() as controller:
        await house.apply(wait=False)
        await eventually(lambda: len(controller._loop.going) > 2)
        await controller.status(None)
        house.machine.touch()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await house.passes(1)
        for each in house.catalog.slow.values():
            each.set()
        for name in NAMES:
            await house.until(name, lambda each: each.ready)
