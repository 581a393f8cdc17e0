"""Buy below the lower Bollinger band, sell above the upper one: once each time the price leaves them."""

from collections.abc import Sequence
from math import sqrt
from typing import Any

from ntp import MarketData, PluginMetadata, SignalType, StrategyPlugin, TradingSignal
from ntp.indicators import Bollinger

_TIE = 1e-12
"""Share of the price; the rounding of floats must not decide if a price is on a line or beyond it."""


class BollingerStrategy(StrategyPlugin):
    """Buys below the lower Bollinger band and sells above the upper one, once each time.

    Raises:
        ValueError: a config that cannot work, by the name of its field.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        period = _whole(config, "period", 20, least=2)
        self._width = _number(config, "std_dev", 2.0, above=0.0)
        _number(config, "position_size", 0.02, above=0.0, most=1.0)
        # Samuelson's inequality: of n values none lies farther than this from their mean.
        self._farthest = (period - 1) / sqrt(period)
        if self._width >= self._farthest:
            raise ValueError(
                f"std_dev was {self._width}, and of {period} prices none is ever"
                f" {self._farthest:.2f} deviations from their mean; give a smaller std_dev, or a longer period"
            )
        self._rsi = config.get("rsi", "rsi_indicator") or ""
        self._rsi_low = _number(config, "rsi_low", 30.0, above=-1.0, most=100.0)
        self._rsi_high = _number(config, "rsi_high", 70.0, above=-1.0, most=100.0)
        self._window = [period, self._width]
        self._bands = Bollinger(period, self._width)
        self._told: SignalType | None = None

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(
            name="bollinger_strategy",
            version="1.0.0",
            author="the ntp project",
            description=(self.__doc__ or "").partition("\n")[0],
        )

    def analyze(self, data: MarketData, history: Sequence[MarketData]) -> TradingSignal | None:  # noqa: ARG002 - the bands keep their own window
        bands = self._bands.update(data.price)
        std = self._bands.std
        if bands is None or std is None:
            return None
        away, tie = data.price - bands.middle, _TIE * abs(data.price)
        if away >= -tie if self._told is SignalType.BUY else away <= tie:
            self._told = None  # back at the middle: the next time counts again
        if not std or abs(away) <= self._width * std + tie:
            return None
        wish = SignalType.BUY if away < 0 else SignalType.SELL
        if wish is self._told or not self._rsi_agrees(wish, data):
            return None
        self._told = wish
        confidence = (abs(away) / std - self._width) / (self._farthest - self._width)
        return TradingSignal(
            symbol=data.symbol,
            signal_type=wish,
            confidence=min(1.0, confidence),
            price=data.price,
        )

    def get_indicators(self) -> dict[str, float]:
        bands = self._bands.value
        return {} if bands is None else bands._asdict()

    def snapshot(self) -> dict[str, Any]:
        return {"window": self._window, "bands": self._bands.snapshot(), "told": self._told}

    def restore(self, state: dict[str, Any]) -> None:
        if state["window"] == self._window:  # else it is of another config, and of no use
            self._bands.restore(state["bands"])
            self._told = state["told"] and SignalType(state["told"])

    def _rsi_agrees(self, wish: SignalType, data: MarketData) -> bool:
        """Whether the RSI agrees; it does where nobody sends one."""
        values = data.metadata.get("indicators")
        rsi = values.get(self._rsi) if isinstance(values, dict) else None
        if not isinstance(rsi, int | float):
            return True
        return rsi <= self._rsi_low if wish is SignalType.BUY else rsi >= self._rsi_high


def _number(
    config: dict[str, Any], name: str, default: float, *, above: float, most: float = 1e9
) -> float:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not above < value <= most:
        raise ValueError(f"{name} was {value!r}; give a number such as {default}")
    return float(value)


def _whole(config: dict[str, Any], name: str, default: int, *, least: int) -> int:
    value = config.get(name, default)
    if type(value) is not int or not least <= value <= 100_000:
        raise ValueError(f"{name} was {value!r}; give a whole number from {least} to 100000")
    return value
