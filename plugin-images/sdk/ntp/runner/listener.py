"""Hearing ticks and indicator values, and bringing them to the plugin one run after another."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from ntp.connection import Link, Message
from ntp.contract import subjects
from ntp.contract.launch import LaunchFile
from ntp.contract.messages import DataBatch, IndicatorBatch
from ntp.contract.names import Kind
from ntp.runner.core import border
from ntp.runner.core.intake import MOST_LEADS, Intake, decode_data, decode_values
from ntp.runner.core.joined import joined
from ntp.runner.core.lead import Lead, Run
from ntp.runner.core.newest import Newest
from ntp.runner.core.replay import Batch, Stored
from ntp.runner.core.shortfall import told
from ntp.runner.core.wanted import wanted
from ntp.runner.ending import EndError, say

SLICE_S = 0.001
"""Seconds of work after which others have their turn: the loop (beats, pings) and other producers."""
READ_AGAIN_S = 1.0
"""Seconds between two readings of what is missing."""
SILENT = "the broker did not answer in time"
FAR_MS = 120_000
"""How far back what is missing is looked for, milliseconds."""

Feed = Callable[[Run, int, float], Awaitable[int]]
"""Hands ticks of a run from an index on to the plugin, until a time; returns the next index."""
Emit = Callable[[], Awaitable[None]]
B = TypeVar("B", DataBatch, IndicatorBatch)


class Listener:
    """Subscribes to all inputs of one plugin.

    Args:
        open_lead: makes what a lead needs, before its first run.
        feed: shows ticks to the plugin.
        emit: sends what came of it.
    """

    def __init__(
        self,
        launch: LaunchFile,
        refusals: border.Refusals,
        *,
        open_lead: Callable[[Lead], Awaitable[None]],
        feed: Feed,
        emit: Emit,
    ) -> None:
        self._launch = launch
        self._refusals = refusals
        self._open_lead = open_lead
        self._feed = feed
        self._emit = emit
        self._link: Link
        self.turn = asyncio.Lock()
        """Held while the plugin is shown something, so that nothing overtakes."""
        self.intake = Intake(launch.inputs, launch.indicator_wait_s)
        overtaken = any(one.policy == "latest" for one in launch.inputs)
        self._newest = Newest() if overtaken else None
        self._taking = False
        """What came is being shown, or waits for that."""
        self._inside = False
        """Of `_taking`: it is its turn."""
        self._senders: dict[str, tuple[str, str]] = {}
        """By subject, who and what may stand in its messages, as far as it was checked."""
        self._read_at = 0.0

    @property
    def can_rewind(self) -> bool:
        return self._link.can_rewind

    @property
    def idle(self) -> bool:
        """Whether nothing has come that was not shown."""
        waits = self._taking or self._link.stats.waiting
        return not waits and not self.intake.incomplete

    @property
    def producers(self) -> list[str]:
        """Whom we hear."""
        flows = {Kind.DATA_SOURCE, Kind.INDICATOR}
        return sorted({one.instance for one in self._launch.inputs if one.kind in flows})

    async def listen(self, link: Link) -> int:
        """Subscribe; return when, milliseconds since 1970. What is published from then on reaches us."""
        self._link = link
        for source, symbol in wanted(self._launch, Kind.DATA_SOURCE):
            await link.hear(subjects.data_in(source, symbol), source, self._data)
        for indicator, symbol in wanted(self._launch, Kind.INDICATOR):
            await link.hear(subjects.indicator_in(indicator, symbol), indicator, self._values)
        return int(time.time() * 1000)

    async def captured(self, producer: str, since_ms: int, before: int = 0) -> list[Message]:
        """Return what the bus has kept of a producer; see `Link.captured`.

        Raises:
            TimeoutError: the broker does not answer.
        """
        return await self._link.captured(producer, since_ms, before)

    def decoded(self, messages: Iterable[Message]) -> Iterator[Stored]:
        """Yield what was captured, as far as it is what its subject says."""
        for message in messages:
            batch = self._captured(message.subject, message.payload)
            if batch is not None:
                yield Stored(message.stored_ms, batch)

    def _captured(self, subject: str, payload: bytes) -> Batch | None:
        """Read what was captured; None where it is not what its subject says, which alone vouches."""
        try:
            _, producer, channel, _ = subject.split(".")
            batch: Batch = decode_data(payload) if channel == "data" else decode_values(payload)
            border.heard(batch)
        except (ValueError, msgspec.MsgspecError) as error:
            self._refusals.note(f"what was captured on {subject} is not taken: {error}")
            return None
        sender = batch.source if isinstance(batch, DataBatch) else batch.indicator
        if (sender, subject) == (producer, subjects.captured(producer, channel, batch.symbol)):
            return batch
        self._refusals.note(f"a message on {subject} says it is {batch.symbol} from {sender}")
        return None

    def taken(self, batch: Batch) -> list[Run]:
        """Return what is ready once a batch has come."""
        if isinstance(batch, DataBatch):
            return self.intake.data(batch, time.monotonic())
        return self.intake.values(batch)

    async def expire(self) -> None:
        """Let ticks go on whose indicator values do not come; call about ten times a second."""
        async with self.turn:
            await self._read_missing()
            await self.show(self.intake.expire(time.monotonic()))

    async def flush(self) -> None:
        """Hand out what waits, whatever it waits for."""
        async with self.turn:
            await self.show(self.intake.flush())

    def warnings(self) -> dict[str, str]:
        """Return what a person should know of the inputs, by condition type."""
        return told(self.intake)

    async def _data(self, messages: list[tuple[str, bytes]]) -> None:
        await self._take(joined(self._batches(messages, decode_data, subjects.data_in)))

    async def _values(self, messages: list[tuple[str, bytes]]) -> None:
        await self._take(self._batches(messages, decode_values, subjects.indicator_in))

    def _batches(
        self,
        messages: list[tuple[str, bytes]],
        decode: Callable[[bytes], B],
        name: Callable[[str, str], str],
    ) -> Iterator[B]:
        """Yield what is in messages, as far as it is what their subjects say."""
        for subject, payload in messages:
            try:
                batch = decode(payload)
                border.heard(batch)
            except (msgspec.MsgspecError, border.RefusedError) as error:
                self._refusals.note(f"a message on {subject} is not taken: {error}")
                continue
            sender = batch.source if isinstance(batch, DataBatch) else batch.indicator
            if self._is_from(subject, sender, batch.symbol, name):
                yield batch

    async def _take(self, batches: Iterable[Batch]) -> None:
        if self._inside:  # between two slices of what another producer sent
            for batch in batches:
                await self.show(self.taken(batch))
            return
        self._taking = True
        async with self.turn:
            self._inside = True
            try:
                for batch in batches:
                    await self.show(self.taken(batch), give_way=self._link.give_way)
            finally:
                self._inside = self._taking = False
            if self.intake.incomplete:
                await self._read_missing()

    async def _read_missing(self) -> None:
        """Read again what never came, where the bus has captured it; not more often than every second."""
        missing, now = self.intake.missing(), time.monotonic()
        if not missing or now - self._read_at < READ_AGAIN_S:
            return
        self._read_at = now
        since_ms = int(time.time() * 1000) - FAR_MS
        for producer in sorted(missing):
            try:
                messages = await self.captured(producer, since_ms)
            except TimeoutError as error:
                say(f"what is missing of {producer} cannot be read again: {str(error) or SILENT}")
                continue
            for _, batch in self.decoded(messages):
                if isinstance(batch, DataBatch):
                    await self.show(self.intake.fill(batch, now), more=True)
                else:
                    await self.show(self.intake.fill_values(batch), more=True)
            self.intake.was_read(producer)
        await self.show(())

    def _is_from(
        self, subject: str, sender: str, symbol: str, name: Callable[[str, str], str]
    ) -> bool:
        """Whether a message says what its subject says, which alone the bus vouches for."""
        if self._senders.get(subject) == (sender, symbol):
            return True
        if subject != name(sender, symbol):
            self._refusals.note(f"a message on {subject} says it is {symbol} from {sender}")
            return False
        if len(self._senders) < MOST_LEADS:
            self._senders[subject] = (sender, symbol)
        return True

    async def show(
        self, runs: Iterable[Run], *, more: bool = False, give_way: Emit | None = None
    ) -> None:
        """Show what an input's policy wants shown; `more`: there is more to come at once.

        Raises:
            EndError: ticks are lost, and the policy is to end then.
        """
        if self.intake.failed:
            words = f"{self.intake.failed} were sent and never came, and the input's policy is all-or-fail"
            raise EndError("TicksLost", f"{words}; to go on without them write policy: all")
        if self._newest is not None:
            more = more or self._link.stats.waiting > 0
            runs = self._newest.of(runs, time.monotonic(), more=more)
        await self.process(runs, give_way=give_way)

    async def process(
        self,
        runs: Iterable[Run],
        feed: Feed | None = None,
        emit: Emit | None = None,
        *,
        give_way: Emit | None = None,
    ) -> None:
        """Show runs to the plugin and send what comes of it; in other ways where they are given.

        A run whose lead is being shown already waits behind that.
        """
        runs = list(runs)
        for run in runs:  # all of them before the first wait: what comes meanwhile is behind them
            run.lead.runs.append(run)
        for run in runs:
            if run.lead.runs and not run.lead.shown:
                await self._show(run.lead, feed or self._feed, emit or self._emit, give_way)

    async def _show(self, lead: Lead, feed: Feed, emit: Emit, give_way: Emit | None) -> None:
        if lead.work is None:
            await self._open_lead(lead)
        lead.shown = True
        try:
            while lead.runs:
                run = lead.runs[0]
                lead.at = await feed(run, lead.at, time.monotonic() + SLICE_S)
                if lead.at >= len(run.ticks):
                    lead.runs.popleft()
                    lead.at = 0
                    run.over()
                await emit()
                if lead.runs:
                    await (give_way or _turn_of_the_loop)()
        finally:
            lead.shown = False


async def _turn_of_the_loop() -> None:
    await asyncio.sleep(0)
