"""The broker has no room for a stream of one plugin: whom that concerns, and when it is over."""

from dataclasses import replace
from datetime import timedelta

from orchestrator.errors import ActionError
from tests.worlds.house import FAST, FLEET, TEMPO
from tests.worlds.memory import eventually

ZULU = "    - name: zulu\n      plugin: momentum\n      timeout: 100ms\n"
MORE = FLEET.replace("  executors:", f"{ZULU}  executors:")
"""One strategy more, which the executor hears."""
MOMENTUM = "    - name: momentum\n      timeout: 100ms\n      config: {lookback: 14}\n"
LONG = timedelta(minutes=5)
SHORT = timedelta(seconds=1)


async def test_nobody_who_runs_is_stopped_for_a_change_that_is_refused(house):
    house.policy = replace(FAST, first_delay=LONG, longest_delay=LONG)
    async with house.controlled():
        *_, outcome = await house.apply()
        assert outcome.ready
        before = set(house.machine.running())
        lives = {name: (await house.status(name)).started for name in before - {"broker"}}
        house.broker.full = frozenset({"zulu"})
        *_, outcome = await house.apply(MORE, deadline=SHORT)
        assert not outcome.ready
        assert set(house.machine.running()) == before
        assert {name: (await house.status(name)).started for name in lives} == lives
        assert "no room" in (await house.status("paper")).message
        house.broker.full = frozenset()
        await eventually(lambda: "zulu" in house.machine.running())


async def test_who_was_refused_starts_when_there_is_room_not_at_its_own_next_try(house):
    house.policy = replace(FAST, first_delay=LONG, longest_delay=LONG)
    house.tempo = replace(TEMPO, first_retry=timedelta(milliseconds=50), longest_retry=SHORT)
    async with house.controlled():
        await house.apply()
        house.broker.full = frozenset({"zulu"})
        *_, outcome = await house.apply(MORE, deadline=SHORT)
        assert not outcome.ready
        house.broker.full = frozenset()
        await eventually(lambda: {"zulu", "paper"} <= set(house.machine.running()))


async def test_who_goes_is_cut_off_though_another_is_refused_and_tried_later(house):
    """A strategy that no executor hears: nobody else's rights change with it."""
    alone = MORE.replace(
        "    - name: paper\n", "    - name: paper\n      inputs: [{from: bollinger}]\n"
    )
    less = alone.replace(MOMENTUM, "")
    assert MOMENTUM in alone
    house.policy = replace(FAST, first_delay=LONG, longest_delay=LONG)
    house.tempo = replace(TEMPO, first_retry=LONG, longest_retry=LONG)
    async with house.controlled():
        house.broker.full = frozenset({"zulu"})
        await house.apply(alone, deadline=SHORT)
        assert "momentum" in house.broker.ensured[-1]
        await house.apply(less, allow_deletes=True, deadline=SHORT)
        await eventually(lambda: "momentum" not in house.broker.ensured[-1])


async def test_a_source_that_is_refused_is_not_said_to_be_captured(house):
    house.broker.full = frozenset({"binance_data"})
    async with house.controlled() as controller:
        await house.apply(deadline=SHORT)
        async for each in controller.replay(["binance_data"], ticks=10):
            assert not each.ready
            assert "no room" in each.message
            break


async def test_a_bug_that_is_met_in_the_broker_ends_nobody(house):
    async with house.controlled():
        *_, outcome = await house.apply()
        assert outcome.ready
        before = set(house.machine.running())
        house.broker.bug = KeyError("config")
        await house.apply(MORE, deadline=SHORT)
        assert set(house.machine.running()) >= before
        house.broker.bug = None
        await eventually(lambda: "zulu" in house.machine.running())


async def test_what_cannot_be_removed_holds_up_nobody(house):
    house.tempo = replace(TEMPO, first_retry=timedelta(milliseconds=50), longest_retry=SHORT)
    house.broker.stays = ActionError("a stream of somebody who is gone stays")
    async with house.controlled() as controller:
        *_, outcome = await house.apply(MORE)
        assert outcome.ready
        (broker,) = [
            each
            for each in (await controller.status(None)).conditions
            if each.type == "BrokerReady"
        ]
        assert (broker.status, broker.message) == (False, "a stream of somebody who is gone stays")
        tries, house.broker.stays = house.broker.tries, None
        await eventually(lambda: house.broker.tries > tries)
        assert "zulu" in house.machine.running()
