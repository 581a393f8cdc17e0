"""Go with the price when most of its last moves went one way; a move that repeats a price is none."""

from collections.abc import Sequence
from typing import Any

from ntp import MarketData, PluginMetadata, SignalType, StrategyPlugin, TradingSignal
from ntp.indicators import SMA, Momentum

_TIE = 1e-9
"""Of the momentum; the rounding of floats must not decide whether a threshold was reached."""


class MomentumStrategy(StrategyPlugin):
    """Goes with the price when most of its last moves went one way.

    Raises:
        ValueError: a config that cannot work, by the name of its field.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        lookback = config.get("lookback", 14)
        if type(lookback) is not int or not 2 <= lookback <= 100_000:
            raise ValueError(f"lookback was {lookback!r}; give a whole number from 2 to 100000")
        self._threshold = _share(config, "threshold", 0.7)
        if self._threshold == 1.0:
            raise ValueError("threshold was 1.0, and only a straight line is that; give less")
        _share(config, "position_size", 0.02)
        self._lookback = lookback
        self._net = Momentum(lookback)
        self._step = SMA(lookback)
        self._last: float | None = None
        self._momentum: float | None = None
        self._told: SignalType | None = None

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(
            name="momentum_strategy",
            version="1.0.0",
            author="the ntp project",
            description=(self.__doc__ or "").partition("\n")[0],
        )

    def analyze(self, data: MarketData, history: Sequence[MarketData]) -> TradingSignal | None:  # noqa: ARG002 - the indicators keep their own window
        momentum = self._update(data.price)
        if momentum is None:
            return None
        towards = momentum if self._told is SignalType.BUY else -momentum
        if towards <= _TIE:
            self._told = None  # it came to rest or turned: the next time counts again
        if abs(momentum) < self._threshold - _TIE:
            return None
        wish = SignalType.BUY if momentum > 0 else SignalType.SELL
        if wish is self._told:
            return None
        self._told = wish
        return TradingSignal(
            symbol=data.symbol,
            signal_type=wish,
            confidence=max(0.0, abs(momentum) - self._threshold) / (1.0 - self._threshold),
            price=data.price,
        )

    def get_indicators(self) -> dict[str, float]:
        return {} if self._momentum is None else {"momentum": self._momentum}

    def snapshot(self) -> dict[str, Any]:
        return {
            "lookback": self._lookback,
            "net": self._net.snapshot(),
            "step": self._step.snapshot(),
            "last": self._last,
            "momentum": self._momentum,
            "told": self._told,
        }

    def restore(self, state: dict[str, Any]) -> None:
        if state["lookback"] == self._lookback:  # else it is of another config, and of no use
            self._net.restore(state["net"])
            self._step.restore(state["step"])
            self._last, self._momentum = state["last"], state["momentum"]
            self._told = state["told"] and SignalType(state["told"])

    def _update(self, price: float) -> float | None:
        """Return net move / path length of the last `lookback` moves, -1 to 1; None: no new move."""
        last, self._last = self._last, price
        if price == last:
            return None
        net = self._net.update(price)
        if last is None:
            return None
        step = self._step.update(abs(price - last))
        if net is None or step is None:
            return None
        # Rounding may put a straight line a hair above 1.
        self._momentum = max(-1.0, min(1.0, net / (step * self._lookback)))
        return self._momentum


def _share(config: dict[str, Any], name: str, default: float) -> float:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(f"{name} was {value!r}; give a share above 0 such as {default}")
    return float(value)
