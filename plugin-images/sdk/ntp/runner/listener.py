"""Hearing ticks and indicator values, and bringing them to the plugin one run after another."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from ntp.connection import Link
from ntp.contract import subjects
from ntp.contract.beat import Replayed
from ntp.contract.launch import LaunchFile
from ntp.contract.messages import DataBatch, SignalMessage
from ntp.contract.names import Kind
from ntp.runner.beats import latest
from ntp.runner.core import border, replay
from ntp.runner.core.intake import MOST_LEADS, Intake, decode_data, decode_values
from ntp.runner.core.lead import Lead, Run
from ntp.runner.core.replay import Batch
from ntp.runner.ending import say

SLICE_S = 0.05
"""Seconds of work after which the rest of the loop has its turn (beats, pings)."""


class Listener:
    """Subscribes to all inputs of one plugin.

    Args:
        open_lead: makes what a lead needs, before its first run.
        feed: hands ticks of a run from an index on to the plugin, until a time; returns the next index.
        emit: sends what came of it.
        forget: drops what came of it instead, and returns the signals among it; None: nothing may be
            shown to this plugin twice.

    Attributes:
        replayed: what was shown again, and is told in every beat; None: nothing was asked for.
    """

    def __init__(
        self,
        launch: LaunchFile,
        refusals: border.Refusals,
        *,
        open_lead: Callable[[Lead], Awaitable[None]],
        feed: Callable[[Run, int, float], Awaitable[int]],
        emit: Callable[[], Awaitable[None]],
        forget: Callable[[], Iterable[SignalMessage]] | None = None,
    ) -> None:
        self._launch = launch
        self._refusals = refusals
        self._open_lead = open_lead
        self._feed = feed
        self._emit = emit
        self._forget = forget
        self.turn = asyncio.Lock()
        """Held while the plugin is shown something, so that nothing overtakes."""
        self.intake = Intake(launch.inputs, launch.indicator_wait_s)
        self._senders: dict[str, tuple[str, str]] = {}
        """By subject, who and what may stand in its messages, as far as it was checked."""
        self.replayed: Replayed | None = None

    async def listen(self, link: Link) -> None:
        """Subscribe. What is published after our next message on this link reaches us.

        Where the launch asks for it, the plugin is first shown the last captured ticks. What comes
        meanwhile waits behind them; by their numbers no tick is missed, and none seen twice.
        """
        async with self.turn:
            await self._subscribe(link)
            if self._launch.replay and self._forget is not None:
                self.replayed = await self._replay(link, self._forget)

    async def _subscribe(self, link: Link) -> None:
        for source, symbol in _wanted(self._launch, Kind.DATA_SOURCE):
            await link.subscribe(subjects.data_in(source, symbol), self._data)
        for indicator, symbol in _wanted(self._launch, Kind.INDICATOR):
            await link.subscribe(subjects.indicator_in(indicator, symbol), self._values)
        self.intake.listening_ms = int(time.time() * 1000)

    async def _replay(self, link: Link, forget: Callable[[], Iterable[SignalMessage]]) -> Replayed:
        began = time.monotonic()
        try:
            messages = await link.captured()
        except TimeoutError as error:
            words = str(error) or "the broker did not answer in time"
            say(f"no tick was replayed: {words}")
            return Replayed(0, 0, time.monotonic() - began, problem=words)
        newest_first = (self._captured(each.subject, each.payload) for each in reversed(messages))
        batches = replay.last_ticks(filter(None, newest_first), self._launch.replay)
        made: list[SignalMessage] = []

        async def keep() -> None:
            made.extend(forget())

        for batch in batches:
            await self._process(self._taken(batch), keep)
        await self._process(self.intake.flush(), keep)
        self.intake.count_from_here()
        last = latest(made[-1]) if made else None
        return Replayed(replay.count(batches), len(made), time.monotonic() - began, last)

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

    def _taken(self, batch: Batch) -> list[Run]:
        if isinstance(batch, DataBatch):
            return self.intake.data(batch, time.monotonic())
        return self.intake.values(batch)

    async def expire(self) -> None:
        """Let ticks go on whose indicator values do not come; call about ten times a second."""
        async with self.turn:
            await self._process(self.intake.expire(time.monotonic()), self._emit)

    async def flush(self) -> None:
        """Hand out what waits, whatever it waits for."""
        async with self.turn:
            await self._process(self.intake.flush(), self._emit)

    def warnings(self) -> dict[str, str]:
        """Return what a person should know of the inputs, by condition type."""
        intake, found = self.intake, {}
        lost = sum(lead.edge.lost for lead in intake.leads.values())
        if lost:
            found["TicksLost"] = f"{lost} ticks were sent and never came"
        late = sum(
            known.late for lead in intake.leads.values() for known in lead.indicators.values()
        )
        if late:
            found["IndicatorsLate"] = f"{late} ticks went on without an indicator's value"
        if intake.turned_away:
            found["TooManySymbols"] = f"more than {MOST_LEADS} symbols; the others are not heard"
        return found

    async def _data(self, subject: str, payload: bytes) -> None:
        try:
            batch = decode_data(payload)
            border.heard(batch)
        except (msgspec.MsgspecError, border.RefusedError) as error:
            self._refusals.note(f"a message on {subject} is not taken: {error}")
            return
        if not self._is_from(subject, batch.source, batch.symbol, subjects.data_in):
            return
        async with self.turn:
            await self._process(self._taken(batch), self._emit)

    async def _values(self, subject: str, payload: bytes) -> None:
        try:
            batch = decode_values(payload)
            border.heard(batch)
        except (msgspec.MsgspecError, border.RefusedError) as error:
            self._refusals.note(f"a message on {subject} is not taken: {error}")
            return
        if not self._is_from(subject, batch.indicator, batch.symbol, subjects.indicator_in):
            return
        async with self.turn:
            await self._process(self._taken(batch), self._emit)

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

    async def _process(self, runs: Iterable[Run], emit: Callable[[], Awaitable[None]]) -> None:
        for run in runs:
            if run.lead.work is None:
                await self._open_lead(run.lead)
            at = 0
            while True:
                at = await self._feed(run, at, time.monotonic() + SLICE_S)
                await emit()
                if at >= len(run.ticks):
                    break
                await asyncio.sleep(0)


def _wanted(launch: LaunchFile, kind: Kind) -> list[tuple[str, str | None]]:
    """Return what to subscribe to: (instance, symbol), symbol None for all of it.

    Exactly what the rights of the bus allow: inputs of one instance are merged.
    """
    merged: dict[str, set[str] | None] = {}
    for one in launch.inputs:
        if one.kind is not kind:
            continue
        known = merged.setdefault(one.instance, set())
        merged[one.instance] = (
            None if known is None or not one.symbols else known | set(one.symbols)
        )
    wanted: list[tuple[str, str | None]] = []
    for instance, symbols in merged.items():
        if symbols is None:
            wanted.append((instance, None))
        else:
            wanted += [(instance, symbol) for symbol in sorted(symbols)]
    return wanted
