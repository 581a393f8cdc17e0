"""One strategy at one executor: its ticks and signals in their one order, fills out.

A signal is acknowledged after the executor has acted on it, never before: until then it comes again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from ntp.contract.launch import Listen
from ntp.contract.messages import (
    Fill,
    MarketData,
    ProgressMessage,
    SignalMessage,
    TickRef,
)
from ntp.engine.claims import Key
from ntp.engine.lane import Due, Lane
from ntp.engine.passed import Passed
from ntp.engine.trail import Place
from ntp.plugin import ExecutorPlugin, Fills
from ntp.runner.core import border
from ntp.runner.core.dead import Dead, Glimpse
from ntp.runner.core.intake import MOST_LEADS
from ntp.runner.core.kept import Mark
from ntp.runner.core.lead import Run
from ntp.runner.core.objects import overrides
from ntp.runner.core.origin import told

PATIENCE_S = 90.0
"""Seconds that a lane waits for what does not come: longer than a strategy waits for what it misses itself."""
_MOST_PROGRESS = 256
"""Of a strategy; a consumer hands out no more than 1,024 unacknowledged messages."""


@dataclass(slots=True)
class Outcome:
    """What came of one step: fills to publish, or why the message is dead; then messages to acknowledge."""

    mandate: "Mandate"
    fills: list[Fill] = field(default_factory=list)
    tokens: list[Any] = field(default_factory=list)
    dead: Dead | None = None


class Stand(NamedTuple):
    """How far a book has come; `tokens` may be acknowledged once `marks` are durable."""

    marks: list[Mark]
    tokens: list[Any]


class Mandate:
    """Steps may overlap in time; they are carried out one after another, in the order of their calls.

    Args:
        listen: the strategy, and the sources that it trades on.
        plugin: the object that executes for it.
        direct: one object executes for several strategies, so that no one order holds for all:
            signals are carried out as they come, and ticks reach the object on another way.

    Attributes:
        busy: which callback runs, and since when (`clock`); None while none does.
    """

    def __init__(
        self,
        listen: Listen,
        plugin: ExecutorPlugin,
        refusals: border.Refusals,
        *,
        direct: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.strategy = listen.instance
        self.plugin = plugin
        self.lane = Lane(listen.instance)
        self.signals: Counter[str] = Counter()
        self.fills = 0
        self.busy: tuple[str, float] | None = None
        self._sources = frozenset(listen.listens_to)
        self._symbols = frozenset(listen.symbols)
        self._refusals = refusals
        self._direct = direct
        self._clock = clock
        self._tokens: dict[str, list[Any]] = {}
        self._progress: dict[tuple[str, Key], tuple[TickRef, Any]] = {}
        """What the strategy said last of each symbol, and is not to be forgotten yet."""
        self._on_data = overrides(plugin, "on_data", ExecutorPlugin)
        self._ended = False
        self._finished = False
        self._turn = asyncio.Lock()

    def trades(self, source: str, symbol: str) -> bool:
        return source in self._sources and (not self._symbols or symbol in self._symbols)

    @property
    def ended(self) -> bool:
        """The strategy sends no more, and all that it sent was carried out."""
        return self._ended if self._direct else self.lane.ended

    async def ticks(self, run: Run, start: int, stop: int) -> Outcome:
        """Take ticks of our own feed."""
        outcome = Outcome(self)
        source, symbol = run.lead.edge.source, run.lead.edge.symbol
        async with self._turn:
            for at in range(start, stop):
                tick = run.ticks[at]
                due = self.lane.tick(source, run.incarnation, symbol, run.seq + at, tick)
                if due:
                    await self._carry_out(due, outcome)
        return outcome

    async def in_order(self, due: Sequence[Due], places: Sequence[Place] = ()) -> Outcome:
        """Carry out what needs no lane: its order is known, or none holds (a shared object's ticks).

        `places`: of the ticks in it, where they are known.
        """
        outcome = Outcome(self)
        async with self._turn:
            self.lane.places.extend(places)
            await self._carry_out(due, outcome)
        return outcome

    async def heard(
        self,
        message: SignalMessage | ProgressMessage,
        token: Any,
        *,
        alone: bool = False,
        again: bool = False,
        gap: bool = False,
    ) -> Outcome:
        """Take what the strategy sent; `token` comes back once it may be acknowledged.

        `alone`: nothing else is heard before it is done. `again`: it was a dead letter. `gap`: what was sent just
        before it was acknowledged in an earlier life.
        """
        outcome = Outcome(self)
        async with self._turn:
            if gap and not again and not self._direct:
                before = message.number - isinstance(message, SignalMessage)
                await self._carry_out(self.lane.gap(message.incarnation, before), outcome)
            if isinstance(message, ProgressMessage):
                if again:  # what it said of then is of no use now
                    outcome.tokens.append(token)
                    return outcome
                self._ended = message.end
                if message.noticed and not self._direct:
                    self.plugin.on_noticed(message.noticed)
                await self._carry_out(self.lane.progress(message), outcome)
                self._note(message, token, outcome)
                return outcome
            self._tokens.setdefault(message.id, []).append(token)
            self._ended = False
            if self._direct:
                due: Sequence[Due] = [message]
            elif again:
                due = self.lane.again(message)
            else:
                due = self.lane.signal(message, alone=alone)
            await self._carry_out(due, outcome)
            if not self.lane.holds(message.id):
                # Done now, or in an earlier delivery.
                outcome.tokens += self._tokens.pop(message.id, [])
        return outcome

    def _note(self, message: ProgressMessage, token: Any, outcome: Outcome) -> None:
        """Keep what the strategy said until what it means is durable: the next life may need it."""
        if self._direct or not message.tick.source:
            outcome.tokens.append(token)
            return
        key = (message.incarnation, Key.of(message.tick))
        former = self._progress.pop(key, None)
        if former is None and len(self._progress) >= _MOST_PROGRESS:
            former = self._progress.pop(next(iter(self._progress)))
        if former is not None:
            outcome.tokens.append(former[1])
        self._progress[key] = (message.tick, token)

    def begin_at(self, marks: Iterable[Mark]) -> None:
        """Go on where an earlier life was; before the first tick."""
        for mark in marks:
            passed = Passed(mark.incarnation, mark.through, mark.time, list(mark.ids))
            self.lane.resume(mark.source, mark.symbol, passed)

    async def stand(self) -> "Stand":
        """Return how far the book has come, between two steps."""
        async with self._turn:
            marks = [
                Mark(source, symbol, at.incarnation, at.seq, at.time, list(at.ids))
                for (source, symbol), at in self.lane.passed.items()
            ]
            past = [key for key, (tick, _) in self._progress.items() if self.lane.is_past(tick)]
            return Stand(marks, [self._progress.pop(key)[1] for key in past])

    async def dead(self, token: Any, dead: Dead, seen: Glimpse) -> Outcome:
        """Take a message as dead; nothing that follows has to wait for it."""
        outcome = Outcome(self)
        if seen.number and not self._direct:
            async with self._turn:
                await self._carry_out(self.lane.hole(seen.incarnation, seen.number), outcome)
        outcome.tokens.append(token)
        outcome.dead = dead
        return outcome

    async def expire(self, now: float) -> Outcome:
        """Give up waiting for what does not come; call about once a second, `now` in monotonic seconds."""
        outcome = Outcome(self)
        async with self._turn:
            await self._carry_out(self.lane.expire(now, PATIENCE_S), outcome)
        return outcome

    async def finish(self) -> Outcome:
        """Close the books, once for each end."""
        outcome = Outcome(self)
        async with self._turn:
            if not self._finished:
                self._finished = True
                self._keep(await self._call("finish", self.plugin.finish()), outcome)
        return outcome

    async def halt(self, why: str, *, flatten: bool) -> Outcome:
        """Let nothing be opened any more; after what is under way.

        What is to be closed does not wait for the strategy: it may be the one that is stuck.
        """
        outcome = Outcome(self)
        async with self._turn:
            await self._call("on_halt", self.plugin.on_halt(self.strategy, why, flatten=flatten))
            await self._carry_out(self.lane.let_through(free=flatten), outcome)
        return outcome

    async def resume(self) -> Outcome:
        outcome = Outcome(self)
        async with self._turn:
            await self._call("on_resume", self.plugin.on_resume(self.strategy))
            await self._carry_out(self.lane.let_through(free=False), outcome)
        return outcome

    async def limit(self, risk: dict[str, Any]) -> None:
        """Have the plugin obey these limits; after what is under way."""
        async with self._turn:
            self.plugin.trading = replace(self.plugin.trading, risk=risk)
            self.plugin.on_limits()

    def report(self) -> dict[str, Any]:
        """Return the executor's figures, and what did not go the undisturbed way."""
        disturbed = {name: count for name, count in asdict(self.lane.counts).items() if count}
        result = dict(self.plugin.report())
        return {**result, "lane": disturbed} if disturbed else result

    async def _carry_out(self, due: Sequence[Due], outcome: Outcome) -> None:
        plugin, on_data, places = self.plugin, self._on_data, self.lane.places
        for one in due:
            self._finished = False
            if isinstance(one, MarketData):
                plugin.place = places.popleft() if places else None
                if on_data:
                    self.busy = ("on_data", self._clock())
                    result = await plugin.on_data(one)
                    self.busy = None
                    if result is not None:
                        self._keep(result, outcome)
                continue
            signal = told(one)
            counted = signal.symbol in self.signals or len(self.signals) < MOST_LEADS
            self.signals[signal.symbol if counted else "*"] += 1
            self._keep(await self._call("process_signal", plugin.process_signal(signal)), outcome)
            outcome.tokens += self._tokens.pop(one.id, [])

    async def _call(self, name: str, awaitable: Any) -> Any:
        self.busy = (name, self._clock())
        result = await awaitable
        self.busy = None
        return result

    def _keep(self, result: Fills, outcome: Outcome) -> None:
        try:
            fills = border.fills(result)
        except border.RefusedError as error:
            self._refusals.note(error)
            return
        self.fills += len(fills)
        outcome.fills += fills
