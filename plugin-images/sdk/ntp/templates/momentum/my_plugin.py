"""Go with the price when most of its last moves went one way."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

from msgspec import Meta, Struct, convert

from ntp import MarketData, SignalType, StrategyPlugin, TradingSignal


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry's `config` may say; config_schema in plugin.yaml says the same to who writes one."""

    lookback: Annotated[int, Meta(ge=2, le=900)] = 14
    threshold: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    position_size: Annotated[float, Meta(gt=0, le=1)] = 0.02


class MyPlugin(StrategyPlugin):
    """Buys when the price rose, and sells when it fell, by most of the way that it went.

    The measure is P. Kaufman's efficiency ratio with a sign: the net move of the last `lookback` moves
    over the sum of their sizes, -1 to 1 (Trading Systems and Methods).

    Each symbol has an object of its own, so what is kept here is about one symbol.

    Examples:
        >>> from ntp import PluginTester
        >>> result = PluginTester(MyPlugin, {"lookback": 14}).run("sample_data.csv")
        >>> len(result.signals) > 0
        True
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.settings = convert(config, Config)
        self._momentum = 0.0
        self._told: SignalType | None = None

    def analyze(self, data: MarketData, history: Sequence[MarketData]) -> TradingSignal | None:
        lookback = self.settings.lookback
        if len(history) < lookback:
            return None
        prices = [tick.price for tick in history[-lookback:]]
        prices.append(data.price)
        way = sum(abs(after - before) for before, after in pairwise(prices))
        self._momentum = (prices[-1] - prices[0]) / way if way else 0.0
        if abs(self._momentum) < self.settings.threshold:
            return None
        wish = SignalType.BUY if self._momentum > 0 else SignalType.SELL
        if wish is self._told:
            return None
        self._told = wish
        return TradingSignal(data.symbol, wish, min(1.0, abs(self._momentum)), data.price)

    def get_indicators(self) -> dict[str, float]:
        """Return what `ntpctl status` and the report show beside the price."""
        return {"momentum": self._momentum}

    def snapshot(self) -> dict[str, Any]:
        """Return what `restore` needs; the prices come again as `history`."""
        return {"told": self._told}

    def restore(self, state: dict[str, Any]) -> None:
        self._told = state["told"] and SignalType(state["told"])
