"""A changed symbol list reaches the running source, whatever gets lost and whoever is killed meanwhile."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.decide.state import Exit
from tests.worlds.house import FLEET, finish
from tests.worlds.memory import eventually, utc
from tests.worlds.memory_bus import MemoryBus

OLD, NEW = "config: {symbols: [BTCUSDT]}", "config: {symbols: [BTCUSDT, ETHUSDT]}"
FIRST = FLEET.replace("- name: binance_data", "- name: binance_data\n      timeout: 100ms")
SECOND = FIRST.replace(OLD, NEW)
NAME = "binance_data"
WORDS = 'config.symbols ["BTCUSDT"] -> ["BTCUSDT", "ETHUSDT"]'


class FatalBus(MemoryBus):
    """No control message returns from it: the controller is to be killed before or after it was sent."""

    def __init__(self, machine, *, after):
        super().__init__(machine)
        self.after = after
        self.reached = asyncio.Event()

    async def control(self, instance, payload):
        if self.after:
            await super().control(instance, payload)
        self.reached.set()
        await asyncio.Event().wait()


def life(house):
    return house.machine.instances[NAME].id


async def remembered(house):
    """Return when the record says that the push was taken."""
    memories = house.controller._rooms.memories
    await eventually(lambda: memories.of(NAME).pushed == life(house))
    return memories.of(NAME)


async def test_a_changed_symbol_list_is_pushed_and_nothing_is_stopped(house):
    async with house.controlled() as controller:
        await house.apply(FIRST)
        before, history = dict(house.machine.instances), len(house.machine.history)
        preview = await house.preview(SECOND)
        told = [(c.name, c.do.value, c.cause, c.stops) for c in preview.changes if c.do != "keep"]
        assert told == [(NAME, "push", WORDS, False)]
        _, _, outcome = await house.apply(SECOND)
        assert outcome.ready
        assert house.machine.history[history:] == [("push", NAME)]
        assert {n: each.id for n, each in house.machine.instances.items()} == {
            n: each.id for n, each in before.items()
        }
        assert house.machine.symbols[life(house)] == ["BTCUSDT", "ETHUSDT"]
        events = await controller.events(NAME, limit=100)
        assert [(e.reason, e.message) for e in events if e.reason == "Pushed"] == [
            ("Pushed", WORDS)
        ]
        status = await house.status(NAME)
        assert (status.state, status.generation, status.restarts) == ("Running", 2, 0)
        assert not (await house.preview(SECOND)).differs


async def test_a_second_edit_is_told_from_the_first_one(house):
    async with house.controlled():
        await house.apply(FIRST)
        await house.apply(SECOND)
        third = FIRST.replace(OLD, "config: {symbols: [ETHUSDT]}")
        preview, _, outcome = await house.apply(third)
        assert outcome.ready
        words = 'config.symbols ["BTCUSDT", "ETHUSDT"] -> ["ETHUSDT"]'
        assert [c.cause for c in preview.changes if c.do == "push"] == [words]
        assert house.machine.symbols[life(house)] == ["ETHUSDT"]
        _, _, outcome = await house.apply(FIRST)
        assert outcome.ready
        assert house.machine.symbols[life(house)] == ["BTCUSDT"]
        assert house.starts(NAME) == 1


async def test_edits_that_come_faster_than_answers_are_told_from_what_it_runs(house):
    house.policy = replace(
        house.policy, healthy=timedelta(hours=1), push_deadline=timedelta(hours=1)
    )
    async with house.controlled():
        await house.apply(FIRST)
        await house.apply(SECOND)
        house.machine.lossy.add(NAME)
        for symbol in "AC":
            await house.apply(FIRST.replace(OLD, f"config: {{symbols: [{symbol}]}}"), wait=False)
        preview, _, _ = await house.apply(FIRST.replace(OLD, "config: {symbols: [B]}"), wait=False)
        words = 'config.symbols ["BTCUSDT", "ETHUSDT"] -> ["B"]'
        assert [c.cause for c in preview.changes if c.do == "push"] == [words]
        house.machine.lossy.clear()
        await house.until(NAME, lambda each: each.ready)
        assert house.machine.symbols[life(house)] == ["B"]
        assert house.starts(NAME) == 1


async def test_a_strategy_and_another_config_are_recreated_as_before(house):
    text = FIRST.replace("config: {lookback: 14}", "config: {lookback: 14, symbols: [A]}")
    async with house.controlled():
        await house.apply(text)
        changed = text.replace("symbols: [A]", "symbols: [B]").replace(
            OLD, "config: {symbols: [ETHUSDT], url: x}"
        )
        preview, _, outcome = await house.apply(changed)
        assert outcome.ready
        assert {c.name for c in preview.changes if c.do == "recreate"} == {NAME, "momentum"}
        assert (house.starts(NAME), house.starts("momentum")) == (2, 2)
        assert ("push", NAME) not in house.machine.history


async def test_limits_and_symbols_change_together_without_a_stop(house):
    async with house.controlled():
        await house.apply(FIRST)
        both = SECOND.replace(
            "config: {symbols", "resources: {memory: 1GB}\n      config: {symbols"
        )
        preview, _, outcome = await house.apply(both)
        assert outcome.ready
        assert [c.cause for c in preview.changes if c.do == "push"] == [
            f"{WORDS}, resources.memory 512 MiB -> 1 GiB"
        ]
        assert house.machine.history[-2:] == [("update", NAME), ("push", NAME)]
        assert house.machine.instances[NAME].usage.memory_limit == 1 << 30
        assert house.starts(NAME) == 1


async def test_a_lost_message_is_sent_again(house):
    async with house.controlled():
        await house.apply(FIRST)
        house.machine.lossy.add(NAME)
        await house.apply(SECOND, wait=False)
        memories = house.controller._rooms.memories
        await eventually(lambda: memories.of(NAME).pushing)
        assert not (await house.status(NAME)).ready
        house.machine.lossy.clear()
        assert (await remembered(house)).pushed_generation == 2
        assert (await house.until(NAME, lambda each: each.ready)).restarts == 0
        assert house.starts(NAME) == 1


async def test_one_that_never_confirms_is_started_anew_with_a_cause(house):
    async with house.controlled() as controller:
        await house.apply(FIRST)
        house.machine.lossy.add(NAME)
        _, _, outcome = await house.apply(SECOND)
        assert outcome.ready
        assert house.starts(NAME) == 2
        assert house.machine.file(NAME).config == {"symbols": ["BTCUSDT", "ETHUSDT"]}
        (stopped,) = [e for e in await controller.events(NAME, limit=100) if e.reason == "Stopped"]
        assert stopped.message.startswith(f"changed: {WORDS}; it did not say within")
        assert "Pushed" not in await house.reasons(NAME)


async def test_one_that_refuses_is_started_anew_with_its_own_words(house):
    async with house.controlled() as controller:
        await house.apply(FIRST)
        house.machine.takes_nothing[NAME] = "subscribe(['ETHUSDT']) returned False"
        _, _, outcome = await house.apply(SECOND)
        assert outcome.ready
        assert house.starts(NAME) == 2
        (stopped,) = [e for e in await controller.events(NAME, limit=100) if e.reason == "Stopped"]
        assert "it does not take them while it runs: subscribe(['ETHUSDT'])" in stopped.message


@pytest.mark.parametrize("after", [False, True])
async def test_a_controller_killed_at_the_push_restarts_nothing(house, after):
    house.bus = FatalBus(house.machine, after=after)
    async with house.controlled():
        await house.apply(FIRST)
        first = life(house)
        await house.apply(SECOND, wait=False)
        await eventually(house.bus.reached.is_set)
    assert (("push", NAME) in house.machine.history) is after
    house.bus = MemoryBus(house.machine)
    async with house.controlled():
        record = await remembered(house)
        assert (record.pushed_generation, record.generation) == (2, 2)
        await house.until(NAME, lambda each: each.ready)
    async with house.controlled():
        await house.passes(3)
        assert (await house.status(NAME)).ready
    assert life(house) == first
    assert house.machine.symbols[first] == ["BTCUSDT", "ETHUSDT"]
    assert house.machine.history.count(("push", NAME)) == 1, "told once more, it is passed over"


async def test_whatever_ends_a_pushed_plugin_it_comes_back_with_its_new_symbols(house):
    async with house.controlled() as controller:
        await house.apply(FIRST)
        await house.apply(SECOND)
        house.machine.end(NAME, code=3)
        await eventually(lambda: house.starts(NAME) == 2)
        assert house.machine.file(NAME).config == {"symbols": ["BTCUSDT", "ETHUSDT"]}
        status = await house.until(NAME, lambda each: each.ready)
        assert (status.restarts, status.generation) == (1, 2)
        assert "Exited" in await house.reasons(NAME)
        outcome = await finish(controller.restart(NAME, wait=True, deadline=timedelta(seconds=8)))
        assert outcome.ready
        assert house.machine.file(NAME).config == {"symbols": ["BTCUSDT", "ETHUSDT"]}
    async with house.controlled():
        await house.passes(3)
        assert house.starts(NAME) == 3


async def test_symbols_that_it_does_not_live_with_are_taken_back(house):
    async with house.controlled():
        await house.apply(FIRST)
        await house.healthy(NAME)
        await house.apply(SECOND)
        house.machine.crash_at_start[NAME] = Exit(utc(), code=1)
        house.machine.end(NAME, code=1)
        await house.until(NAME, lambda each: each.state == "FellBack" or house.starts(NAME) > 4)
        del house.machine.crash_at_start[NAME]
        await house.until(NAME, lambda each: each.state == "FellBack")
        assert house.machine.file(NAME).config == {"symbols": ["BTCUSDT"]}
