"""A strategy that measures how old each tick is when it is handed to it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ntp import MarketData, PluginMetadata, StrategyPlugin


class Gauge(StrategyPlugin):
    """Shows the median and the 99th percentile of ticks' ages, in microseconds, when it has seen all."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._ages: list[float] = []
        self._found: dict[str, float] = {}

    def get_metadata(self) -> PluginMetadata:
        schema = {"skip": "int", "count": "int"}
        return PluginMetadata(
            "gauge", "1.0.0", description=self.__doc__ or "", config_schema=schema
        )

    def analyze(self, data: MarketData, history: Sequence[MarketData]) -> None:  # noqa: ARG002
        self._ages.append((datetime.now(UTC) - data.timestamp).total_seconds())

    def get_indicators(self) -> dict[str, float]:
        # Sorting while ticks arrive would itself make them late.
        if not self._found and len(self._ages) == self.config["count"]:
            ages = sorted(self._ages[self.config["skip"] :])
            self._found = {
                name: ages[int(share * (len(ages) - 1))] * 1e6
                for name, share in (("p50", 0.5), ("p99", 0.99))
            }
        return self._found
