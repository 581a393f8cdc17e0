"""One strategy at one executor: its ticks and signals in their one order, fills out.

A signal is acknowledged after the executor has acted on it, never before: until then it comes again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ntp.contract.launch import Listen
from ntp.contract.messages import (
    Fill,
    MarketData,
    ProgressMessage,
    SignalMessage,
    TradingSignal,
)
from ntp.engine.lane import Due, Lane
from ntp.plugin import ExecutorPlugin, Fills
from ntp.runner.core import border
from ntp.runner.core.intake import MOST_LEADS
from ntp.runner.core.lead import Run
from ntp.runner.core.objects import overrides


@dataclass(slots=True)
class Outcome:
    """What came of one step: fills to publish, and then messages to acknowledge."""

    mandate: "Mandate"
    fills: list[Fill] = field(default_factory=list)
    tokens: list[Any] = field(default_factory=list)


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

    async def in_order(self, due: Sequence[Due]) -> Outcome:
        """Carry out what needs no lane: its order is known, or none holds (a shared object's ticks)."""
        outcome = Outcome(self)
        async with self._turn:
            await self._carry_out(due, outcome)
        return outcome

    async def heard(self, message: SignalMessage | ProgressMessage, token: Any) -> Outcome:
        """Take what the strategy sent; `token` comes back once it may be acknowledged."""
        outcome = Outcome(self)
        async with self._turn:
            if isinstance(message, ProgressMessage):
                self._ended = message.end
                await self._carry_out(self.lane.progress(message), outcome)
                outcome.tokens.append(token)
                return outcome
            self._tokens.setdefault(message.id, []).append(token)
            self._ended = False
            due: Sequence[Due] = [message] if self._direct else self.lane.signal(message)
            await self._carry_out(due, outcome)
            if not self.lane.holds(message.id):
                # Done now, or in an earlier delivery.
                outcome.tokens += self._tokens.pop(message.id, [])
        return outcome

    async def expire(self, now: float) -> Outcome:
        """Give up waiting for what does not come; call about once a second, `now` in monotonic seconds."""
        outcome = Outcome(self)
        async with self._turn:
            await self._carry_out(self.lane.expire(now), outcome)
        return outcome

    async def finish(self) -> Outcome:
        """Close the books, once for each end."""
        outcome = Outcome(self)
        async with self._turn:
            if not self._finished:
                self._finished = True
                self._keep(await self._call("finish", self.plugin.finish()), outcome)
        return outcome

    def report(self) -> dict[str, Any]:
        """Return the executor's figures, and what did not go the undisturbed way."""
        disturbed = {name: count for name, count in asdict(self.lane.counts).items() if count}
        result = dict(self.plugin.report())
        return {**result, "lane": disturbed} if disturbed else result

    async def _carry_out(self, due: Sequence[Due], outcome: Outcome) -> None:
        plugin, on_data = self.plugin, self._on_data
        for one in due:
            self._finished = False
            if isinstance(one, MarketData):
                if on_data:
                    self.busy = ("on_data", self._clock())
                    result = await plugin.on_data(one)
                    self.busy = None
                    if result is not None:
                        self._keep(result, outcome)
                continue
            signal = _told(one)
            told = signal.symbol in self.signals or len(self.signals) < MOST_LEADS
            self.signals[signal.symbol if told else "*"] += 1
            self._keep(await self._call("process_signal", plugin.process_signal(signal)), outcome)
            outcome.tokens += self._tokens.pop(one.id, [])

    async def _call(self, name: str, awaitable: Any) -> Fills:
        self.busy = (name, self._clock())
        result: Fills = await awaitable
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


def _told(message: SignalMessage) -> TradingSignal:
    """Return the signal with what an executor needs to know of its origin."""
    made = message.signal
    origin = {
        "signal_id": message.id,
        "strategy": message.strategy,
        "tick_id": message.tick.id,
        "time": message.tick.time,
    }
    return TradingSignal(
        symbol=made.symbol,
        signal_type=made.signal_type,
        confidence=made.confidence,
        price=made.price,
        size=made.size,
        stop_loss=made.stop_loss,
        take_profit=made.take_profit,
        metadata={**made.metadata, **origin},
    )
