"""A strategy to be written."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct, convert

from ntp import MarketData, StrategyPlugin, TradingSignal


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry's `config` may say; config_schema in plugin.yaml says the same to who writes one."""

    position_size: Annotated[float, Meta(gt=0, le=1)] = 0.02


class MyPlugin(StrategyPlugin):
    """Looks at each tick, and wishes nothing yet.

    Each symbol has an object of its own, so what is kept here is about one symbol.

    Examples:
        >>> from ntp import PluginTester
        >>> PluginTester(MyPlugin).run("sample_data.csv").signals
        []
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.settings = convert(config, Config)

    def analyze(self, data: MarketData, history: Sequence[MarketData]) -> TradingSignal | None:
        """Return a wish, or None.

        `history` holds the ticks of this symbol before this one, oldest first. Take the time from
        `data.timestamp`, never from a clock: then a test, a replay and a live run do the same. A wish is
        TradingSignal(data.symbol, SignalType.BUY, confidence=0.5, price=data.price); BUY aims at long, SELL
        at flat (or short, where the entry allows it). `self.position(data.symbol)` is what is held.
        """
        return None
