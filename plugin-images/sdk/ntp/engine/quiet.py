"""How long a desk will do nothing by itself, so that a strategy may be shown that many ticks at once."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from ntp.contract.messages import MarketData
from ntp.engine.changes import Change
from ntp.engine.desk import Desk
from ntp.engine.exact import LIMIT
from ntp.ticks import Ticks

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LOOK_AHEAD = 256
"""Ticks; behind a strategy that signals at each of them they are looked at again each time."""


def acts_at(desk: Desk, ticks: Sequence[MarketData], start: int) -> int:
    """Return the index of the first of these ticks, all of one symbol, that may fill something.

    As long as no signal comes, that is. None does: the index behind those that were looked at. An order
    that waits may be filled at once; a level is met by a last price (`fills.triggered`).
    """
    symbol = ticks[start].symbol
    if symbol in desk.orders:
        return start
    held = desk.book.positions.get(symbol)
    if held is None or (held.stop_loss is None and held.take_profit is None):
        return len(ticks)
    levels = held.stop_loss, held.take_profit
    below, above = levels if held.quantity > 0 else levels[::-1]
    low = -math.inf if below is None else float(below)
    high = math.inf if above is None else float(above)
    end = min(start + LOOK_AHEAD, len(ticks))
    if isinstance(ticks, Ticks):
        return ticks.beyond(low, high, start, end)
    return next((at for at in range(start, end) if not low < ticks[at].price < high), end)


class Stretch:
    """Ticks of one symbol in a row, for who looks for those that matter.

    `steady`: each is newer than the one before, and each price is usable: none of them is ignored.
    """

    __slots__ = ("steady", "ticks")

    def __init__(self, ticks: Sequence[MarketData]) -> None:
        self.ticks = Ticks.of(ticks)
        lows, highs = self.ticks.spans
        self.steady = bool(lows) and self.ticks.rising and max(highs) < LIMIT and min(lows) > -LIMIT

    def pass_over(self, desk: Desk, start: int, stop: int) -> Iterator[Change]:
        """Do what `desk.tick` with each of these does, where none but the last may fill anything.

        Of most ticks nothing is left but the last price: a position is looked at where a sample of the
        equity is due, or a day begins.
        """
        ticks, times, at = self.ticks, self.ticks.times, start
        seen = desk.seen.get(ticks[start].symbol)
        if not self.steady or (seen is not None and times[start] <= seen.time):
            for at in range(start, stop):
                if (change := desk.tick(ticks[at])) is not None:
                    yield change
            return
        last = stop - 1
        while at <= last:
            at = bisect_left(times, _due(desk), at, last) if desk.book.positions else last
            if (change := desk.tick(ticks[at])) is not None:
                yield change
            at += 1


def _due(desk: Desk) -> datetime:
    """Return when the next sample of the equity is due, or the next day begins."""
    sample = _EPOCH + timedelta(seconds=(desk.last_bucket + 1) * desk.sample_s)
    return min(sample, desk.day.ends)
