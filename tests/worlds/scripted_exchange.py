"""A WebSocket server on loopback that does what a test tells it, frame by frame; and a source at it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from ntp import DataSourcePlugin, MarketData
from ntp.live.line import Line

DEADLINE = 20.0


async def within(awaitable: Any, seconds: float = DEADLINE) -> Any:
    async with asyncio.timeout(seconds):
        return await awaitable


class Caller:
    """One connection. Attributes: `arrivals`, when each request came, monotonic."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.path = connection.request.path
        self.arrivals: list[float] = []
        self._requests: asyncio.Queue[dict] = asyncio.Queue()
        self.gone = asyncio.Event()

    async def serve(self) -> None:
        try:
            async for message in self.connection:
                self.arrivals.append(time.monotonic())
                self._requests.put_nowait(json.loads(message))
        except ConnectionClosed:
            pass
        finally:
            self.gone.set()

    async def request(self) -> dict:
        """Return the next request."""
        return await within(self._requests.get())

    def asked_nothing(self) -> bool:
        """Whether no request waits."""
        return self._requests.empty()

    async def send(self, *frames: Any) -> None:
        """Send each as one frame: text as it is, all else as JSON."""
        for frame in frames:
            await self.connection.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.connection.close(code, reason)

    def cut(self) -> None:
        """End it without a word: 1006."""
        self.connection.transport.abort()


class ScriptedExchange:
    """Attributes: `callers`, all that ever connected, in order."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self._came = asyncio.Condition()
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def caller(self, number: int) -> Caller:
        """Return the connection with this number, counted from 0."""
        async with self._came:
            await within(self._came.wait_for(lambda: len(self.callers) > number))
        return self.callers[number]

    async def serve(self, connection: ServerConnection) -> None:
        caller = Caller(connection)
        async with self._came:
            self.callers.append(caller)
            self._came.notify_all()
        await caller.serve()


@asynccontextmanager
async def exchange(port: int = 0) -> AsyncIterator[ScriptedExchange]:
    scripted = ScriptedExchange()
    async with serve(scripted.serve, "127.0.0.1", port, compression=None) as server:
        scripted.port = server.sockets[0].getsockname()[1]
        yield scripted


class Running:
    """A source at work, as a runner has it."""

    def __init__(self, plugin: DataSourcePlugin) -> None:
        self.plugin = plugin
        self.ended: BaseException | None = None
        self._ticks: asyncio.Queue[MarketData] = asyncio.Queue()

    async def stream(self) -> None:
        try:
            async with aclosing(self.plugin.stream()) as stream:
                async for tick in stream:
                    self._ticks.put_nowait(tick)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.ended = error

    async def tick(self) -> MarketData:
        return await within(self._ticks.get())

    async def ticks(self, count: int) -> list[MarketData]:
        return [await self.tick() for _ in range(count)]

    async def until(self, state: Any) -> Any:
        """Poll until `state()` is true, and return it."""
        ends = time.monotonic() + DEADLINE
        while not (found := state()):
            assert time.monotonic() < ends, (self.plugin.report(), self.plugin.conditions())
            await asyncio.sleep(0.005)
        return found


class Prices(DataSourcePlugin):
    """A source on a line: each frame is a price."""

    def __init__(self, line: Line) -> None:
        super().__init__({})
        self.line = line

    async def stream(self):
        async for frame in self.line.frames():
            self.line.heard()
            yield MarketData(None, "A", float(frame), 0.0)

    def conditions(self):
        return self.line.conditions()

    def report(self):
        return self.line.report()


@asynccontextmanager
async def running(plugin: DataSourcePlugin) -> AsyncIterator[Running]:
    """Do what a runner does, and cancel the stream at the end."""
    assert plugin.validate_config()
    source = Running(plugin)
    await plugin.initialize()
    assert await plugin.connect()
    assert await plugin.subscribe(plugin.config.get("symbols", []))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(source.stream())
        try:
            yield source
        finally:
            task.cancel()
    await plugin.disconnect()
    await plugin.shutdown()
