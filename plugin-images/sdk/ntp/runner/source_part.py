"""A data source on the bus: what its stream yields goes out at once, in batches of what waits."""

import asyncio
import inspect
import time
from collections import deque
from collections.abc import Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from ntp.connection import Link
from ntp.contract import subjects
from ntp.contract.beat import Pushed
from ntp.contract.launch import LaunchFile
from ntp.plugin import BasePlugin, DataSourcePlugin
from ntp.runner.beats import Figures
from ntp.runner.core import border, conditions, controls
from ntp.runner.core.feed import WATERMARK_S, Feed
from ntp.runner.core.kept import Kept
from ntp.runner.core.objects import ConfigRefusedError, Maker, overrides
from ntp.runner.core.outlook import Outlook
from ntp.runner.ending import EndError, say
from ntp.runner.keeper import Keeper
from ntp.runner.memory import LAG_S

SLICE_S = 0.05
LOOK = 32
"""Ticks between looks at the clock."""


class SourcePart:
    def __init__(
        self,
        launch: LaunchFile,
        maker: Maker[DataSourcePlugin],
        incarnation: str,
        refusals: border.Refusals,
    ) -> None:
        self._maker = maker
        self._launch = launch
        self._incarnation = incarnation
        self._refusals = refusals
        self._plugin: DataSourcePlugin
        self._feed: Feed
        self._outlook: Outlook
        self._symbols: list[str] = []
        self._pushed: Pushed | None = None
        self._subjects: dict[str, str] = {}
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._stopped = asyncio.Event()
        self._trail: deque[tuple[float, str]] = deque()
        """Where it was, and when (monotonic)."""
        self._keeper: Keeper
        self._position = ""
        self._reading: asyncio.Task[None] | None = None
        self._link: Link

    def prepare(self) -> None:
        plugin = self._plugin = self._maker.new()
        self._finite = plugin.finite
        self._resumes = overrides(plugin, "resume", DataSourcePlugin)
        self._feed = Feed(
            self._launch.instance, self._incarnation, self._refusals, finite=plugin.finite
        )
        self._symbols = _symbols(plugin.config)
        self._feed.expect(self._symbols)
        speaks = overrides(plugin, "conditions", DataSourcePlugin)
        self._outlook = Outlook(speaks=speaks, now=time.monotonic())

    async def start(self, link: Link) -> None:
        self._link = link
        self._keeper = Keeper(self._maker.storage, link.bucket)
        plugin, deadline = self._plugin, self._maker.deadline
        await self._maker.initialize(plugin)
        position = (await self._keeper.load()).position if self._resumes else ""
        if position:
            plugin.resume(position)
        if await deadline("connect", plugin.connect()) is False:
            raise EndError("ConnectFailed", "connect() returned False")
        if self._symbols and await deadline("subscribe", plugin.subscribe(self._symbols)) is False:
            raise EndError("SubscribeFailed", f"subscribe({self._symbols}) returned False")

    async def listen(self) -> None:
        await self._link.subscribe(subjects.CONTROL, self._control)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send())
            marking = tasks.create_task(self._mark())
            self._reading = tasks.create_task(self._stream())
            await self._stopped.wait()
            sending.cancel()
            marking.cancel()

    def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._stopped.set()

    async def drain(self) -> None:
        await self._flush()
        plugin, deadline = self._plugin, self._maker.deadline
        if self._symbols:
            await deadline("unsubscribe", plugin.unsubscribe(self._symbols))
        await deadline("disconnect", plugin.disconnect())
        await self._link.drain()
        await self._remember(at_once=True)

    def exhausted(self) -> bool:
        return self._ended

    def figures(self) -> Figures:
        return Figures(
            sent=list(self._feed.flows()),
            newest=self._feed.newest,
            report=self._plugin.report(),
            pushed=self._pushed,
            warnings=self._warnings(),
        )

    def _warnings(self) -> dict[str, str]:
        try:
            found = conditions.checked(self._plugin.conditions())
        except border.RefusedError as error:
            self._refusals.note(error)
            found = {}
        if self._finite:
            return found
        newest, now = self._feed.newest, datetime.now(UTC)
        return found | self._outlook.conditions(newest, at=now, now=time.monotonic())

    def busy(self) -> Iterable[tuple[str, float]]:
        return ()

    def objects(self) -> Iterable[BasePlugin]:
        return [self._plugin]

    async def _control(self, _: str, payload: bytes) -> None:
        """Take a pushed symbol list; whether it was taken is in every beat from then on."""
        told = controls.read(payload, self._refusals)
        newest = controls.newest(self._pushed, self._launch.generation)
        if told is None or told.symbols is None or told.generation <= newest:
            return
        try:
            refusal = await self._take(_symbols({"symbols": told.symbols}))
        except border.RefusedError as error:
            refusal = str(error)
        except EndError as error:
            # No end of this life: it sends on until its successor is ready to be started.
            refusal = error.termination.message
        if refusal:
            say(f"the symbols {told.symbols} that were pushed are not taken: {refusal}")
        self._pushed = controls.taken(told.generation, refusal)

    async def _take(self, wanted: list[str]) -> str:
        """Subscribe to what was added, not any more to what went; return why that cannot be.

        Raises:
            EndError: a callback raised, or took longer than the timeout.
        """
        plugin, deadline = self._plugin, self._maker.deadline
        gone = [symbol for symbol in self._symbols if symbol not in wanted]
        new = [symbol for symbol in wanted if symbol not in self._symbols]
        if new and self._ended:
            return f"its stream has ended; only a new start brings {', '.join(new)}"
        before = plugin.config
        if not isinstance(before, dict):
            return f"its `config` is a {type(before).__name__}, which cannot be given other symbols"
        plugin.config = {**before, "symbols": wanted}
        try:
            self._maker.check(plugin)
        except ConfigRefusedError as error:
            plugin.config = before
            return str(error)
        self._symbols = wanted
        if gone and await deadline("unsubscribe", plugin.unsubscribe(gone)) is False:
            return f"unsubscribe({gone}) returned False"
        if new and await deadline("subscribe", plugin.subscribe(new)) is False:
            return f"subscribe({new}) returned False"
        self._feed.expect(new)
        return ""

    async def _stream(self) -> None:
        await self._read()
        if not self._finite:
            raise EndError(
                "StreamEnded",
                "stream() returned, but a market does not end;"
                " fix: reconnect inside stream(), or say `finite = True` in a recording's class",
            )
        await self._flush()
        self._ended = True
        if self._resumes:
            await self._keep("")  # the next life begins at the beginning
        await self._watermarks()
        self._link.news.ring()

    async def _read(self) -> None:
        feed, some, clock = self._feed, self._some, time.monotonic
        stream: Any = self._plugin.stream()
        if inspect.iscoroutine(stream):  # an `async def` that returns a generator
            stream = await stream
        if not hasattr(stream, "__aiter__"):
            raise EndError(
                "StreamEnded", "stream() is no async generator; fix: `yield` in it", permanent=True
            )
        until, count = clock() + SLICE_S, 0
        async with aclosing(stream):
            async for item in stream:
                if feed.take(item) is not None and not some.is_set():
                    some.set()
                count += 1
                if feed.full:
                    self._room.clear()
                    await self._room.wait()
                    until = clock() + SLICE_S
                elif not count % LOOK and clock() >= until:
                    # A stream that never has to wait would keep beats and pings from their turn.
                    await asyncio.sleep(0)
                    until = clock() + SLICE_S

    async def _send(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            await self._flush()
            self._room.set()

    async def _remember(self, *, at_once: bool = False) -> None:
        """Keep where it is: where it was a while ago, unless all that it sent has arrived."""
        if not self._resumes or self._ended or not self._position:
            return
        now, trail = time.monotonic(), self._trail
        trail.append((now, self._position))
        while len(trail) > 1 and trail[1][0] <= now - LAG_S:
            trail.popleft()
        if at_once:
            await self._keep(self._position)
        elif trail[0][0] <= now - LAG_S:
            await self._keep(trail[0][1])

    async def _keep(self, position: str) -> None:
        try:
            await self._keeper.save(Kept(position=position))
        except OSError as error:
            say(f"where it is was not kept: {error}")

    async def _flush(self) -> None:
        newest = self._feed.newest
        for batch, payload in self._feed.batches():
            await self._link.publish(self._subject(batch.symbol), payload, numbered=True)
        if newest is not None:
            self._position = newest.id

    async def _mark(self) -> None:
        while True:
            await asyncio.sleep(WATERMARK_S)
            await self._watermarks()
            await self._remember()

    async def _watermarks(self) -> None:
        for batch, payload in self._feed.watermarks(end=self._ended):
            await self._link.publish(self._subject(batch.symbol), payload, fleeting=not self._ended)

    def _subject(self, symbol: str) -> str:
        subject = self._subjects.get(symbol)
        if subject is None:
            subject = self._subjects[symbol] = subjects.data(symbol)
        return subject


def _symbols(config: dict[str, Any]) -> list[str]:
    given = config.get("symbols")
    if isinstance(given, str):
        return [given]
    return [border.symbol(one) for one in given] if isinstance(given, list | tuple) else []
