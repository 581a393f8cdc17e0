"""A strategy, its indicators and its executor in one process, in the order that live leads to.

Live, messages race and lanes put them in order: the strategy sees a tick, then the executor sees it,
then the signals that it caused. Here that order is simply kept.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ntp.blocks import BLOCK, LIFE, SOURCE, Part
from ntp.contract.launch import Listen, Trading
from ntp.contract.messages import DataBatch, Fill, IndicatorBatch, MarketData, SignalMessage
from ntp.contract.names import Kind
from ntp.engine.changes import Change
from ntp.engine.desk import Desk
from ntp.engine.quiet import Stretch, acts_at
from ntp.plugin import ExecutorPlugin, IndicatorPlugin, StrategyPlugin
from ntp.rehearsed import RehearsedStrategy
from ntp.runner.core import border
from ntp.runner.core.indicator import IndicatorWork
from ntp.runner.core.intake import Intake
from ntp.runner.core.lead import Run
from ntp.runner.core.objects import Maker
from ntp.runner.core.strategy import Made

if TYPE_CHECKING:
    from ntp.runner.core.executor import ExecutorWork
    from ntp.runner.core.mandate import Outcome

Passed = Callable[[Sequence[MarketData], Stretch | None, int, int], None]
"""Told of ticks, as a stretch where they are of one symbol in a row, from one index to below another."""
_ONE_TICK = -math.inf
"""A deadline that is over after one tick."""


class Meter:
    """An indicator that is shown each batch before the strategy is."""

    def __init__(
        self,
        maker: Maker[IndicatorPlugin],
        refusals: border.Refusals,
        bars: str | None = None,
        inputs: Sequence[Listen] = (),
    ) -> None:
        self._intake = Intake(inputs or [Listen(SOURCE, Kind.DATA_SOURCE, bars=bars)])
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

    Args:
        executor: executes its signals.
        desk: executes them where there is no such plugin, as the desk of a paper executor does.

    Attributes:
        messages: the signals that it made, in the order of the rows that caused them.
        fills: what the executor or the desk made of them.
        passed: is told of ticks that the desk takes, and `changed` of what then changes there.
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
        desk: Desk | None = None,
    ) -> None:
        self._meters = [Meter(maker, refusals) for maker in indicators.values()]
        inputs = [Listen(SOURCE, Kind.DATA_SOURCE, bars=bars)]
        inputs += [Listen(name, Kind.INDICATOR, listens_to=[SOURCE]) for name in indicators]
        self._intake = Intake(inputs)
        self.strategy = RehearsedStrategy(
            strategy,
            incarnation=LIFE,
            history=history,
            trading=trading,
            refusals=refusals,
        )
        self.strategy.prepare()
        self.executor: ExecutorWork | None = None
        if executor is not None:
            listen = Listen(strategy.instance, Kind.STRATEGY, trading=trading, listens_to=[SOURCE])
            self.executor = _executing(executor, listen, refusals)
        self._by_itself = all(one.per_symbol for one in self.strategy.all())
        self.messages: list[SignalMessage] = []
        self.fills: list[Fill] = []
        self.passed: Passed = _unheard
        self.changed: Callable[[Change], None] = _unheard
        self._desk = desk

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
        if self._by_itself and self.executor is None and self._desk is None:
            self._symbol_by_symbol(runs)
        elif self._desk is not None:
            await self._at_desk(runs, self._desk)
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

    def _symbol_by_symbol(self, runs: Sequence[tuple[Run, Sequence[int]]]) -> None:
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

    async def _at_desk(self, runs: Sequence[tuple[Run, Sequence[int]]], desk: Desk) -> None:
        """Let the strategy run ahead for as long as the desk does nothing by itself.

        That changes nothing that it sees: only what the desk fills does.
        """
        if len(runs) == 1:
            await self._one_at_desk(*runs[0], desk)
            return
        ahead = [_Ahead() for _ in runs]
        for which in _order(runs):
            run, one = runs[which][0], ahead[which]
            if one.at == one.fed:
                one.fed = self._run_ahead(run, one.at, desk)
                one.made = self._taken()
            change = desk.tick(run.ticks[one.at])
            self.passed(run.ticks, None, one.at, one.at + 1)
            if change is not None:
                await self._note(change)
            one.at += 1
            if one.made and one.at == one.fed:
                self._order(one.made, desk)
        for run, rows in runs:
            if not rows:
                self.strategy.feed(run, 0, math.inf)
                self._order(self._taken(), desk)

    async def _one_at_desk(self, run: Run, rows: Sequence[int], desk: Desk) -> None:
        """Do the same where all rows are of one symbol: the desk then need not look at each of them."""
        stretch, at = Stretch(run.ticks), 0
        while at < len(rows):
            fed = self._run_ahead(run, at, desk, alone=True)
            self.passed(stretch.ticks, stretch, at, fed)  # the last of them alone may be filled at
            for change in stretch.pass_over(desk, at, fed):
                await self._note(change)
            self._order(self._taken(), desk)
            at = fed
        if not rows:
            self.strategy.feed(run, 0, math.inf)
            self._order(self._taken(), desk)

    def _run_ahead(self, run: Run, at: int, desk: Desk, *, alone: bool = False) -> int:
        """Feed up to a signal, or to the tick at which the desk acts; return the next index.

        `alone`: nobody else's rows lie between.
        """
        stop = acts_at(desk, run.ticks, at) + 1 if alone or self._by_itself else at + 1
        return self.strategy.to_signal(run, at, min(stop, len(run.ticks)))

    def _order(self, made: Sequence[Made], desk: Desk) -> None:
        for message, _ in made:
            self.messages.append(message)
            desk.signal(message.id, message.signal, message.tick.time)

    async def _note(self, change: Change) -> None:
        self.changed(change)
        for fill in change.fills:
            self.fills.append(fill)
            await self.strategy.fill(fill)

    async def _row_by_row(self, runs: Sequence[tuple[Run, Sequence[int]]]) -> None:
        at = [0] * len(runs)
        for which in _order(runs):
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

    async def _keep(self, outcome: "Outcome") -> None:
        """Let fills move the strategy's position before its next tick."""
        for fill in outcome.fills:
            self.fills.append(fill)
            await self.strategy.fill(fill)

    def _taken(self) -> Sequence[Made]:
        made, self.strategy.made = self.strategy.made, []
        return made


@dataclass(slots=True)
class _Ahead:
    """How far a symbol of a block has come: at the desk, with its strategy, and what that made last."""

    at: int = 0
    fed: int = 0
    made: Sequence[Made] = ()


def _executing(
    executor: Maker[ExecutorPlugin], listen: Listen, refusals: border.Refusals
) -> "ExecutorWork":
    from ntp.runner.core.executor import ExecutorWork  # late: most runs have the desk alone

    work = ExecutorWork(executor, [listen], refusals=refusals)
    work.prepare()
    return work


def _order(runs: Sequence[tuple[Run, Sequence[int]]]) -> list[int]:
    """Return of which run each row of a block is."""
    order = [0] * sum(len(rows) for _, rows in runs)
    for which, (_, rows) in enumerate(runs):
        for row in rows:
            order[row] = which
    return order


def _unheard(*_: object) -> None:
    """Nobody wants to know."""
