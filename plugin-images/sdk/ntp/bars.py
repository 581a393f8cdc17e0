"""OHLCV bars closed by event time; one implementation for test and live."""

import re
from datetime import UTC, datetime, timedelta

from ntp.contract.messages import MarketData

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH = re.compile(r"([1-9][0-9]{0,4})([smhd])\Z")
_UNIT = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def length(text: str) -> timedelta:
    """Read `1s` … `1d`: a whole number of s, m, h or d that divides a day, so bars start at midnight UTC.

    Raises:
        ValueError: anything else, with what to write.
    """
    match = _LENGTH.match(text)
    if match is None:
        raise ValueError(f"bars was {text!r}; write a number and s, m, h or d, such as 5m")
    span = int(match[1]) * _UNIT[match[2]]
    if span > _DAY or _DAY % span:
        raise ValueError(
            f"bars was {text!r}; use a length that divides one day, such as 1m, 5m, 1h"
        )
    return span


class Bars:
    """Builds the bars of one symbol from its ticks.

    A bar covers start <= event time < start + length, on a grid from midnight UTC. Only a tick of a
    later bar closes it (or `end`); time spans without ticks make no bar. Ticks that come out of order
    count by their event time while their bar is open; once it was closed they are only counted.

    Bars may be made of shorter bars: one that has open, high and low in its metadata brings them; one
    that says how long it is, in `bars`, ends at its time, so it belongs to the instant before.

    Attributes:
        late: ticks that came after their bar was closed.
    """

    __slots__ = (
        "_closed", "_count", "_end", "_first", "_high", "_last", "_low", "_open", "_volume",
        "late", "period", "span",
    )  # fmt: skip

    def __init__(self, period: str) -> None:
        self.period = period
        self.span = length(period)
        self.late = 0
        self._last: MarketData | None = None
        self._closed = self._end = self._first = _BEGINNING
        self._open = self._high = self._low = self._volume = 0.0
        self._count = 0

    def add(self, tick: MarketData) -> MarketData | None:
        """Take a tick (aware timestamp); return the bar that it closed, if any."""
        at = tick.timestamp
        opened = high = low = tick.price
        count = 1
        if tick.metadata:
            at, opened, high, low, count = _extent(tick)
        last = self._last
        if last is None:
            if at < self._closed:
                self.late += 1
            else:
                self._start(tick, at, opened, high, low, count)
            return None
        if at >= self._end:
            bar = self._bar(last)
            self._start(tick, at, opened, high, low, count)
            return bar
        if at < self._end - self.span:
            self.late += 1
            return None
        if high > self._high:  # noqa: PLR1730 - every tick passes here, a call costs more
            self._high = high
        if low < self._low:  # noqa: PLR1730
            self._low = low
        self._volume += tick.volume
        self._count += count
        if tick.timestamp >= last.timestamp:
            self._last = tick
        elif at < self._first:
            self._first, self._open = at, opened
        return None

    def end(self) -> MarketData | None:
        """Close the open bar: no more ticks come."""
        last = self._last
        if last is None:
            return None
        bar = self._bar(last)
        self._last = None
        self._closed = self._end
        return bar

    def _start(  # noqa: PLR0917 - each tick of a new bar passes here
        self, tick: MarketData, at: datetime, opened: float, high: float, low: float, count: int
    ) -> None:
        self._end = at - (at - _EPOCH) % self.span + self.span
        self._first = at
        self._last = tick
        self._open, self._high, self._low = opened, high, low
        self._volume = tick.volume
        self._count = count

    def _bar(self, last: MarketData) -> MarketData:
        start = self._end - self.span
        return MarketData(
            # The end, not the start: before it the close was not known.
            timestamp=self._end.astimezone(UTC),
            symbol=last.symbol,
            price=last.price,
            volume=self._volume,
            bid=last.bid,
            ask=last.ask,
            metadata={
                "open": self._open,
                "high": self._high,
                "low": self._low,
                "count": self._count,
                "bars": self.period,
            },
            id=f"{self.period}@{start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        )


def instant(tick: MarketData) -> datetime:
    """Return to which instant a tick belongs: its time, but of a bar that ends then, the one before."""
    return tick.timestamp - _INSTANT if "bars" in tick.metadata else tick.timestamp


def _extent(tick: MarketData) -> tuple[datetime, float, float, float, int]:
    """Return a tick's instant, open, high and low, and how many trades it is."""
    held = tick.metadata
    opened, high, low = held.get("open"), held.get("high"), held.get("low")
    if not (type(opened) is type(high) is type(low) is float):
        return instant(tick), tick.price, tick.price, tick.price, 1
    count = held.get("count", 1)
    return instant(tick), opened, high, low, count if type(count) is int else 1
