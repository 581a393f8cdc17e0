"""A strategy with an O(1) indicator that notes how many ticks it has analysed, and when."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ntp import MarketData, PluginMetadata, SignalType, StrategyPlugin, TradingSignal
from ntp.indicators import Bollinger
from tests.benchmarks.rig import Counter

NOTE = 64
"""Ticks between notes."""


class Counting(StrategyPlugin):
    """Sells above the upper band. `counter`: the file of its notes."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._bands = Bollinger(20, 4.0)
        self._counter = Counter(Path(config["counter"]))
        self._count = self._first = 0

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(
            "counting", "1.0.0", description=self.__doc__ or "", config_schema={"counter": "str"}
        )

    def analyze(self, data: MarketData, history: Sequence[MarketData]) -> TradingSignal | None:  # noqa: ARG002
        count = self._count = self._count + 1
        if not count % NOTE:
            now = time.monotonic_ns()
            self._first = self._first or now
            self._counter.write(count, self._first, now)
        bands = self._bands.value
        self._bands.update(data.price)
        if bands is not None and data.price > bands.upper:
            return TradingSignal(data.symbol, SignalType.SELL, 1.0, data.price, size=1.0)
        return None
