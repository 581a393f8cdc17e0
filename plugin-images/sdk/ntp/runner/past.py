"""What a life is shown before it is ready: history, and what was missed since the last one.

History warms the plugin up: what it makes of that was made before, or comes too late, and is not sent.
What was missed is like any other tick.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from ntp.connection import Link, Message
from ntp.contract.beat import LatestSignal, Replayed
from ntp.contract.messages import IndicatorBatch, SignalMessage
from ntp.runner.beats import latest
from ntp.runner.core import replay
from ntp.runner.core.lead import Run
from ntp.runner.ending import EndError, say
from ntp.runner.listener import SILENT, Listener
from ntp.runner.memory import Memory

PATIENCE_S = 60.0
"""A broker that begins anew is told by the controller what is captured for whom."""
AGAIN_S = 1.0
FIRST_REACH = 16
"""Messages: one may hold hundreds of ticks."""
_CHUNK = 64
MESSAGES_A_TICK = 20
"""How many messages back the history of a symbol is looked for: others have theirs between."""
MARGIN_MS = 10_000
"""Read so much more than was missed: clocks differ, and what was on its way was stored later."""


class Work(Protocol):
    """What can be shown something without any effect outside."""

    def show(self, run: Run, start: int, until: float) -> int:
        """Show ticks from index `start` on, until a time; return the next index."""

    def forget(self) -> Iterable[SignalMessage]:
        """Drop what came of it, and return the signals among it."""


class _Reading(NamedTuple):
    """What is read of one producer: what came from `begin_ms` on, and the history before it."""

    producer: str
    begin_ms: int
    marks: replay.Marks
    since: Mapping[str, int]


class Past:
    """Args:
    work: shows history; None for one who acts on what it is shown, and is shown none.
    history: ticks of each symbol.
    """

    def __init__(
        self,
        listener: Listener,
        memory: Memory,
        work: Work | None = None,
        history: int = 0,
    ) -> None:
        self._listener = listener
        self._memory = memory
        self._work = work
        self._history = history if work is not None else 0

    async def catch_up(self, link: Link) -> Replayed:
        """Subscribe, then show what was captured. What comes meanwhile waits behind it.

        By their numbers no tick is missed, and none seen twice.
        """
        listener, began = self._listener, time.monotonic()
        async with listener.turn:
            now_ms = await listener.listen(link)
            since = await self._memory.since(listener.producers, now_ms)
            listener.intake.listening_ms = min(since.values(), default=now_ms)
            marks = {(mark.source, mark.symbol): mark for mark in self._memory.kept.marks}
            messages, problem = await self._messages(since, now_ms, marks)
            history: list[replay.Batch] = []
            missed: list[Message] = []
            originals, lives = replay.Originals(), replay.Lives()
            # Little of it at a time: decoded it takes several times the room.
            for some in _chunks(messages):
                for message in some:
                    past = replay.split(listener.decoded([message]), marks, since)
                    for batch in (*past.known, *past.missed):
                        lives.note(batch)
                    history += originals.of(past.known)
                    missed += [message] * bool(past.missed)
                history = replay.last_ticks(reversed(history), self._history)
            made = await self._warm_up(self._work, history) if self._work is not None else []
            listener.intake.resume(marks.values())
            listener.intake.count_from_here()
            for message in missed:
                for batch in replay.split(listener.decoded([message]), marks, since).missed:
                    if not lives.stale(batch):
                        await listener.show(listener.taken(batch), more=True)
            await listener.show(())
            return Replayed(
                ticks=replay.count(history),
                signals=len(made),
                seconds=time.monotonic() - began,
                last=_last(made),
                problem=problem,
                missed=sum(lead.edge.count for lead in listener.intake.leads.values()),
            )

    async def _messages(
        self, since: Mapping[str, int], now_ms: int, marks: replay.Marks
    ) -> tuple[list[Message], str]:
        """Return what the bus has kept, in the order in which it came; and why that is not all."""
        found: list[Message] = []
        problems = []
        for producer, first_ms in since.items():
            begin_ms = min(self._memory.kept.at_ms or first_ms, now_ms) - MARGIN_MS
            try:
                reading = _Reading(producer, begin_ms, marks, {producer: first_ms})
                found += await self._patiently(reading, new=first_ms == now_ms)
            except TimeoutError as error:
                words = str(error) or SILENT
                problems.append(words)
                say(f"nothing is replayed of {producer}: {words}")
        found.sort(key=lambda each: each.stored_ms)  # stable: of one producer as they were
        return found, "; ".join(problems)

    async def _patiently(self, reading: _Reading, *, new: bool) -> list[Message]:
        """Return what `_reaching_back` does, once the broker says it; at once where nothing can be missed.

        Raises:
            EndError: it does not say it; to go on would be to leave out what was missed.
            TimeoutError: the same, and nothing can be missed.
        """
        if not self._listener.can_rewind:
            raise TimeoutError("the broker is older than 2.14: what was captured cannot be read")
        ends = time.monotonic() + (0 if new else PATIENCE_S)
        while True:
            try:
                return await self._reaching_back(reading)
            except TimeoutError as error:
                if new:
                    raise
                if time.monotonic() < ends:
                    await asyncio.sleep(AGAIN_S)  # one that has just begun says no at once
                else:
                    words = f"what it missed of {reading.producer}: {str(error) or SILENT}"
                    raise EndError("StateUnavailable", words) from error

    async def _reaching_back(self, reading: _Reading) -> list[Message]:
        """Return what was stored from then on, and so much before it that the history is whole."""
        before, last = FIRST_REACH if self._history else 0, -1
        while True:
            messages = await self._listener.captured(reading.producer, reading.begin_ms, before)
            whole = len(messages) == last or before >= self._history * MESSAGES_A_TICK
            if whole or self._reaches(messages, reading):
                return messages
            before, last = before * 8, len(messages)

    def _reaches(self, messages: Sequence[Message], reading: _Reading) -> bool:
        """Whether the history of each symbol that is there is whole."""
        originals, values = replay.Originals(), Counter[str]()
        for some in _chunks(messages):
            stored = self._listener.decoded(some)
            for batch in originals.of(replay.split(stored, reading.marks, reading.since).known):
                if isinstance(batch, IndicatorBatch):
                    values[batch.symbol] += len(batch.values)
        if values:
            return min(values.values()) >= self._history
        return originals.reach(reading.marks, self._history)

    async def _warm_up(self, work: Work, history: Iterable[replay.Batch]) -> list[SignalMessage]:
        listener = self._listener
        made: list[SignalMessage] = []

        async def show(run: Run, start: int, until: float) -> int:
            return work.show(run, start, until)

        async def keep() -> None:
            made.extend(work.forget())

        for batch in history:
            await listener.process(listener.taken(batch), show, keep)
        await listener.process(listener.intake.flush(), show, keep)
        return made


def _chunks(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    for at in range(0, len(messages), _CHUNK):
        yield messages[at : at + _CHUNK]


def _last(made: list[SignalMessage]) -> LatestSignal | None:
    return latest(made[-1]) if made else None
