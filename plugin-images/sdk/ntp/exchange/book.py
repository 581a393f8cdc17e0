"""An order book kept from a snapshot and its diffs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nlargest, nsmallest

Level = Sequence[str]  # price, quantity; quantity 0 deletes
Side = dict[str, str]


@dataclass(slots=True)
class Book:
    """Prices and quantities are the exchange's own strings; a price is always written the same way."""

    last_update: int = 0
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)

    def copy(self) -> "Book":
        return Book(self.last_update, dict(self.bids), dict(self.asks))

    def apply(self, last_update: int, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Take one diff; one that is older than the book changes nothing."""
        if last_update <= self.last_update:
            return
        self.last_update = last_update
        put(self.bids, bids)
        put(self.asks, asks)

    def best(self, levels: int) -> tuple[list[list[str]], list[list[str]]]:
        """Bids from the highest, asks from the lowest price."""
        return (
            [list(level) for level in nlargest(levels, self.bids.items(), _price)],
            [list(level) for level in nsmallest(levels, self.asks.items(), _price)],
        )


def _price(level: tuple[str, str]) -> float:
    return float(level[0])


def put(side: Side, levels: Iterable[Level]) -> None:
    """Set absolute quantities; a quantity of nothing removes the level."""
    for price, quantity in levels:
        if quantity.strip("0.") == "":
            side.pop(price, None)
        else:
            side[price] = quantity


def difference(old: Side, new: Side) -> list[list[str]]:
    """The diff that turns one side into another."""
    gone = [[price, "0.00000000"] for price in old if price not in new]
    return gone + [
        [price, quantity] for price, quantity in new.items() if old.get(price) != quantity
    ]
