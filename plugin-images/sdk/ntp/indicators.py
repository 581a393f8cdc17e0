"""O(1) indicators, equal to their window formulae.

`update(price)` takes the next price and returns the value, None while too little was seen; `value` is
the last one. The sliding windows never subtract what leaves (the errors of which add up): they keep
two stacks, as a queue made of two stacks does, and merge their totals. So a window of equal prices has
a deviation of exactly 0, and a spike leaves nothing behind once it left the window.
"""

from collections import deque
from collections.abc import Mapping
from itertools import accumulate
from math import sqrt
from operator import mul
from typing import Any, NamedTuple

from ntp.kept import Kept

_tuple = tuple.__new__
_FAR = 8.0
"""Squares over what is left of them: above that, the mean is sqrt(7) deviations away from the base."""


def _period(period: int, least: int = 1) -> int:
    if period < least:
        raise ValueError(f"period was {period}; give {least} or more")
    return period


class SMA(Kept):
    """Simple moving average: the mean of the last `period` prices."""

    __slots__ = ("_back", "_front", "_new", "_period", "value")

    def __init__(self, period: int) -> None:
        self._period = _period(period)
        # _front[i]: sum of the previous block from i on. _new: this block so far; _back: its sum.
        self._front: list[float] = []
        self._new: list[float] = []
        self._back = 0.0
        self.value: float | None = None

    def update(self, price: float) -> float | None:
        new = self._new
        new.append(price)
        self._back += price
        size = len(new)
        if size < self._period:
            if self._front:
                self.value = (self._front[size] + self._back) / self._period
            return self.value
        self.value = self._back / size
        total, front = 0.0, new
        for i in range(size - 1, -1, -1):
            total += front[i]
            front[i] = total
        self._front, self._new, self._back = front, [], 0.0
        return self.value


class EMA(Kept):
    """Exponential moving average with weight 2 / (period + 1), begun with the SMA of the first period.

    That beginning is TA-Lib's (ta_EMA.c, "classic").
    """

    __slots__ = ("_period", "_seed", "_weight", "value")

    def __init__(self, period: int) -> None:
        self._period = _period(period)
        self._weight = 2.0 / (period + 1)
        self._seed: list[float] = []
        self.value: float | None = None

    def update(self, price: float) -> float | None:
        if self.value is not None:
            self.value += self._weight * (price - self.value)
        else:
            self._seed.append(price)
            if len(self._seed) == self._period:
                self.value = sum(self._seed) / self._period
                self._seed = []
        return self.value


class Deviation(Kept):
    """Mean and population standard deviation (ddof=0) of the last `period` prices.

    Sums of distances, and of their squares, from a base in the window: the last price of the block
    before; once the window's mean is sqrt(7) deviations away from that, the mean instead. So at most
    three bits cancel in `squares - total * mean`, whatever the price and wherever it leaps: `std` is
    off by less than `period * 1.5e-15` of itself, which is what rounding sums so long can come to.

    A base is moved twice within a quarter of a period only if the deviation fell by a fifth meanwhile:
    few moves in any number of prices. Up to a period of 8 there is none, as the mean of a window is
    at most sqrt(period - 1) deviations away from any of its prices.

    Attributes:
        mean, std: None while fewer than `period` prices were seen.
    """

    __slots__ = ("_base", "_new", "_old", "_period", "_squares", "_sum", "_tails", "mean", "std")

    def __init__(self, period: int) -> None:
        self._period = _period(period)
        # _old: the block before. _tails: of its last 1, 2, 3 … distances and squares the sums, as far
        # as they are still in the window. _new: this block so far; _sum, _squares: its own sums.
        self._old: list[float] = []
        self._tails: list[tuple[float, float]] = []
        self._new: list[float] = []
        self._base = self._sum = self._squares = 0.0
        self.mean: float | None = None
        self.std: float | None = None

    def update(self, price: float) -> float | None:
        """Return the standard deviation; `mean` is the mean of the same window."""
        tails = self._tails
        self._new.append(price)
        period = self._period
        if tails:
            total, squares = tails.pop()
            away = price - self._base
            self._sum = own = self._sum + away
            total += own
            self._squares = own = self._squares + away * away
            squares += own
        elif len(self._new) < period:
            return None
        else:
            self._old, self._new = self._new, []
            total, squares = self._from(price)
        mean = total / period
        rest = squares - total * mean
        if rest * _FAR < squares:
            total, squares = self._from(self._centre(price))
            mean = total / period
            rest = squares - total * mean
        self.mean = self._base + mean
        self.std = std = sqrt(rest / period) if rest > 0.0 else 0.0
        return std

    def _centre(self, price: float) -> float:
        """Return the window's mean, summed from a price in it: exact where all are equal."""
        window = self._old[len(self._new) :] + self._new
        return price + sum([each - price for each in window]) / self._period

    def _from(self, base: float) -> tuple[float, float]:
        """Measure the window from this base; return the sums of its distances and of their squares."""
        self._base = base
        away = [price - base for price in reversed(self._old[len(self._new) :])]
        squares = accumulate(map(mul, away, away))
        self._tails = [*zip(accumulate(away), squares, strict=True)]
        away = [price - base for price in self._new]
        self._sum, self._squares = sum(away, 0.0), sum(map(mul, away, away), 0.0)
        total, rest = self._tails.pop()
        return total + self._sum, rest + self._squares


class Bands(NamedTuple):
    lower: float
    middle: float
    upper: float


class Bollinger(Kept):
    """Bollinger bands: the SMA, and `width` population standard deviations around it.

    Source: J. Bollinger, Bollinger on Bollinger Bands, 2001 (period 20, width 2, ddof=0).
    """

    __slots__ = ("_deviation", "value", "width")

    def __init__(self, period: int = 20, width: float = 2.0) -> None:
        self._deviation = Deviation(period)
        self.width = width
        self.value: Bands | None = None

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.value = None if state["value"] is None else Bands(*state["value"])

    @property
    def std(self) -> float | None:
        return self._deviation.std

    def update(self, price: float) -> Bands | None:
        std = self._deviation.update(price)
        mean = self._deviation.mean
        if std is None or mean is None:
            return None
        reach = self.width * std
        # As Bands(…) does, without its Python frame.
        self.value = bands = _tuple(Bands, (mean - reach, mean, mean + reach))
        return bands


class _Wilder(Kept):
    """Wilder's smoothing: the mean of the first `period` values, then (old * (period - 1) + new) / period."""

    __slots__ = ("_count", "_keep", "_period", "_sum", "value")

    def __init__(self, period: int) -> None:
        self._period = _period(period)
        self._keep = (period - 1) / period
        self._count = 0
        self._sum = 0.0
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        if self.value is not None:
            self.value = self.value * self._keep + x / self._period
        else:
            self._count += 1
            self._sum += x
            if self._count == self._period:
                self.value = self._sum / self._period
        return self.value


class RSI(Kept):
    """Relative strength index, 0 to 100; 50 where no price moved at all.

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978, section VI: needs
    period + 1 prices, average gain and loss by his smoothing.
    """

    __slots__ = ("_gain", "_last", "_loss", "value")

    def __init__(self, period: int = 14) -> None:
        self._gain, self._loss = _Wilder(period), _Wilder(period)
        self._last: float | None = None
        self.value: float | None = None

    def update(self, price: float) -> float | None:
        last, self._last = self._last, price
        if last is None:
            return None
        change = price - last
        gain = self._gain.update(change if change > 0 else 0.0)
        loss = self._loss.update(-change if change < 0 else 0.0)
        if gain is None or loss is None:
            return None
        total = gain + loss
        self.value = 100.0 * (gain / total) if total > 0 else 50.0
        return self.value


class ATR(Kept):
    """Average true range of bars, in quote currency.

    Source: Wilder 1978, section III: true range = max(high, last close) - min(low, last close), then
    his smoothing. The first bar has no last close; its range is high - low.
    """

    __slots__ = ("_close", "_mean")

    def __init__(self, period: int = 14) -> None:
        self._mean = _Wilder(period)
        self._close: float | None = None

    @property
    def value(self) -> float | None:
        return self._mean.value

    def update(self, high: float, low: float, close: float) -> float | None:
        last, self._close = self._close, close
        if last is not None:
            high, low = max(high, last), min(low, last)
        return self._mean.update(high - low)


class Momentum(Kept):
    """Price minus the price `period` updates ago; `rate` is the same as a share of that older price."""

    __slots__ = ("_window", "rate", "value")

    def __init__(self, period: int = 10) -> None:
        self._window: deque[float] = deque(maxlen=_period(period) + 1)
        self.value: float | None = None
        self.rate: float | None = None
        """None too where the older price is 0."""

    def update(self, price: float) -> float | None:
        window = self._window
        window.append(price)
        if len(window) == window.maxlen:
            old = window[0]
            self.value = price - old
            self.rate = self.value / old if old else None
        return self.value
