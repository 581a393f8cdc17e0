"""A strategy, its indicators and its executor in one process, in the order that live leads to.

Live, messages race and lanes put them in order: the strategy sees a tick, then the executor sees it,
then the signals that it caused. Here that order is simply kept.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ntp.contract.launch import Listen, Trading
from ntp.contract.messages import DataBatch, Fill, IndicatorBatch, MarketData, SignalMessage
from ntp.contract.names import Kind
from ntp.plugin import ExecutorPlugin, IndicatorPlugin, StrategyPlugin
from ntp.runner.core import border
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.indicator import IndicatorWork
from ntp.runner.core.intake import Intake
from ntp.runner.core.lead import Run
from ntp.runner.core.mandate import Outcome
from ntp.runner.core.objects import Maker
from ntp.runner.core.strategy import StrategyWork

SOURCE = "recording"
"""The name of the source that ticks come from."""
LIFE = "rehearsal"
BLOCK = 10_000
"""Rows that are looked at together."""
_ONE_TICK = -math.inf
"""A deadline that is over after one tick."""


@dataclass(slots=True)
class Part:
    """Ticks of one symbol in a block, and of which row of it each came."""

    batch: DataBatch
    rows: list[int]


class Blocks:
    """Cuts ticks into blocks, each by symbol, as a source sends them."""

    def __init__(self, ticks: Iterator[MarketData]) -> None:
        self._ticks = ticks
        self._next: dict[str, int] = {}
        self.count = 0

    def __iter__(self) -> Iterator[list[Part]]:
        while block := list(islice(self._ticks, BLOCK)):
            parts: dict[str, Part] = {}
            for row, tick in enumerate(block):
                part = parts.get(tick.symbol)
                if part is None:
                    seq = self._next.get(tick.symbol, 1)
                    part = parts[tick.symbol] = Part(_batch(tick.symbol, seq), [])
                part.batch.ticks.append(tick)
                part.rows.append(row)
            for symbol, part in parts.items():
                self._next[symbol] = part.batch.seq + len(part.rows)
            self.count += len(block)
            yield list(parts.values())

    def end(self) -> list[Part]:
        """Return the ends of all symbols."""
        return [Part(_batch(symbol, seq, end=True), []) for symbol, seq in self._next.items()]


class Meter:
    """An indicator that is shown each batch before the strategy is."""

    def __init__(
        self, maker: Maker[IndicatorPlugin], refusals: border.Refusals, bars: str | None = None
    ) -> None:
        self._intake = Intake([Listen(SOURCE, Kind.DATA_SOURCE, bars=bars)])
        self.work = IndicatorWork(maker, incarnation=LIFE, refusals=refusals)
        self.work.prepare()

    async def show(self, batch: DataBatch) -> list[IndicatorBatch]:
        """Return the values for these ticks."""
        for run in self._intake.data(batch, 0.0):
            if run.lead.work is None:
                await self.work.open(run.lead)
            self.work.feed(run, 0, math.inf)
        made, self.work.made = self.work.made, []
        return [values for values, _ in made]


class Rehearsal:
    """Shows blocks of ticks to a strategy.

    Attributes:
        messages: the signals that it made, in the order of the rows that caused them.
        fills: what the executor made of them.
    """

    def __init__(
        self,
        strategy: Maker[StrategyPlugin],
        refusals: border.Refusals,
        *,
        indicators: Mapping[str, Maker[IndicatorPlugin]],
        executor: Maker[ExecutorPlugin] | None,
        trading: Trading,
        history: int,
        bars: str | None,
    ) -> None:
        self._meters = [Meter(maker, refusals) for maker in indicators.values()]
        inputs = [Listen(SOURCE, Kind.DATA_SOURCE, bars=bars)]
        inputs += [Listen(name, Kind.INDICATOR, listens_to=[SOURCE]) for name in indicators]
        self._intake = Intake(inputs)
        self.strategy = StrategyWork(
            strategy, incarnation=LIFE, history=history, trading=trading, refusals=refusals
        )
        self.strategy.prepare()
        self.executor: ExecutorWork | None = None
        if executor is not None:
            listen = Listen(strategy.instance, Kind.STRATEGY, trading=trading, listens_to=[SOURCE])
            self.executor = ExecutorWork(executor, [listen], refusals=refusals)
            self.executor.prepare()
        self._by_itself = all(one.per_symbol for one in self.strategy.all())
        self.messages: list[SignalMessage] = []
        self.fills: list[Fill] = []

    async def start(self) -> None:
        for meter in self._meters:
            await meter.work.start()
        await self.strategy.start()
        if self.executor is not None:
            await self.executor.start()

    async def show(self, block: Sequence[Part]) -> None:
        runs = []
        for part in block:
            for meter in self._meters:
                for values in await meter.show(part.batch):
                    self._intake.values(values)
            for run in self._intake.data(part.batch, 0.0):
                if run.lead.work is None:
                    await self.strategy.open(run.lead)
                runs.append((run, part.rows))
        if self._by_itself and self.executor is None:
            self._symbol_by_symbol(runs)
        else:
            await self._row_by_row(runs)

    async def finish(self) -> None:
        """Close the books, and shut everything down: there is no more data."""
        if self.executor is not None:
            for mandate in self.executor.mandates.values():
                await self._keep(await mandate.finish())
        for meter in self._meters:
            for one in meter.work.all():
                await one.shutdown()
        for strategy in self.strategy.all():
            await strategy.shutdown()
        if self.executor is not None:
            for executor in self.executor.all():
                await executor.shutdown()

    def _symbol_by_symbol(self, runs: Sequence[tuple[Run, list[int]]]) -> None:
        """Nothing that one symbol's object does can change what another's sees."""
        made: list[tuple[int, SignalMessage]] = []
        for run, rows in runs:
            self.strategy.feed(run, 0, math.inf)
            last = len(rows) - 1
            for message, _ in self._taken():
                at = message.tick.seq - run.seq
                made.append((rows[at] if 0 <= at <= last else BLOCK, message))
        made.sort(key=lambda pair: pair[0])
        self.messages += [message for _, message in made]

    async def _row_by_row(self, runs: Sequence[tuple[Run, list[int]]]) -> None:
        order = [0] * sum(len(rows) for _, rows in runs)
        for which, (_, rows) in enumerate(runs):
            for row in rows:
                order[row] = which
        at = [0] * len(runs)
        for which in order:
            run = runs[which][0]
            at[which] = self.strategy.feed(run, at[which], _ONE_TICK)
            await self._execute([run.ticks[at[which] - 1]])
        for run, rows in runs:
            if not rows:  # an end: open bars are closed
                self.strategy.feed(run, 0, math.inf)
                await self._execute([])

    async def _execute(self, due: list[MarketData | SignalMessage]) -> None:
        if self.strategy.made:
            messages = [message for message, _ in self._taken()]
            self.messages += messages
            due += messages
        if self.executor is not None and due:
            for mandate in self.executor.mandates.values():
                await self._keep(await mandate.in_order(due))

    async def _keep(self, outcome: Outcome) -> None:
        """Let fills move the strategy's position before its next tick."""
        for fill in outcome.fills:
            self.fills.append(fill)
            await self.strategy.fill(fill)

    def _taken(self) -> Sequence[tuple[SignalMessage, bytes]]:
        made, self.strategy.made = self.strategy.made, []
        return made


def _batch(symbol: str, seq: int, *, end: bool = False) -> DataBatch:
    return DataBatch(SOURCE, LIFE, symbol, seq, [], end)
