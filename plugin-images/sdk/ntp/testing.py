"""Run a plugin on recorded data, without a bus, through the code that runs it live.

result = PluginTester(BollingerStrategy({"period": 20})).run("btcusdt.csv")
result.signals

`test_strategy` and `test_data_source` run a plugin and raise PluginFailedError where something is wrong.
"""

import asyncio
import gc
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from msgspec.structs import replace

from ntp import recording
from ntp.blocks import SOURCE, Blocks, cut
from ntp.contract.launch import Trading
from ntp.contract.messages import MarketData
from ntp.layouts import open_files
from ntp.listening import listen
from ntp.plugin import (
    BasePlugin,
    DataSourcePlugin,
    ExecutorPlugin,
    IndicatorPlugin,
    StrategyPlugin,
)
from ntp.rehearsal import Meter, Rehearsal
from ntp.runner.core import border
from ntp.runner.core.lead import Value
from ntp.runner.core.objects import Maker
from ntp.runner.core.tick_ids import Identify
from ntp.tested import PluginFailedError, Result, held_to_source, held_to_strategy

__all__ = ["PluginFailedError", "PluginTester", "Result", "Rows"]

Rows = str | Path | Iterable[MarketData | Mapping[str, Any]]
"""A file of any layout that `ntp.layouts` reads, ticks, or mappings with the field names of a tick."""


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

    __test__: ClassVar[bool] = False
    """pytest collects nothing here: these methods are for tests, and no tests."""

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

    @staticmethod
    def test_strategy(
        plugin: BasePlugin | type[BasePlugin],
        data: Rows,
        config: dict[str, Any] | None = None,
        **options: Any,
    ) -> Result:
        """Run a strategy over recorded data, and hold what it did to what everyone relies on.

        Args:
            plugin: the object, or its class.
            data: a CSV file, ticks, or mappings.
            config: for a class.
            options: as of PluginTester: `history`, `bars`, `trading`, `indicators`, `executor`.

        Raises:
            PluginFailedError: it was shown no tick, or a result was refused; every reason at once.
            ConfigRefusedError: the plugin does not take its config.
        """
        _check_kind(plugin, StrategyPlugin)
        result = _finished(PluginTester(plugin, config, **options).run_async(data))
        return held_to_strategy(result)

    @staticmethod
    async def test_data_source(
        plugin: BasePlugin | type[BasePlugin],
        duration: float = 10.0,
        config: dict[str, Any] | None = None,
        *,
        limit: int | None = None,
        **options: Any,
    ) -> Result:
        """Connect a source, listen, disconnect, and hold what it sent to what everyone relies on.

        Args:
            plugin: the object, or its class.
            duration: seconds to listen, at the most.
            config: for a class; its `symbols` are subscribed to.
            limit: ticks after which it ends earlier.
            options: as of PluginTester: `storage`.

        Raises:
            PluginFailedError: no tick came, one was refused, one is of no subscribed symbol or older than
                the one before it, or a stream that is to go on for ever ended; every reason at once.
            ConfigRefusedError: the plugin does not take its config.
            ConnectionError: it could not connect or subscribe.
        """
        _check_kind(plugin, DataSourcePlugin)
        tester = PluginTester(plugin, config, **options)
        try:
            result = await tester.run_async(limit=limit, timeout_s=duration)
        except TimeoutError:
            raise PluginFailedError([f"no tick came within {duration:g} s"]) from None
        given = (config or {}) if isinstance(plugin, type) else plugin.config
        finite = getattr(plugin, "finite", False)
        return held_to_source(result, given.get("symbols", []), finite=finite)

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
            source = self._maker(self.plugin, self._instance).new()
            await listen(source, self._instance, result, refusals, limit=limit, timeout_s=timeout_s)
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
        blocks = Blocks(cut(ticks))
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
        blocks = Blocks(cut(ticks))
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

    def _maker(self, plugin: Any, instance: str) -> Maker[Any]:
        """Return what makes objects like this one, itself first."""
        if isinstance(plugin, type):
            return Maker(plugin, self._config, instance=instance, storage=self._storage)
        given = [plugin]

        def make(config: dict[str, Any]) -> Any:
            return given.pop() if given else type(plugin)(config)

        return Maker(make, plugin.config, instance=instance, storage=self._storage)


def _check_kind(plugin: BasePlugin | type[BasePlugin], wanted: type) -> None:
    kind = plugin if isinstance(plugin, type) else type(plugin)
    if not issubclass(kind, wanted):
        raise TypeError(f"{kind.__name__} is no {wanted.__name__}")


def _finished(running: Coroutine[Any, Any, Result]) -> Result:
    """Await in a loop of its own: of this thread, or of another where this one has its loop running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(running)
    with ThreadPoolExecutor(1) as other:
        return other.submit(asyncio.run, running).result()


def _ticks(rows: Rows, refusals: border.Refusals, limit: int | None) -> Iterator[MarketData]:
    """Yield what a source would have published of these rows."""
    if isinstance(rows, str | Path):
        rows = open_files(rows).strictly()
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
