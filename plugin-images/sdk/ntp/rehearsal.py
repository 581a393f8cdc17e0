"""A strategy, its indicators and its executor in one process, wired as the bus would wire them."""

import math
from collections.abc import Mapping

from ntp.contract.launch import Listen, Trading
from ntp.contract.messages import (
    DataBatch,
    Fill,
    IndicatorBatch,
    ProgressMessage,
    SignalMessage,
)
from ntp.contract.names import Kind
from ntp.plugin import ExecutorPlugin, IndicatorPlugin, StrategyPlugin
from ntp.runner.core import border
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.indicator import IndicatorWork
from ntp.runner.core.intake import Intake
from ntp.runner.core.objects import Maker
from ntp.runner.core.strategy import StrategyWork

SOURCE = "recording"
"""The name of the source that ticks come from."""
LIFE = "rehearsal"


class Meter:
    """An indicator that is shown each batch before the strategy is."""

    def __init__(
        self, maker: Maker[IndicatorPlugin], refusals: border.Refusals, bars: str | None = None
    ) -> None:
        self._intake = Intake([Listen(SOURCE, Kind.DATA_SOURCE, bars=bars)])
        self.work = IndicatorWork(maker, incarnation=LIFE, refusals=refusals)
        self.work.prepare()

    async def show(self, batch: DataBatch) -> list[IndicatorBatch]:
        """Return the batches of values for this batch of ticks."""
        for run in self._intake.data(batch, 0.0):
            if run.lead.work is None:
                await self.work.open(run.lead)
            self.work.feed(run, 0, math.inf)
        made, self.work.made = self.work.made, []
        return [values for values, _ in made]


class Rehearsal:
    """Shows batches of ticks to a strategy.

    Attributes:
        messages: the signals that it made; `fills`: what the executor made of them, in order.
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
        self._name = strategy.instance
        self._meters = {name: Meter(maker, refusals) for name, maker in indicators.items()}
        inputs = [Listen(SOURCE, Kind.DATA_SOURCE, bars=bars)]
        inputs += [Listen(name, Kind.INDICATOR, listens_to=[SOURCE]) for name in indicators]
        self._intake = Intake(inputs)
        self.strategy = StrategyWork(
            strategy, incarnation=LIFE, history=history, trading=trading, refusals=refusals
        )
        self.strategy.prepare()
        self.executor: ExecutorWork | None = None
        self._executor_intake = Intake([Listen(SOURCE, Kind.DATA_SOURCE)])
        if executor is not None:
            listen = Listen(self._name, Kind.STRATEGY, trading=trading, listens_to=[SOURCE])
            self.executor = ExecutorWork(executor, [listen], refusals=refusals)
            self.executor.prepare()
        self.messages: list[SignalMessage] = []
        self.fills: list[Fill] = []

    @property
    def one_by_one(self) -> bool:
        """Whether ticks of several symbols must be shown in their order: somebody sees them all."""
        objects = list(self.strategy.all())
        return self.executor is not None or any(not one.per_symbol for one in objects)

    async def start(self) -> None:
        for meter in self._meters.values():
            await meter.work.start()
        await self.strategy.start()
        if self.executor is not None:
            await self.executor.start()

    async def show(self, batch: DataBatch) -> None:
        """Let indicators value, the strategy analyse, the executor execute."""
        for meter in self._meters.values():
            for values in await meter.show(batch):
                self._intake.values(values)
        runs = self._intake.data(batch, 0.0)
        for run in runs:
            if run.lead.work is None:
                await self.strategy.open(run.lead)
            self.strategy.feed(run, 0, math.inf)
            await self._pass_on()
        if self.executor is not None and (batch.ticks or batch.end):
            await self._execute(batch)

    async def finish(self) -> None:
        """Close the books: there is no more data."""
        if self.executor is None:
            return
        for lead in self._intake.leads.values():
            lead.edge.ended = True
        for message in self.strategy.progress(self._intake):
            await self._tell(message)
        await self.executor.finish()
        await self._collect()

    async def shutdown(self) -> None:
        for meter in self._meters.values():
            for one in meter.work.all():
                await one.shutdown()
        for strategy in self.strategy.all():
            await strategy.shutdown()
        if self.executor is not None:
            for executor in self.executor.all():
                await executor.shutdown()

    async def _pass_on(self) -> None:
        made, self.strategy.made = self.strategy.made, []
        for message, payload in made:
            self.messages.append(message)
            if self.executor is not None:
                await self.executor.heard(self._name, payload, message)
        if self.executor is not None:
            for progress in self.strategy.progress(self._intake):
                await self._tell(progress)

    async def _tell(self, message: ProgressMessage) -> None:
        if self.executor is not None:
            await self.executor.heard(self._name, border.encoded(message), message)

    async def _execute(self, batch: DataBatch) -> None:
        executor = self.executor
        if executor is None:
            return
        for run in self._executor_intake.data(batch, 0.0):
            if run.lead.work is None:
                await executor.open(run.lead)
            await executor.feed(run, 0, math.inf)
        await self._collect()

    async def _collect(self) -> None:
        """Let fills move the strategy's position before its next tick."""
        while self.executor is not None and self.executor.made:
            outcome = self.executor.made.pop(0)
            for fill in outcome.fills:
                self.fills.append(fill)
                await self.strategy.fill(fill)
