"""A NATS that is not ours and is three servers: any of them may go, and nobody has lost anything."""

import asyncio
import base64
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ntp.connection import Link
from ntp.contract.names import Kind
from ntp.contract.subjects import data_in
from orchestrator.bus.client import dial
from orchestrator.bus.shapes import ACK_WAIT
from orchestrator.bus.streams import Streams
from orchestrator.errors import UnreachableError
from tests.integration.bus.conftest import DEADLINE, World, clustered
from tests.worlds.nats_cluster import Cluster, cluster
from tests.worlds.server_ways import ways

LONG = ACK_WAIT + DEADLINE
"""Of what went astray with nothing newer behind it: it comes again after `ack_wait`."""


@pytest.fixture
def three(tmp_path: Path):
    with cluster(tmp_path / "cluster") as made:
        yield made


@pytest.fixture
async def world(three: Cluster, tmp_path: Path) -> AsyncIterator[World]:
    async with clustered(three, tmp_path) as made:
        yield made


async def _configurations(world) -> dict[str, dict]:
    ends = time.monotonic() + DEADLINE
    while True:
        try:
            async with world.core() as core:
                listed = await core.ask("$JS.API.STREAM.LIST")
            return {each["config"]["name"]: each["config"] for each in listed["streams"]}
        except UnreachableError:  # a copy that is just being made has no leader
            assert time.monotonic() < ends


async def test_each_stream_is_kept_by_three_and_nothing_is_to_complain_of(world):
    assert await world.broker.check() == []
    found = await _configurations(world)
    assert {name: each["num_replicas"] for name, each in found.items()} == dict.fromkeys(found, 3)
    assert set(found) >= {"SIG_beta", "FILL_gamma", "STATE_alpha", "MD_alpha", "CANARY"}
    assert {n for n, each in found.items() if each["storage"] == "memory"} == {"MD_alpha"}


async def test_a_plugin_that_is_added_is_known_to_every_server(world, three):
    world.add("delta", Kind.STRATEGY)
    await world.ensure()
    for number in range(3):
        async with dial(three.address(number), world.broker.credentials("delta"), name="d") as life:
            assert (await life.ask("sig.A", {}))["stream"] == "SIG_delta"
    old = world.broker.credentials("delta")
    await world.broker.rotate(world.rights()["delta"])
    world.remove("delta")
    world.edges = [each for each in world.edges if each.producer != "delta"]
    await world.ensure()
    for number in range(3):
        with pytest.raises(UnreachableError):
            async with dial(three.address(number), old, name="old"):
                pass


async def test_what_one_server_kept_is_kept_by_three_once_there_are_so_many(world):
    """Signals that wait stay; what was captured begins anew. And back it never goes by itself."""
    rights = world.rights()
    async with world.core() as core:
        for name in (*await world.all_streams(),):
            await core.ask(f"$JS.API.STREAM.DELETE.{name}")
        await _make(Streams(core, replicas=1), rights)
        assert (await core.ask("sig.beta.A", "buy"))["stream"] == "SIG_beta"
        for replicas in (3, 1):
            await _make(Streams(core, replicas=replicas), rights)
            found = await _configurations(world)
            assert {each["num_replicas"] for each in found.values()} == {3}
            assert found["MD_alpha"]["storage"] == "memory"
        consumers = await core.ask("$JS.API.CONSUMER.NAMES.MD_alpha")
        assert set(consumers["consumers"]) == {"beta", "gamma"}
    async with world.link("gamma") as gamma:
        (message,) = await gamma.pull("beta")
        assert message.payload == b'"buy"'


async def _make(streams, rights):
    for name, lack in (await streams.compare(rights, rights)).items():
        await streams.make(name, lack)


async def _named_before(world) -> list[bool]:
    """Of each signal of beta's: whether it named the one before it."""
    async with world.core() as core:
        last = (await core.ask("$JS.API.STREAM.INFO.SIG_beta"))["state"]["last_seq"]
        answers = [
            await core.ask("$JS.API.STREAM.MSG.GET.SIG_beta", {"seq": seq})
            for seq in range(1, last + 1)
        ]
    headers = [base64.b64decode(each["message"]["hdrs"]) for each in answers]
    return [b"Nats-Expected" in each for each in headers]


async def test_no_signal_names_the_one_before_it(world):
    """A copy that comes back would stop there: seen with nats-server 2.15."""
    async with world.link("beta") as beta:
        for number in range(20):
            await beta.submit("sig.A", b"", f"id-{number}")
        async with asyncio.timeout(30):
            await beta.settle()
    assert [msg_id for _, msg_id, _ in await world.stored("SIG_beta")] == [
        f"id-{number}" for number in range(20)
    ]
    assert await _named_before(world) == [False] * 20


async def test_a_plugin_goes_on_with_a_server_that_has_joined_a_cluster_as_with_any_such(tmp_path):
    """How many signals are under way is settled with each connection anew."""
    with cluster(tmp_path / "cluster", alone=True) as three:
        async with (
            clustered(three, tmp_path) as world,
            ways(2, targets=[0, int(three.address(0).rpartition(":")[2])]) as way,
            world.link("beta", at=f"127.0.0.1:{way.ports[0, 1]}") as beta,
            asyncio.timeout(60),
        ):
            for number in range(100):
                await beta.submit("sig.A", b"", f"alone-{number}")
            await beta.settle()
            assert any(await _named_before(world))
            way.sever(1)
            three.kill(0)
            await world.until(lambda: not beta.stats.connected)
            for number in range(100):
                await beta.submit("sig.A", b"", f"joined-{number}")
            shutil.rmtree(three.folder(0) / "store")  # its streams are not the cluster's
            three.start()
            await three.in_step()
            await world.ensure()
            way.join(1)
            await beta.settle()
            stored = [msg_id for _, msg_id, _ in await world.stored("SIG_beta")]
            assert stored == [f"joined-{number}" for number in range(100)]
            assert not any(await _named_before(world))


class Market:
    """Alpha counts, beta says a signal for each count, gamma a fill for each signal."""

    def __init__(self, alpha: Link, beta: Link, gamma: Link) -> None:
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.ticks = 0
        self.orders: list[int] = []
        self.fills: list[int] = []

    async def speak(self) -> None:
        while True:
            if self.ticks > len(self.fills) + 100:
                await asyncio.sleep(0.01)
                continue
            await self.alpha.publish("data.A", b"%d" % self.ticks, numbered=True)
            await self.beta.submit("sig.A", b"%d" % self.ticks, f"s-{self.ticks}")
            self.ticks += 1
            await asyncio.sleep(0.002)

    async def trade(self) -> None:
        while True:
            for message in await self.gamma.pull("beta", expires=1):
                number = int(message.payload)
                if number not in self.orders:  # it comes again where its acknowledgement was lost
                    await self.gamma.request_ack("fill.beta.A", message.payload, f"f-{number}")
                    self.orders.append(number)
                await self.gamma.ack(message)

    async def count(self) -> None:
        while True:
            for message in await self.beta.pull("gamma", expires=1):
                if int(message.payload) not in self.fills:
                    self.fills.append(int(message.payload))
                await self.beta.ack(message)

    async def further(self, world) -> None:
        until = len(self.fills) + 100
        await world.until(lambda: len(self.fills) >= until, within=LONG)


@pytest.mark.long
async def test_whichever_server_is_killed_nothing_is_lost_and_nothing_told_twice(world, three):
    """Each in turn, and back again: ticks, signals and fills go on over the two that are left."""
    heard: list[int] = []
    async with (
        world.link("alpha") as alpha,
        world.link("beta") as beta,
        world.link("gamma") as gamma,
        asyncio.TaskGroup() as tasks,
    ):
        market = Market(alpha, beta, gamma)
        await beta.subscribe(data_in("alpha"), lambda _, tick: heard.append(int(tick)))
        await beta.flush()
        speaking, *others = [
            tasks.create_task(each()) for each in (market.speak, market.trade, market.count)
        ]
        for number in range(3):
            await market.further(world)
            three.kill(number)
            await market.further(world)
            three.start(number)
            await three.in_step()
        quiet = market.ticks
        await market.further(world)
        speaking.cancel()
        await asyncio.wait([speaking])
        async with asyncio.timeout(LONG):
            await beta.settle()
        await world.until(lambda: len(market.fills) >= market.ticks, within=LONG)
        every = list(range(market.ticks))
        assert market.orders == market.fills == every
        # Of ticks some may have gone with a server; whoever misses one knows it by its number.
        assert set(heard) >= set(every[quiet:])
        kept = {int(each.payload) for each in await beta.captured("alpha")}
        assert kept >= set(every[quiet:])
        reconnects = {name: link.stats.reconnects for name, link in (("a", alpha), ("b", beta))}
        for task in others:
            task.cancel()
    assert sum(reconnects.values()) >= 2, "nobody was connected to a server that was killed"
    assert await _copies(world) == {"SIG_beta": market.ticks, "FILL_gamma": market.ticks}
    assert world.refusals() == []


async def _copies(world) -> dict[str, int]:
    """How many messages the streams have ever taken."""
    async with world.core() as core:
        infos = [
            await core.ask(f"$JS.API.STREAM.INFO.{each}") for each in ("SIG_beta", "FILL_gamma")
        ]
    return {each["config"]["name"]: each["state"]["last_seq"] for each in infos}
