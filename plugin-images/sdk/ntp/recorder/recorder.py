"""Runs one data source and hands what it sends to a sink, until there is enough of it."""

import asyncio
import contextlib
import contextvars
import inspect
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ntp.contract.messages import MarketData
from ntp.live.line import overhear
from ntp.plugin import DataSourcePlugin, PermanentError
from ntp.recorder.fault import RecordError
from ntp.recorder.part_file import PartFile, full
from ntp.recorder.sink import Sink
from ntp.recorder.source import Source
from ntp.runner.core import border, conditions
from ntp.runner.core.objects import ConfigRefusedError, Maker
from ntp.runner.core.tick_ids import Identify
from ntp.runner.load import place

OPEN_S = 30.0
"""For initialize, connect and subscribe, each."""
CLOSE_S = 5.0
"""For unsubscribe, disconnect and shutdown together."""
LOOK_S = 1.0
MOST_NOTES = 1000


@dataclass(frozen=True, slots=True)
class Note:
    """Something that whoever uses the recording should know. `at`: UTC."""

    at: datetime
    what: str


@dataclass(slots=True)
class Story:
    """How a recording went.

    Attributes:
        symbols: ticks of each; of frames those that were made of them.
        first: event time of the first tick; `last` of the newest.
        refused: ticks that were none: a price that is no number, and the like; and the last reason.
        ended: why it ended; `failed`: that it was to go on.
        report: what the source says of itself at the end.
    """

    symbols: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None
    notes: list[Note] = field(default_factory=list)
    refusals: border.Refusals = field(default_factory=border.Refusals)
    reconnects: int = 0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    ended: str = ""
    failed: bool = False
    report: dict[str, Any] = field(default_factory=dict)


class Recorder:
    """Makes one recording.

    Args:
        count: rows or frames after which it ends; None: no limit.
        for_s: seconds after which it ends.
        tell: is told each note as it is made, and None every second.
    """

    def __init__(
        self,
        source: Source,
        config: dict[str, Any],
        sink: Sink,
        file: PartFile,
        *,
        count: int | None,
        for_s: float | None,
        tell: Callable[[Note | None], None],
    ) -> None:
        self._source = source
        self._sink = sink
        self._file = file
        self._count = count
        self._for_s = for_s
        self._tell = tell
        self._enough = asyncio.Event()
        self._wrong: dict[str, str] = {}
        self._closed: RecordError | None = None
        self.story = Story()
        self._plugin = self._made(config)

    def _made(self, config: dict[str, Any]) -> DataSourcePlugin:
        def make(given: dict[str, Any]) -> DataSourcePlugin:
            # The lines that it makes are overheard for ever after.
            context = contextvars.copy_context()
            context.run(overhear.set, self._heard)
            return context.run(self._source.make, given)

        maker: Maker[DataSourcePlugin] = Maker(make, config, instance=self._source.name)
        try:
            return maker.new()
        except ConfigRefusedError as error:
            raise RecordError(f"{self._source.name}: {error}", "see --set", usage=True) from error

    async def run(self, stop: asyncio.Event) -> Story:
        """Record until there is enough, or `stop`. Then `leave`, whatever came of it.

        Raises:
            RecordError: the source cannot be opened.
        """
        began, story = time.monotonic(), self.story
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._read()),
                tasks.create_task(self._look()),
                tasks.create_task(self._enough.wait()),
                tasks.create_task(stop.wait()),
            ]
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for each in running:
                each.cancel()
        story.seconds = time.monotonic() - began
        story.ended = story.ended or "interrupted"
        self._flush()
        self._notice()
        if self._closed is not None:
            raise self._closed
        return story

    async def leave(self) -> None:
        """Say goodbye to the exchange, who would find out by itself too."""
        plugin = self._plugin
        symbols = plugin.config.get("symbols", [])
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_S):
                if symbols:
                    await plugin.unsubscribe(symbols)
                await plugin.disconnect()
                await plugin.shutdown()

    async def _read(self) -> None:
        try:
            await self._open()
        except RecordError as error:
            self._closed = error
            return
        limit = asyncio.timeout(self._for_s)
        try:
            async with limit:
                await self._stream()
        except PermanentError as error:
            self._end(f"{error.reason}: {error.message}", failed=True)
        except Exception as error:  # noqa: BLE001 - the author's code may raise anything
            if isinstance(error, TimeoutError) and limit.expired():
                self._end("the time is over")
                return
            where = place(error, self._source.code)
            words = f"the source raised {type(error).__name__}: {error}{where}"
            self._end(words, failed=True)
        else:
            self._end("the source has ended", failed=not self._plugin.finite)

    def _end(self, why: str, *, failed: bool = False) -> None:
        """Note why it ends; the first reason counts."""
        if not self.story.ended:
            self.story.ended, self.story.failed = why, failed
        self._enough.set()

    async def _open(self) -> None:
        plugin = self._plugin
        symbols = plugin.config.get("symbols", [])
        await self._within("initialize()", plugin.initialize())
        if await self._within("connect()", plugin.connect()) is False:
            raise RecordError(f"{self._source.name}: connect() returned False")
        if symbols and await self._within("subscribe()", plugin.subscribe(symbols)) is False:
            raise RecordError(f"{self._source.name}: subscribe({symbols}) returned False")

    async def _within(self, what: str, step: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(OPEN_S):
                return await step
        except TimeoutError as error:
            words = f"{self._source.name}: {what} took more than {OPEN_S:.0f} s"
            raise RecordError(words) from error
        except PermanentError as error:
            raise RecordError(f"{error.reason}: {error.message}") from error
        except Exception as error:
            where = place(error, self._source.code)
            words = f"{self._source.name}: {what} raised {type(error).__name__}: {error}{where}"
            raise RecordError(words) from error

    async def _stream(self) -> None:
        story, sink = self.story, self._sink
        identify = Identify(self._source.name, finite=self._plugin.finite)
        stream: Any = self._plugin.stream()
        if inspect.iscoroutine(stream):  # an `async def` that returns a generator
            stream = await stream
        async with aclosing(stream) as items:
            count = 0
            async for item in items:
                count += 1
                if not count % 256:
                    await asyncio.sleep(0)  # a recording never waits by itself
                try:
                    tick = border.tick(item, identify)
                except border.RefusedError as error:
                    story.refusals.note(error)
                    continue
                if self._write(sink.tick, tick):
                    self._took(tick)
                if self._enough.is_set():
                    break

    def _took(self, tick: MarketData) -> None:
        story = self.story
        story.symbols[tick.symbol] += 1
        story.first = tick.timestamp if story.first is None else story.first
        story.last = tick.timestamp

    def _heard(self, frame: bytes) -> None:
        self._write(self._sink.frame, frame)

    def _write(self, write: Callable[[Any], bool], what: Any) -> bool:
        """Return whether the sink took it."""
        if self._enough.is_set():
            return False
        taken = False
        try:
            taken = write(what)
        except OSError as error:
            self._disk(error)
        if self._count is not None and self._sink.taken >= self._count:
            self._end(f"{self._count:,} {self._sink.what} are there")
        return taken

    def _flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self._disk(error)

    def _disk(self, error: OSError) -> None:
        words = "the disk is full" if full(error) else f"the disk fails: {error.strerror}"
        self.story.ended, self.story.failed = words, True  # whatever else has ended it
        self._enough.set()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._flush()
            self._notice()
            self._tell(None)

    def _notice(self) -> None:
        """Note what has begun to be wrong with the source, and what is over."""
        story = self.story
        try:
            story.report = dict(self._plugin.report())
            now = conditions.checked(self._plugin.conditions())
        except Exception as error:  # noqa: BLE001 - as above; what it sends is recorded all the same
            now = {"NoConditions": f"conditions() or report() raised {type(error).__name__}"}
        # What comes after it counts down to the next try.
        now = {word: message.partition(";")[0] for word, message in now.items()}
        for word, message in now.items():
            if self._wrong.get(word) != message:
                self._note(f"{word}: {message}")
        for word in self._wrong.keys() - now.keys():
            self._note(f"{word} is over")
        self._wrong = now
        connections = story.report.get("connections")
        if isinstance(connections, int) and connections - 1 > story.reconnects:
            story.reconnects = connections - 1
            self._note(f"reconnected: {story.report.get('last_end') or 'the connection was lost'}")

    def _note(self, what: str) -> None:
        note = Note(datetime.now(UTC), what)
        if len(self.story.notes) < MOST_NOTES:
            self.story.notes.append(note)
        self._tell(note)
