"""O(1) indicators, equal to their window formulae.

`update(price)` takes the next price and returns the value, None while too little was seen; `value` is
the last one. The sliding windows never subtract what leaves (the errors of which add up): they keep
two stacks, as a queue made of two stacks does, and merge their totals. So a window of equal prices has
a deviation of exactly 0, and a spike leaves nothing behind once it left the window.
"""

from collections import deque
from collections.abc import Mapping
from math import sqrt
from typing import Any, NamedTuple


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
    return list(value) if isinstance(value, list | tuple | deque) else value


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

    Within a block by Welford (Technometrics 4, 1962), across two blocks by Chan, Golub and LeVeque
    (COMPSTAT 1982): neither cancels.

    Attributes:
        mean, std: None while fewer than `period` prices were seen.
    """

    __slots__ = (
        "_front", "_front_mean", "_m2", "_mean", "_new", "_period", "_ratio", "_share", "mean", "std",
    )  # fmt: skip

    def __init__(self, period: int) -> None:
        self._period = n = _period(period)
        self._share = [i / n for i in range(n + 1)]
        self._ratio = [i * (n - i) / n for i in range(n + 1)]
        self._front: list[float] = []
        self._front_mean: list[float] = []
        self._new: list[float] = []
        self._mean = self._m2 = 0.0
        self.mean: float | None = None
        self.std: float | None = None

    def update(self, price: float) -> float | None:
        """Return the standard deviation; `mean` is the mean of the same window."""
        new = self._new
        new.append(price)
        size = len(new)
        mean = self._mean
        delta = price - mean
        mean += delta / size
        self._m2 += delta * (price - mean)
        self._mean = mean
        if size < self._period:
            front_mean = self._front_mean
            if front_mean:
                old = front_mean[size]
                delta = mean - old
                self.mean = old + delta * self._share[size]
                m2 = self._front[size] + self._m2 + delta * delta * self._ratio[size]
                self.std = sqrt(m2 / self._period)
            return self.std
        self.mean = mean
        self.std = sqrt(self._m2 / size)
        self._turn()
        return self.std

    def _turn(self) -> None:
        """Make the full block the old one: mean and squares of each of its tails, from the end."""
        new, size = self._new, self._period
        squares = [0.0] * size
        mean = m2 = 0.0
        for count, i in enumerate(range(size - 1, -1, -1), 1):
            price = new[i]
            delta = price - mean
            mean += delta / count
            m2 += delta * (price - mean)
            new[i] = mean
            squares[i] = m2
        self._front, self._front_mean, self._new = squares, new, []
        self._mean = self._m2 = 0.0


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
        self.value = Bands(mean - reach, mean, mean + reach)
        return self.value


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
