"""Run a plugin on recorded data, without a bus, through the code that runs it live.

result = PluginTester(BollingerStrategy({"period": 20})).run("btcusdt.csv")
result.signals
"""

import asyncio
import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ntp import recording
from ntp.contract.launch import Trading
from ntp.contract.messages import Fill, MarketData, SignalMessage, TradingSignal
from ntp.plugin import (
    BasePlugin,
    DataSourcePlugin,
    ExecutorPlugin,
    IndicatorPlugin,
    StrategyPlugin,
)
from ntp.rehearsal import LIFE, SOURCE, Blocks, Meter, Rehearsal
from ntp.runner.core import border
from ntp.runner.core.feed import Feed
from ntp.runner.core.lead import Value
from ntp.runner.core.objects import Maker
from ntp.runner.core.tick_ids import Identify

Rows = str | Path | Iterable[MarketData | Mapping[str, Any]]
"""A CSV file, ticks, or mappings with the field names of a tick."""


@dataclass(slots=True)
class Result:
    """What a run gave.

    Attributes:
        ticks: rows that were taken; for a data source also what they were, in `data`.
        messages: signals as they would have gone out, with id and tick; `signals` are their contents.
        values: an indicator's value for each tick, in order.
        refused: results that the border refused, and the last reason.
        late: ticks that came after their bar was closed.
        indicators: get_indicators() at the end, by symbol.
        report: report() at the end; of an executor too.
    """

    ticks: int = 0
    data: list[MarketData] = field(default_factory=list)
    messages: list[SignalMessage] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    refused: int = 0
    last_refusal: str = ""
    late: int = 0
    indicators: dict[str, dict[str, float]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def signals(self) -> list[TradingSignal]:
        return [message.signal for message in self.messages]


class PluginTester:
    """Tests one plugin: the object, or its class and a config.

    Args:
        plugin: where it works for each symbol by itself, further objects of its class are made with
            its config, as the runner does.
        config: for a class.
        instance: the name that signal ids begin with.
        history: length of the window that a strategy is given.
        bars: length of bars that a strategy or indicator is shown, such as "5m"; None: each tick.
        trading: capital and position rules.
        indicators: by instance name, what the strategy finds in `data.metadata["indicators"]`.
        executor: executes the strategy's signals; its fills move `position` and reach `on_fill`.
    """

    def __init__(
        self,
        plugin: BasePlugin | type[BasePlugin],
        config: dict[str, Any] | None = None,
        *,
        instance: str = "test",
        history: int = 1000,
        bars: str | None = None,
        trading: Trading | None = None,
        indicators: Mapping[str, IndicatorPlugin] | None = None,
        executor: ExecutorPlugin | None = None,
        storage: Path | None = None,
    ) -> None:
        self.plugin = plugin
        self._config = config or {}
        self._instance = instance
        self._history = history
        self._bars = bars
        self._trading = trading or Trading()
        self._indicators = dict(indicators or {})
        self._executor = executor
        self._storage = storage

    def run(self, rows: Rows = (), *, limit: int | None = None, timeout_s: float = 30.0) -> Result:
        """Run to the end of `rows`; not from within a running loop (there, await `run_async`).

        Args:
            rows: not for a data source, which has its own.
            limit: rows, or ticks of a data source, after which it ends.
            timeout_s: longest wait for a data source's ticks.
        """
        return asyncio.run(self.run_async(rows, limit=limit, timeout_s=timeout_s))

    async def run_async(
        self,
        rows: Rows = (),
        *,
        limit: int | None = None,
        timeout_s: float = 30.0,
    ) -> Result:
        """Do what `run` does.

        Raises:
            ConfigRefusedError: the plugin does not take its config.
        """
        with _few_collections():
            return await self._run(rows, limit, timeout_s)

    async def _run(self, rows: Rows, limit: int | None, timeout_s: float) -> Result:
        result, refusals = Result(), border.Refusals()
        kind = self.plugin if isinstance(self.plugin, type) else type(self.plugin)
        if issubclass(kind, DataSourcePlugin):
            await self._source(result, refusals, limit, timeout_s)
        elif issubclass(kind, IndicatorPlugin):
            await self._indicator(result, refusals, _ticks(rows, refusals, limit))
        elif issubclass(kind, StrategyPlugin):
            await self._strategy(result, refusals, _ticks(rows, refusals, limit))
        else:
            raise TypeError(
                f"{kind.__name__} cannot be tested alone: an executor is tested together with a"
                " strategy, PluginTester(strategy, executor=…)"
            )
        result.refused, result.last_refusal = refusals.count, refusals.last
        return result

    async def _strategy(
        self, result: Result, refusals: border.Refusals, ticks: Iterator[MarketData]
    ) -> None:
        rehearsal = Rehearsal(
            self._maker(self.plugin, self._instance),
            refusals,
            indicators={name: self._maker(one, name) for name, one in self._indicators.items()},
            executor=None if self._executor is None else self._maker(self._executor, "executor"),
            trading=self._trading,
            history=self._history,
            bars=self._bars,
        )
        await rehearsal.start()
        blocks = Blocks(ticks)
        for block in blocks:
            await rehearsal.show(block)
        await rehearsal.show(blocks.end())
        await rehearsal.finish()
        result.ticks = blocks.count
        result.messages, result.fills = rehearsal.messages, rehearsal.fills
        result.indicators = rehearsal.strategy.indicators()
        result.late = rehearsal.strategy.late
        result.report = _reports(rehearsal.strategy.objects)
        if rehearsal.executor is not None:
            result.report["executor"] = rehearsal.executor.report()

    async def _indicator(
        self, result: Result, refusals: border.Refusals, ticks: Iterator[MarketData]
    ) -> None:
        meter = Meter(self._maker(self.plugin, self._instance), refusals, self._bars)
        await meter.work.start()
        blocks = Blocks(ticks)
        for block in blocks:
            made: dict[int, Value] = {}
            for part in block:
                values = [one for batch in await meter.show(part.batch) for one in batch.values]
                made.update(zip(part.rows, values, strict=True))
            result.values += (made[row] for row in sorted(made))
        for one in meter.work.all():
            await one.shutdown()
        result.ticks = blocks.count
        result.report = _reports({symbol: one for (_, symbol), one in meter.work.objects.items()})

    async def _source(
        self,
        result: Result,
        refusals: border.Refusals,
        limit: int | None,
        timeout_s: float,
    ) -> None:
        plugin = self._maker(self.plugin, self._instance).new()
        symbols = plugin.config.get("symbols", [])
        feed = Feed(self._instance, LIFE, refusals, finite=plugin.finite)
        await plugin.initialize()
        try:
            if await plugin.connect() is False:
                raise ConnectionError("connect() returned False")
            if symbols and await plugin.subscribe(symbols) is False:
                raise ConnectionError(f"subscribe({symbols}) returned False")
            async with asyncio.timeout(timeout_s), aclosing(plugin.stream()) as stream:
                async for item in stream:
                    tick = feed.take(item)
                    if tick is not None:
                        result.data.append(tick)
                    if limit is not None and len(result.data) >= limit:
                        break
        except TimeoutError:
            # What came in time is the result; a market never ends by itself.
            if not result.data:
                raise
        finally:
            if symbols:
                await plugin.unsubscribe(symbols)
            await plugin.disconnect()
            await plugin.shutdown()
        result.ticks = len(result.data)
        result.report = plugin.report()

    def _maker(self, plugin: Any, instance: str) -> Maker[Any]:
        """Return what makes objects like this one, itself first."""
        if isinstance(plugin, type):
            return Maker(plugin, self._config, instance=instance, storage=self._storage)
        given = [plugin]

        def make(config: dict[str, Any]) -> Any:
            return given.pop() if given else type(plugin)(config)

        return Maker(make, plugin.config, instance=instance, storage=self._storage)


def _ticks(rows: Rows, refusals: border.Refusals, limit: int | None) -> Iterator[MarketData]:
    """Yield what a source would have published of these rows."""
    if isinstance(rows, str | Path):
        rows = recording.rows(Path(rows))
    identify = Identify(SOURCE, finite=True)
    for row in islice(rows, limit):
        try:
            if isinstance(row, MarketData):
                # A copy: indicators, and the plugin itself, write into a tick's metadata.
                tick = replace(row, metadata=dict(row.metadata))
            else:
                tick = recording.read(row)
            yield border.tick(tick, identify)
        except border.RefusedError as error:
            refusals.note(error)


def _reports(objects: Mapping[str, BasePlugin]) -> dict[str, Any]:
    return {name: report for name, one in objects.items() if (report := one.report())}


@contextmanager
def _few_collections() -> Iterator[None]:
    """Have the collector look at millions of ticks less often: they are no garbage in cycles."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
