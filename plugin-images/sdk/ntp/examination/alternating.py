"""The strategy that an executor is tested with: it buys and sells by turns."""

from collections.abc import Sequence

from ntp.contract.messages import MarketData, SignalType, TradingSignal
from ntp.plugin import StrategyPlugin

EVERY = 10
"""Ticks of a symbol between two signals."""


class Alternating(StrategyPlugin):
    """Buys at the tenth tick of a symbol, sells at the twentieth, and so on."""

    def __init__(self, config: dict[str, object]) -> None:
        super().__init__(config)
        self._seen = 0

    def analyze(self, data: MarketData, history: Sequence[MarketData]) -> TradingSignal | None:  # noqa: ARG002 - it counts
        self._seen += 1
        if self._seen % EVERY:
            return None
        side = SignalType.BUY if self._seen // EVERY % 2 else SignalType.SELL
        return TradingSignal(data.symbol, side, 1.0, data.price)
