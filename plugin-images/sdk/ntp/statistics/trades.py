"""One strategy's round trips, taken as they close: figures of all, and some of them to be listed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Self

from ntp.contract.messages import Fill
from ntp.statistics.returns import UndefinedError
from ntp.statistics.trading import Profits
from ntp.statistics.trips import Cutting, Trip

MOST = 6_000
"""Trips that are listed: of more, a quarter each of the first, the latest, the best and the worst."""
_QUARTER = MOST // 4
_FINEST = 2**1074
"""Each finite float is a whole number of these parts of 1."""


class Trades:
    """Takes fills in the order of events; takes the same memory for any number of them.

    Attributes:
        profits: of those that closed.
    """

    def __init__(self) -> None:
        self.profits = Profits()
        self._cutting = Cutting()
        self._kept: list[Trip] = []
        self._length = timedelta()
        self._share = (
            0  # exact, in units of `_FINEST`, so that no order of floats is seen in a mean
        )

    @classmethod
    def of(cls, fills: Iterable[Fill]) -> Self:
        """Return what took all of these."""
        made = cls()
        for fill in fills:
            made.take(fill)
        return made

    def take(self, fill: Fill) -> None:
        """Take the next fill."""
        trip = self._cutting.take(fill)
        if trip is None:
            return
        self.profits.take(trip.net)
        self._length += trip.length
        number, parts = trip.share.as_integer_ratio()
        self._share += number * (_FINEST // parts)
        self._kept.append(trip)
        if len(self._kept) > 2 * MOST:
            self._kept = _chosen(self._kept)

    def open(self, marks: Mapping[str, Decimal], end: datetime | None) -> list[Trip]:
        """Return the trips under way, as `Cutting.open` does."""
        return self._cutting.open(marks, end)

    def listed(self, still_open: Sequence[Trip]) -> list[Trip]:
        """Return trips in the order in which they were entered: all up to `MOST` that closed, and these."""
        closed = self._kept if self.profits.count <= MOST else _chosen(self._kept)
        return sorted([*closed, *still_open], key=lambda trip: trip.number)

    def average_length(self) -> float:
        """Return the mean length of the closed trips, seconds.

        Raises:
            UndefinedError: there is none.
        """
        return self._length.total_seconds() / self._count()

    def average_share(self) -> float:
        """Return the mean of the closed trips' profits after fees, as shares of what was paid at entry.

        Raises:
            UndefinedError: there is none.
        """
        return self._share / _FINEST / self._count()

    def _count(self) -> int:
        if not self.profits.count:
            raise UndefinedError("no trade was closed")
        return self.profits.count


def _chosen(trips: Sequence[Trip]) -> list[Trip]:
    """Return the first, the latest, the best and the worst; what it left out before is none of these.

    They are in the order in which they closed.
    """
    by_net = sorted(range(len(trips)), key=lambda at: trips[at].net)
    kept = {*range(_QUARTER), *range(len(trips) - _QUARTER, len(trips))}
    kept.update(by_net[:_QUARTER], by_net[-_QUARTER:])
    return [trips[at] for at in sorted(kept)]
