"""What it costs to add a plugin to the hundred that a broker serves already, and whom it disturbs.

A real nats-server, an account and a connected client for each plugin, a source that speaks all the time.
"""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from ntp.connection import Link, connect
from ntp.contract.launch import CREDENTIALS_FILE, BusAddress
from ntp.contract.names import Channel, Kind
from ntp.contract.subjects import data_in
from orchestrator.bus.broker import NatsBroker
from orchestrator.errors import UnreachableError
from orchestrator.spec.model import Desired
from orchestrator.spec.rights import rights
from orchestrator.spec.wiring import Edge
from tests.benchmarks.figure import Figure, percentile
from tests.benchmarks.weight import weight, words
from tests.worlds.specs import spec

PLUGINS, ADDED, RATE = 100, 100, 10
"""Of them one source and one executor; how often one is added and removed; ticks a second meanwhile."""
DEADLINE_S = 60.0


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ntp-bench-accounts-") as folder:
        return asyncio.run(_Bus(Path(folder)).figures())


class _Bus:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._broker = NatsBroker(folder / "broker", project="bench")
        strategies = [f"s{number:03}" for number in range(PLUGINS - 2)]
        self._plugins = {"source": Kind.DATA_SOURCE, "executor": Kind.EXECUTOR} | dict.fromkeys(
            strategies, Kind.STRATEGY
        )
        self._heard: dict[str, list[int]] = {}
        self._sent = 0

    async def figures(self) -> list[Figure]:
        async with self._broker, AsyncExitStack() as stack:
            server = stack.enter_context(self._server())
            await self._ensure()
            empty = weight(server)
            links = {
                name: await stack.enter_async_context(self._link(name)) for name in self._plugins
            }
            for name in self._plugins:
                if self._plugins[name] is Kind.STRATEGY:
                    await self._listen(name, links[name])
            full = weight(server)
            async with asyncio.TaskGroup() as tasks:
                saying = tasks.create_task(self._say(links["source"]))
                ready, heard, pushed = await self._samples()
                saying.cancel()
            for name in self._heard:
                await links[name].flush()
            lost = sum(self._sent - len(each) for each in self._heard.values())
            cut = sum(link.stats.reconnects for link in links.values())
        return [
            Figure(
                what=f"{PLUGINS} plugins: add one, p50 / p99 of {ADDED}",
                value=f"{1e3 * percentile(pushed, 0.5):.1f} ms / {1e3 * percentile(pushed, 0.99):.1f} ms",
                peer=f"{cut} of {PLUGINS} others disconnected, {lost} of {self._sent * len(self._heard):,} ticks lost",
                note="A strategy with its account, four streams and their consumers, and the account of an "
                "executor that hears all of them, whose imports the broker checks one by one; until it has "
                "taken all of it. All clients are in the same process.",
            ),
            Figure(
                what="the same, until it is connected, p50 / p99",
                value=f"{1e3 * percentile(ready, 0.5):.1f} ms / {1e3 * percentile(ready, 0.99):.1f} ms",
            ),
            Figure(
                what="the same, until its first tick, p50 / p99",
                value=f"{1e3 * percentile(heard, 0.5):.1f} ms / {1e3 * percentile(heard, 0.99):.1f} ms",
                peer=f"a tick every {1000 / RATE:.0f} ms",
            ),
            Figure(
                what=f"memory of the broker with {PLUGINS} plugins connected, resident / own share",
                value=words(full),
                peer=f"with their accounts, before the first has connected {words(empty)}",
                ratio=full[0] / empty[0],
            ),
        ]

    async def _samples(self) -> tuple[list[float], list[float], list[float]]:
        """Add one and remove it, again and again: seconds until connected, first tick, rights."""
        samples: list[tuple[float, float, float]] = []
        for number in range(ADDED):
            name = f"new{number:03}"
            began = time.perf_counter()
            self._plugins[name] = Kind.STRATEGY
            await self._ensure()
            pushed = time.perf_counter() - began
            async with self._link(name) as link:
                ready = time.perf_counter() - began
                first = asyncio.Event()
                await link.subscribe(data_in("source"), lambda *_, first=first: first.set())
                async with asyncio.timeout(DEADLINE_S):
                    await first.wait()
                samples.append((ready, time.perf_counter() - began, pushed))
            del self._plugins[name]
            await self._ensure()
        ready_s, heard_s, pushed_s = (list(each) for each in zip(*samples, strict=True))
        return ready_s, heard_s, pushed_s

    async def _listen(self, name: str, link: Link) -> None:
        heard = self._heard[name] = []
        await link.subscribe(data_in("source"), lambda _, tick: heard.append(int(tick)))
        await link.flush()

    async def _say(self, link: Link) -> None:
        while True:
            await link.publish("data.A", b"%d" % self._sent)
            self._sent += 1
            await asyncio.sleep(1 / RATE)

    async def _ensure(self) -> None:
        plugins = {name: spec(name, kind) for name, kind in self._plugins.items()}
        edges = []
        for name, kind in self._plugins.items():
            if kind is Kind.STRATEGY:
                edges.append(Edge(consumer=name, channel=Channel.DATA, producer="source"))
                edges.append(Edge(consumer="executor", channel=Channel.SIGNAL, producer=name))
                edges.append(Edge(consumer=name, channel=Channel.FILL, producer="executor"))
        wanted = rights(Desired("bench", 1, plugins), edges)
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                return await self._broker.ensure(wanted)
            except UnreachableError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def _link(self, name: str) -> AsyncIterator[Link]:
        folder = self._folder / "run" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CREDENTIALS_FILE).write_bytes(self._broker.credentials(name))
        address = BusAddress(servers=[f"nats://{self._broker.address()}"])
        async with connect(folder, address, plain=True, name=name) as link:
            yield link

    def _server(self) -> "_Server":
        launch = self._broker.launch()
        assert launch is not None
        return _Server(launch.argv)


class _Server:
    def __init__(self, argv: tuple[str, ...]) -> None:
        self._argv = argv

    def __enter__(self) -> int:
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._argv, stdin=quiet, stdout=quiet, stderr=quiet)
        return self._process.pid

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait(DEADLINE_S)
