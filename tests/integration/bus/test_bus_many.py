"""A hundred plugins on one bus: whoever comes, changes or goes is not noticed by the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from ntp.connection import Link
from ntp.contract.names import Kind
from ntp.contract.subjects import data_in

STRATEGIES = 97
"""With `world`'s own source, strategy and executor: a hundred."""


class Crowd:
    """All of them connected: the source counts, each strategy hears it and says a signal now and then."""

    def __init__(self, world) -> None:
        self.world = world
        self.links: dict[str, Link] = {}
        self.heard: dict[str, list[int]] = {}
        self.sent = 0
        self.signals: dict[str, int] = {}
        """Of each strategy: how many it has said."""

    @property
    def strategies(self) -> list[str]:
        return list(self.signals)

    async def say(self) -> None:
        """One tick, and a signal of one of the strategies, for as long as it lasts."""
        while True:
            await self.links["alpha"].publish("data.A", b"%d" % self.sent)
            name = self.strategies[self.sent % len(self.strategies)]
            await self.links[name].submit("sig.A", b"", f"{name}-{self.signals[name]}")
            self.signals[name] += 1
            self.sent += 1
            await asyncio.sleep(0.001)  # the others' turn: this is the rate, nothing waits for it

    async def further(self, ticks: int = 20) -> None:
        """Return when so many more were sent, and heard by all."""
        until = self.sent + ticks
        await self.world.until(
            lambda: all(self.heard[name][-1:] >= [until] for name in self.strategies)
        )


@pytest.fixture
async def crowd(world) -> AsyncIterator[Crowd]:
    for number in range(STRATEGIES):
        world.add(f"s{number:02}", Kind.STRATEGY)
        world.wire("alpha", "data", f"s{number:02}")
        world.wire(f"s{number:02}", "signal", "gamma")
        world.wire("gamma", "fill", f"s{number:02}")
    await world.ensure()
    crowd = Crowd(world)
    async with AsyncExitStack() as stack:
        for name in world.plugins:
            link = crowd.links[name] = await stack.enter_async_context(world.link(name))
            if world.plugins[name].kind is Kind.STRATEGY:
                crowd.signals[name], heard = 0, crowd.heard.setdefault(name, [])
                await link.subscribe(
                    data_in("alpha"), lambda _, tick, heard=heard: heard.append(int(tick))
                )
        for name in crowd.strategies:
            await crowd.links[name].flush()
        yield crowd


@asynccontextmanager
async def undisturbed(crowd: Crowd) -> AsyncIterator[None]:
    """Nobody was cut off, refused or left out of anything while the block lasted."""
    async with asyncio.TaskGroup() as tasks:
        saying = tasks.create_task(crowd.say())
        await crowd.further()
        yield
        await crowd.further()
        saying.cancel()
    await crowd.world.until(
        lambda: all(crowd.heard[n][-1] == crowd.sent - 1 for n in crowd.strategies)
    )
    every = list(range(crowd.sent))
    assert crowd.heard == dict.fromkeys(crowd.strategies, every)
    for name in crowd.strategies:
        await crowd.links[name].settle()
    async with crowd.world.core() as core:
        infos = {name: await core.ask(f"$JS.API.STREAM.INFO.SIG_{name}") for name in crowd.signals}
    assert {name: each["state"]["messages"] for name, each in infos.items()} == crowd.signals
    states = {name: link.stats for name, link in crowd.links.items()}
    assert [name for name, each in states.items() if each.reconnects or each.unsent] == []
    # An answer that is under way while the controller's account changes may be lost; then the signal
    # is sent again, and known. Nothing else may be heard of the change.
    heard = [words for each in crowd.world.errors.values() for words in each]
    assert [words for words in heard if "sent again" not in words] == []


async def test_whoever_comes_changes_or_goes_is_not_noticed(crowd):
    """New strategies change the executor's account; a new source those of all who hear it, and CORE."""
    world, kept = crowd.world, list(crowd.world.edges)
    for count in (1, 10):
        async with undisturbed(crowd):
            for number in range(count):
                world.add(f"new{number}", Kind.STRATEGY)
                world.wire("alpha", "data", f"new{number}")
                world.wire(f"new{number}", "signal", "gamma")
                world.add(f"source{number}", Kind.DATA_SOURCE)
                world.wire(f"source{number}", "data", "s00")
            await world.ensure()
            await crowd.further()
            for number in range(count):
                world.wire(f"source{number}", "data", f"new{number}", "B", "C")
                world.wire(f"source{number}", "data", f"s{number:02}")
            await world.ensure()
            await crowd.further()
            for number in range(count):
                world.remove(f"new{number}")
                world.remove(f"source{number}")
            world.edges = list(kept)
            await world.ensure()
