"""The prices of a run for its drawing: every extreme, in memory that stays the same."""

from collections import Counter
from collections.abc import Sequence

from ntp.contract.messages import MarketData
from ntp.statistics.envelope import Envelope

MOST_SYMBOLS = 40
"""As many as a page draws."""
_WHOLE = 20_000
"""Ticks of a symbol that are all looked at."""
_STRETCH = 128
"""Ticks behind them of which the lowest and the highest are: there are far fewer points than that."""
_POINTS = 4_096


class Prices:
    """Takes ticks of a symbol, in order."""

    def __init__(self) -> None:
        self._lines: dict[str, Envelope] = {}
        self._taken: Counter[str] = Counter()

    def take(self, symbol: str, ticks: Sequence[MarketData]) -> None:
        line = self._lines.get(symbol)
        if line is None:
            if len(self._lines) >= MOST_SYMBOLS:
                return
            line = self._lines[symbol] = Envelope(_POINTS)
            line.add(ticks[0].timestamp, ticks[0].price)
        taken = self._taken[symbol]
        self._taken[symbol] += len(ticks)
        if taken < _WHOLE:
            for tick in ticks:
                line.add(tick.timestamp, tick.price)
            return
        prices = [tick.price for tick in ticks]
        for start in range(0, len(ticks), _STRETCH):
            stretch = prices[start : start + _STRETCH]
            low, high = stretch.index(min(stretch)), stretch.index(max(stretch))
            for at in (low, high) if low <= high else (high, low):
                line.add(ticks[start + at].timestamp, stretch[at])
        line.add(ticks[-1].timestamp, prices[-1])

    def lines(self) -> dict[str, tuple[list[float], list[float]]]:
        """Return Unix seconds and prices of each symbol."""
        points = {symbol: line.points() for symbol, line in self._lines.items()}
        return {symbol: (list(times), list(prices)) for symbol, (times, prices) in points.items()}
