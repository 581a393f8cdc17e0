"""Wilder's relative strength index, tick by tick or bar by bar."""

from typing import Any

from ntp import IndicatorPlugin, MarketData, PluginMetadata
from ntp.indicators import RSI


class RsiIndicator(IndicatorPlugin):
    """Wilder's relative strength index of each symbol, 0 to 100.

    Raises:
        ValueError: a period that is no whole number from 1.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        period = config.get("period", 14)
        if type(period) is not int or not 1 <= period <= 100_000:
            raise ValueError(f"period was {period!r}; give a whole number from 1 to 100000")
        self._period = period
        self._rsi = RSI(period)

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(
            name="rsi_indicator",
            version="1.0.0",
            author="the ntp project",
            description=(self.__doc__ or "").partition("\n")[0],
        )

    def update(self, data: MarketData) -> float | None:
        """Return the index as of this tick; None until period + 1 prices were seen."""
        return self._rsi.update(data.price)

    def snapshot(self) -> dict[str, Any]:
        return {"period": self._period, "rsi": self._rsi.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        if state["period"] == self._period:  # else it is of another config, and of no use
            self._rsi.restore(state["rsi"])
