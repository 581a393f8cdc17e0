"""A symbol, as a curve of equity follows it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class Market:
    """The first and last price, when that came, and the base units held of it."""

    first: float
    mark: float
    at: datetime
    quantity: float = 0.0

    def equity(self, now: float, price: float) -> float:
        """Return what the equity, which is `now` at the last price, is at another one."""
        return now + self.quantity * (price - self.mark)

    def move(self, now: float, price: float) -> float:
        """Return the same, and take it for the last price."""
        equity = now + self.quantity * (price - self.mark)
        self.mark = price
        return equity

    def between(self, now: float, floor: float, ceiling: float) -> tuple[float, float]:
        """Return prices between which the equity, which is `now` at the last one, stays between these.

        A little narrower: at the very edge of a float the price itself has to be looked at. Something
        has to be held.
        """
        edge = abs(now) * 1e-12
        low = self.mark + (floor + edge - now) / self.quantity
        high = self.mark + (ceiling - edge - now) / self.quantity
        return (low, high) if self.quantity > 0 else (high, low)
