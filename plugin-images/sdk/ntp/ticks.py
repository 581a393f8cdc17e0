"""Ticks in a row, and columns of them: each is made once, however many look at it."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from itertools import islice
from math import isfinite
from operator import lt

from ntp.contract.messages import MarketData

SPAN = 64
"""Prices of which the lowest and the highest are kept."""


class Ticks(list[MarketData]):
    """A list that nobody changes: who wants other ticks in it makes another one.

    Who knows a column already, as a reader of files does, sets it.
    """

    @classmethod
    def of(cls, ticks: Iterable[MarketData]) -> "Ticks":
        """Return them as they are, if they are such a list, else in a new one."""
        return ticks if isinstance(ticks, cls) else cls(ticks)

    @cached_property
    def times(self) -> list[datetime]:
        return [tick.timestamp for tick in self]

    @cached_property
    def prices(self) -> list[float]:
        return [tick.price for tick in self]

    @cached_property
    def symbol(self) -> str | None:
        """What all of them are of; None: of several, or there are none."""
        symbols = {tick.symbol for tick in self}
        return symbols.pop() if len(symbols) == 1 else None

    @cached_property
    def nameless(self) -> bool:
        """None of them has an id."""
        return not any(tick.id for tick in self)

    @cached_property
    def rising(self) -> bool:
        """Each is newer than the one before."""
        return all(map(lt, self.times, islice(self.times, 1, None)))

    @cached_property
    def spans(self) -> tuple[list[float], list[float]]:
        """The lowest and the highest price of each `SPAN` ticks; none where a price is no finite number."""
        prices = self.prices
        if not isfinite(sum(prices)):  # of itself it may be too large too; those are no prices
            return [], []
        cuts = [prices[at : at + SPAN] for at in range(0, len(prices), SPAN)]
        return [*map(min, cuts)], [*map(max, cuts)]

    def extremes(self, start: int, stop: int) -> tuple[float, float]:
        """Return the lowest and the highest price from `start` to `stop`, which is behind it."""
        first, last = -(-start // SPAN), stop // SPAN
        lows, highs = self.spans
        prices = self.prices
        if not lows or last <= first:
            some = prices[start:stop]
            return min(some), max(some)
        edges = prices[start : first * SPAN] + prices[last * SPAN : stop]
        return min(lows[first:last] + edges), max(highs[first:last] + edges)

    def beyond(self, low: float, high: float, start: int, stop: int) -> int:
        """Return the index of the first price, from `start` on, that is not above `low` and below `high`.

        `stop`: where to end; the index that is returned if there is none.
        """
        prices, at = self.prices, start
        lows, highs = self.spans
        while at < stop:
            span = at // SPAN
            end = min(SPAN * (span + 1), stop)
            if not (lows and low < lows[span] and highs[span] < high):
                for place, price in enumerate(prices[at:end], at):
                    if not low < price < high:
                        return place
            at = end
        return stop
