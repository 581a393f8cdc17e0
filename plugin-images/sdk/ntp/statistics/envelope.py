"""A line that never has more than so many points, and loses no extreme."""

from array import array
from datetime import UTC, datetime
from math import ceil, floor, log2

MOST = 8_192
_EVER = datetime.max.replace(tzinfo=UTC)
_FEWEST = 16
_NARROWEST = -19
"""The narrowest stretch is 2**-19 s, about 2 microseconds: times have no more."""


class Envelope:
    """Keeps every point up to `most`; from there on the first, lowest, highest and last of each stretch.

    Stretches are equally long, a power of two of seconds, and double as the line grows: memory is bounded,
    a point costs O(1) on average, and a line through what is kept covers the same ground.

    Args:
        most: points, 16 or more.

    Raises:
        ValueError: fewer: two stretches that meet at an edge of every length have 8, half of them.

    Attributes:
        low, high: of the stretch that is open.
        ends: when it ends; a point from there on begins the next one. Aware UTC.
    """

    __slots__ = ("_first", "_first_at", "_high_at", "_last", "_last_at", "_low_at", "_low_later", "_most",
                 "_open", "_times", "_values", "_width", "ends", "high", "low")  # fmt: skip

    def __init__(self, most: int = MOST) -> None:
        if most < _FEWEST:
            raise ValueError(f"most was {most}; give {_FEWEST} or more")
        self._most = most
        self._width = 0.0
        self._open = False
        self._times = array("d")
        self._values = array("d")
        self.low = self.high = self._first = self._last = 0.0
        self.ends = self._first_at = self._low_at = self._high_at = self._last_at = datetime.min.replace(tzinfo=UTC)  # fmt: skip
        self._low_later = False

    def add(self, at: datetime, value: float) -> None:
        """Take a point; `at` is none before the last one's. The last point again is nothing new."""
        if at >= self.ends:
            if self._open and at == self._last_at and value == self._last:
                return
            self._begin(at, value)
        elif value < self.low:
            self.low, self._low_at, self._low_later = value, at, True
        elif value > self.high:
            self.high, self._high_at, self._low_later = value, at, False
        self._last, self._last_at = value, at

    def points(self) -> "tuple[array[float], array[float]]":
        """Return Unix seconds and values, in order."""
        times, values = self._times[:], self._values[:]
        self._close(times, values)
        return times, values

    def _begin(self, at: datetime, value: float) -> None:
        self._close(self._times, self._values)
        if len(self._times) > self._most:
            self._widen()
        self._open = True
        self._first = self.low = self.high = value
        self._first_at = self._low_at = self._high_at = at
        self._low_later = False
        if self._width:
            # The next double of a time just below an edge would round up to it.
            end = (floor(at.timestamp() / self._width) + 1) * self._width
            try:
                self.ends = datetime.fromtimestamp(end, UTC)
            except (OverflowError, ValueError):
                self.ends = _EVER

    def _close(self, times: "array[float]", values: "array[float]") -> None:
        if not self._open:
            return
        if self._last_at is self._first_at and self.low == self.high:  # one point alone
            times.append(self._first_at.timestamp())
            values.append(self._first)
            return
        low, high = (self._low_at, self.low), (self._high_at, self.high)
        middle = (high, low) if self._low_later else (low, high)
        before_at, before = self._first_at, self._first
        times.append(before_at.timestamp())
        values.append(before)
        for at, value in (*middle, (self._last_at, self._last)):
            if value != before or at != before_at:
                times.append(at.timestamp())
                values.append(value)
            before_at, before = at, value

    def _widen(self) -> None:
        """Double the stretches until half of the room is free."""
        span = self._times[-1] - self._times[0]
        if not self._width:
            narrow = 8 * span / self._most
            power = ceil(log2(narrow)) if narrow > 0 else _NARROWEST
            self._width = 2.0 ** max(power, _NARROWEST)
            self._fold()
        while len(self._times) > self._most // 2:
            self._width *= 2
            self._fold()

    def _fold(self) -> None:
        times, values = array("d"), array("d")
        group: list[int] = []
        stretch = None
        for at, time in enumerate(self._times):
            number = floor(time / self._width)
            if number != stretch:
                self._keep(group, times, values)
                group, stretch = [], number
            group.append(at)
        self._keep(group, times, values)
        self._times, self._values = times, values

    def _keep(self, group: list[int], times: "array[float]", values: "array[float]") -> None:
        if not group:
            return
        low = min(group, key=self._values.__getitem__)
        high = max(group, key=self._values.__getitem__)
        for at in sorted({group[0], low, high, group[-1]}):
            times.append(self._times[at])
            values.append(self._values[at])
