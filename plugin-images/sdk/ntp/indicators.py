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

_tuple = tuple.__new__


def _period(period: int, least: int = 1) -> int:
    if period < least:
        raise ValueError(f"period was {period}; give {least} or more")
    return period


class _Kept:
    """For a plugin's own `snapshot` and `restore`: an indicator goes on to the last bit."""

    __slots__: tuple[str, ...] = ()

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as plain JSON values."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back a `snapshot`; of an indicator that was made with the same arguments."""
        for name in self.__slots__:
            own, kept = getattr(self, name), state[name]
            if isinstance(own, _Kept):
                own.restore(kept)
            elif isinstance(own, deque):
                setattr(self, name, deque(kept, own.maxlen))
            else:
                setattr(self, name, list(kept) if isinstance(own, list) else kept)


def _plain(value: Any) -> Any:
    if isinstance(value, _Kept):
        return value.snapshot()
    return [*map(_plain, value)] if isinstance(value, list | tuple | deque) else value


class SMA(_Kept):
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


class EMA(_Kept):
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


class Deviation(_Kept):
    """Mean and population standard deviation (ddof=0) of the last `period` prices.

    Sums of distances, and of their squares, from a price that is in every window they serve: the last
    one of the block before. So the distances are no larger than the window is wide, and what cancels
    in `squares - total * mean` is a few units in the last place of the result, whatever the price.

    Attributes:
        mean, std: None while fewer than `period` prices were seen.
    """

    __slots__ = ("_base", "_new", "_period", "_squares", "_sum", "_tails", "mean", "std")

    def __init__(self, period: int) -> None:
        self._period = _period(period)
        # Of the block before: the sums of its last 1, 2, 3 … distances and squares, as far as they
        # are still in the window. _new: this block so far; _sum, _squares: its own sums.
        self._tails: list[tuple[float, float]] = []
        self._new: list[float] = []
        self._base = self._sum = self._squares = 0.0
        self.mean: float | None = None
        self.std: float | None = None

    def update(self, price: float) -> float | None:
        """Return the standard deviation; `mean` is the mean of the same window."""
        tails = self._tails
        self._new.append(price)
        if not tails:
            total, squares = self._turn()
            if self._new:  # not yet a whole window
                return None
        else:
            total, squares = tails.pop()
            away = price - self._base
            self._sum = own = self._sum + away
            total += own
            self._squares = own = self._squares + away * away
            squares += own
        period = self._period
        mean = total / period
        self.mean = self._base + mean
        rest = squares - total * mean
        self.std = std = sqrt(rest / period) if rest > 0.0 else 0.0
        return std

    def _turn(self) -> tuple[float, float]:
        """Make the block, if it is full, the one before; return its sums."""
        new = self._new
        if len(new) < self._period:
            return 0.0, 0.0
        base = self._base = new[-1]
        away = [price - base for price in reversed(new)]
        squares = accumulate(map(mul, away, away))
        self._tails = [*zip(accumulate(away), squares, strict=True)]
        self._new = []
        self._sum = self._squares = 0.0
        return self._tails.pop()


class Bands(NamedTuple):
    lower: float
    middle: float
    upper: float


class Bollinger(_Kept):
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


class _Wilder(_Kept):
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


class RSI(_Kept):
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


class ATR(_Kept):
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


class Momentum(_Kept):
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
