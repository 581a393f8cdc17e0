"""How far the price is from its moving average, in percent of it."""

from typing import Annotated, Any

from msgspec import Meta, Struct, convert

from ntp import IndicatorPlugin, MarketData
from ntp.indicators import SMA


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry's `config` may say; config_schema in plugin.yaml says the same to who writes one."""

    period: Annotated[int, Meta(ge=1, le=100_000)] = 20


class MyPlugin(IndicatorPlugin):
    """The price's distance from its moving average, in percent: 100 * (price - mean) / mean.

    Strategies find it with the tick that it belongs to, in `data.metadata["indicators"]["my-plugin"]`.

    Examples:
        >>> from ntp import PluginTester
        >>> PluginTester(MyPlugin, {"period": 20}).run("sample_data.csv").values[:2]
        [None, None]
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.settings = convert(config, Config)
        self._mean = SMA(self.settings.period)

    def update(self, data: MarketData) -> float | None:
        """Return the distance as of this tick; None until `period` prices were seen."""
        mean = self._mean.update(data.price)
        return None if not mean else 100 * (data.price - mean) / mean

    def snapshot(self) -> dict[str, Any]:
        """Return what `restore` needs, so that a restart changes no value."""
        return {"period": self.settings.period, "mean": self._mean.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        if state["period"] == self.settings.period:  # else it is of another config, and of no use
            self._mean.restore(state["mean"])
