"""The prices of a run for its drawing: every extreme, in memory that stays the same."""

from collections import Counter
from collections.abc import Sequence

from ntp.contract.messages import MarketData
from ntp.statistics.envelope import Envelope
from ntp.ticks import SPAN, Ticks

MOST_SYMBOLS = 40
"""As many as a page draws."""
_WHOLE = 20_000
"""Ticks of a symbol that are all looked at."""
_STRETCH = 2 * SPAN
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
        block = Ticks.of(ticks)
        times, prices, (lows, highs) = block.times, block.prices, block.spans
        if taken < _WHOLE or not lows:
            for time, price in zip(times, prices, strict=True):
                line.add(time, price)
            return
        for start in range(0, len(prices), _STRETCH):
            span = start // SPAN
            low, high = lows[span], highs[span]
            lowest = highest = start
            if span + 1 < len(lows):
                # The first of equals is meant, and only its own half has to be searched.
                if lows[span + 1] < low:
                    low, lowest = lows[span + 1], start + SPAN
                if highs[span + 1] > high:
                    high, highest = highs[span + 1], start + SPAN
            low, high = prices.index(low, lowest), prices.index(high, highest)
            for at in (low, high) if low <= high else (high, low):
                line.add(times[at], prices[at])
        line.add(times[-1], prices[-1])

    def lines(self) -> dict[str, tuple[list[float], list[float]]]:
        """Return Unix seconds and prices of each symbol."""
        points = {symbol: line.points() for symbol, line in self._lines.items()}
        return {symbol: (list(times), list(prices)) for symbol, (times, prices) in points.items()}
