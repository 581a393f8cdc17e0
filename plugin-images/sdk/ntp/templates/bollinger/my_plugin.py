"""Buy below the lower Bollinger band, sell above the upper one: once each time the price leaves them."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct, convert

from ntp import MarketData, SignalType, StrategyPlugin, TradingSignal
from ntp.indicators import Bollinger


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry's `config` may say; config_schema in plugin.yaml says the same to who writes one."""

    period: Annotated[int, Meta(ge=2, le=100_000)] = 20
    std_dev: Annotated[float, Meta(gt=0)] = 2.0
    position_size: Annotated[float, Meta(gt=0, le=1)] = 0.02


class MyPlugin(StrategyPlugin):
    """Buys below the lower Bollinger band and sells above the upper one, once each time.

    Each symbol has an object of its own, so what is kept here is about one symbol.

    Examples:
        >>> from ntp import PluginTester
        >>> result = PluginTester(MyPlugin, {"period": 20}).run("sample_data.csv")
        >>> len(result.signals) > 0
        True
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.settings = convert(config, Config)
        self._bands = Bollinger(self.settings.period, self.settings.std_dev)
        self._told: SignalType | None = None
        """The last signal, until the price is back at the middle."""

    def analyze(self, data: MarketData, history: Sequence[MarketData]) -> TradingSignal | None:
        # `history` holds the ticks before this one; the bands keep their own window, at O(1) a tick.
        bands = self._bands.update(data.price)
        if bands is None:
            return None
        away, width = data.price - bands.middle, bands.upper - bands.middle
        if away >= 0 if self._told is SignalType.BUY else away <= 0:
            self._told = None
        if abs(away) <= width:
            return None
        wish = SignalType.BUY if away < 0 else SignalType.SELL
        if wish is self._told:
            return None
        self._told = wish
        # 0 at the band, 1 where the price is twice as far from the middle as the band is.
        confidence = min(1.0, abs(away) / width - 1) if width else 1.0
        return TradingSignal(data.symbol, wish, confidence, data.price)

    def get_indicators(self) -> dict[str, float]:
        """Return what `ntpctl status` and the report show beside the price."""
        return {} if self._bands.value is None else self._bands.value._asdict()

    def snapshot(self) -> dict[str, Any]:
        """Return what `restore` needs, so that a restart changes no signal."""
        return {"period": self.settings.period, "bands": self._bands.snapshot(), "told": self._told}

    def restore(self, state: dict[str, Any]) -> None:
        if state["period"] == self.settings.period:  # else it is of another config, and of no use
            self._bands.restore(state["bands"])
            self._told = state["told"] and SignalType(state["told"])
