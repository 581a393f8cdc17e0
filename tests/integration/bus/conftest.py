"""A real nats-server on loopback, started as the runtime would start it, and one small wiring."""

import asyncio
import base64
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from ntp.connection import Link, connect
from ntp.contract.launch import CREDENTIALS_FILE, BusAddress
from ntp.contract.names import Channel, Kind
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.client import Life, dial
from orchestrator.bus.external import External
from orchestrator.errors import ActionError, NtpError
from orchestrator.spec.model import Desired, PluginSpec, Rights
from orchestrator.spec.rights import rights
from orchestrator.spec.wiring import Edge
from tests.worlds.nats_cluster import Cluster
from tests.worlds.specs import spec

DEADLINE = 20.0


class Server:
    """The broker's process: what the process runtime does, as far as these tests need it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, argv: Sequence[str]) -> None:
        assert self._process is None
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(DEADLINE)
            self._process = None


async def ensured(
    broker: NatsBroker,
    wanted: Mapping[str, Rights],
    granted: Callable[[str], None] = lambda _: None,
) -> Mapping[str, ActionError]:
    """As the controller does: again until the broker answers."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return await broker.ensure(wanted, granted)
        except NtpError:  # refusals too: a server that has just joined has no JetStream yet
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.02)


class World:
    """One project: a broker, its server, and plugins by kind and edge."""

    def __init__(self, folder: Path, *, external: External | None = None) -> None:
        self.folder = folder
        self.broker = NatsBroker(folder / "broker", project="test", external=external)
        self.server = Server()
        self.plugins: dict[str, PluginSpec] = {}
        self.edges: list[Edge] = []
        self.errors: dict[str, list[str]] = {}

    def add(self, name: str, kind: Kind) -> None:
        self.plugins[name] = spec(name, kind)

    def wire(self, producer: str, channel: str, consumer: str, *symbols: str) -> None:
        self.edges.append(
            Edge(consumer=consumer, channel=Channel(channel), producer=producer, symbols=symbols)
        )

    def remove(self, name: str) -> None:
        del self.plugins[name]

    async def until(self, state: Callable[[], object], *, within: float = DEADLINE) -> None:
        """Poll until `state()` is true; fail at the deadline."""
        end = time.monotonic() + within
        while not state():
            assert time.monotonic() < end, "the state was not reached in time"
            await asyncio.sleep(0.01)

    def start(self) -> None:
        launch = self.broker.launch()
        assert launch is not None
        self.server.start(launch.argv)

    async def ensure(self) -> None:
        assert not await ensured(self.broker, self.rights())

    def rights(self) -> Mapping[str, Rights]:
        return rights(Desired("test", 1, self.plugins), self.edges)

    def another_broker(self) -> NatsBroker:
        """What a controller makes that begins anew, of the same server."""
        return NatsBroker(self.folder / "broker", project="test")

    def refusals(self) -> list[str]:
        """What the server refused, over all links."""
        return [words for heard in self.errors.values() for words in heard if "violation" in words]

    async def streams(self) -> set[str]:
        """Return those of signals and fills, and of those that nobody could take."""
        kinds = ("SIG_", "FILL_", "DLQ_", "TRY_")
        return {name for name in await self.all_streams() if name.startswith(kinds)}

    async def all_streams(self) -> set[str]:
        async with self.core() as core:
            listed = await core.ask("$JS.API.STREAM.NAMES")
        return set(listed["streams"] or ())

    async def stored(self, stream: str) -> list[tuple[int, str, bytes]]:
        """Every message of a stream: sequence, id, payload."""
        found = []
        async with self.core() as core:
            info = await core.ask(f"$JS.API.STREAM.INFO.{stream}")
            state = info["state"]
            for seq in range(state["first_seq"], state["last_seq"] + 1):
                answer = await core.ask(f"$JS.API.STREAM.MSG.GET.{stream}", {"seq": seq})
                if "message" in answer:
                    message = answer["message"]
                    headers = base64.b64decode(message.get("hdrs", "")).decode()
                    msg_id = headers.partition("Nats-Msg-Id: ")[2].partition("\r\n")[0]
                    found.append((seq, msg_id, base64.b64decode(message.get("data", ""))))
        return found

    async def kept(self, stream: str, *payloads: bytes, within: float = DEADLINE) -> None:
        """Return when a stream holds these; fail at the deadline."""
        end = time.monotonic() + within
        while tuple(payload for _, _, payload in await self.stored(stream)) != payloads:
            assert time.monotonic() < end, f"{stream} does not hold what it should"
            await asyncio.sleep(0.01)

    def core(self) -> AbstractAsyncContextManager[Life]:
        return dial(self.broker.address(), self.broker.core_credentials(), name="test")

    def link(self, name: str, at: str = "") -> AbstractAsyncContextManager[Link]:
        """Connect as this plugin, with the credential that it was given; `at`: to this server alone."""
        folder = self.folder / "run" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CREDENTIALS_FILE).write_bytes(self.broker.credentials(name))
        servers = (at or self.broker.address()).split(",")
        address = BusAddress(servers=[f"nats://{each}" for each in servers])
        heard = self.errors.setdefault(name, [])
        return connect(folder, address, plain=True, name=name, on_error=heard.append)


def populate(world: World) -> None:
    """Alpha (source) -> beta (strategy) -> gamma (executor) -> fills back to beta."""
    world.add("alpha", Kind.DATA_SOURCE)
    world.add("beta", Kind.STRATEGY)
    world.add("gamma", Kind.EXECUTOR)
    world.wire("alpha", "data", "beta")
    world.wire("alpha", "data", "gamma", "BTCUSDT")
    world.wire("beta", "signal", "gamma")
    world.wire("gamma", "fill", "beta")


@asynccontextmanager
async def clustered(three: Cluster, folder: Path) -> AsyncIterator[World]:
    """What `populate` makes, on a cluster that is not ours."""
    world = World(folder, external=three.external)
    populate(world)
    async with world.broker:
        await world.ensure()
        yield world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """What `populate` makes, on a server of its own."""
    world = World(tmp_path)
    populate(world)
    try:
        async with world.broker:
            world.start()
            await world.ensure()
            yield world
    finally:
        world.server.kill()
