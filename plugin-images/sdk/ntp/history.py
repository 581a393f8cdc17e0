"""The window of what came before: O(1) a tick, nothing copied."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

from ntp.contract.messages import MarketData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


SPAN = 256
"""Ticks that may be written in one go."""


class History(Sequence[MarketData]):
    """A read-only view of the last `capacity` ticks, oldest first; `history[-1]` is the newest.

    It moves on with the data: who wants to keep a window copies it, `list(history)`. A slice is a
    list. `prices` and `volumes` are read-only arrays that stay as they were when they were asked for.
    """

    __slots__ = ("_capacity", "_items", "_limit", "_prices", "_volumes")

    def __init__(self, capacity: int) -> None:
        if capacity < 0:
            raise ValueError(f"capacity was {capacity}; give 0 or more")
        self._capacity = capacity
        # Old items leave in blocks, so that an append costs O(1) and indexing stays that of a list.
        self._limit = capacity + max(64, capacity // 4)
        self._items: list[MarketData] = []
        self._prices: _Column | None = None
        self._volumes: _Column | None = None

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def prices(self) -> "Floats":
        """Prices of the window, shape (len(self),), oldest first."""
        if self._prices is None:
            self._prices = _Column("price", self._limit + SPAN)
        return self._prices.window(self._items, len(self))

    @property
    def volumes(self) -> "Floats":
        """Volumes of the window, shape (len(self),), oldest first."""
        if self._volumes is None:
            self._volumes = _Column("volume", self._limit + SPAN)
        return self._volumes.window(self._items, len(self))

    def __len__(self) -> int:
        return min(len(self._items), self._capacity)

    @overload
    def __getitem__(self, index: int) -> MarketData: ...
    @overload
    def __getitem__(self, index: slice) -> list[MarketData]: ...
    def __getitem__(self, index: int | slice) -> MarketData | list[MarketData]:
        items = self._items
        size = min(len(items), self._capacity)
        if isinstance(index, slice):
            start, stop, step = index.indices(size)
            before = len(items) - size
            if step > 0:
                return items[before + start : before + stop : step]
            return [items[before + i] for i in range(start, stop, step)]
        if not -size <= index < size:
            raise IndexError(f"history has {size} ticks, index was {index}")
        return items[index - size if index >= 0 else index]

    def __iter__(self) -> Iterator[MarketData]:
        return iter(self._items[len(self._items) - len(self) :])

    def __repr__(self) -> str:
        return f"<History of {len(self)} ticks, at most {self._capacity}>"


class Tape(History):
    """The writing end, the runner's: `append` after the tick was analysed."""

    __slots__ = ()

    def append(self, data: MarketData) -> None:
        self._items.append(data)
        self.trim()

    @property
    def write(self) -> Callable[[MarketData], None]:
        """Appends without forgetting: call `trim` after at most `SPAN` ticks."""
        return self._items.append

    def trim(self) -> None:
        """Forget what is beyond the window, if that is much."""
        items = self._items
        if len(items) >= self._limit:
            gone = len(items) - self._capacity
            del items[:gone]
            for column in (self._prices, self._volumes):
                if column is not None:
                    column.forget(gone)


class _Column:
    """One field of the items as an array, filled only as far as somebody looked."""

    __slots__ = ("_buffer", "_empty", "_field", "_known", "_limit")

    def __init__(self, field: str, limit: int) -> None:
        import numpy as np  # late: a plugin that never asks for arrays does not load numpy for them

        self._field = field
        self._limit = limit
        self._empty = np.empty
        self._buffer = np.empty(limit)
        self._known = 0

    def window(self, items: list[MarketData], size: int) -> "Floats":
        buffer, field = self._buffer, self._field
        for i in range(self._known, len(items)):
            buffer[i] = getattr(items[i], field)
        self._known = len(items)
        view: Floats = buffer[len(items) - size : len(items)]
        view.flags.writeable = False
        return view

    def forget(self, gone: int) -> None:
        # A new buffer, because somebody may still hold a view of the old one.
        kept = self._buffer[gone : self._known]
        self._buffer = self._empty(self._limit)
        self._buffer[: len(kept)] = kept
        self._known = len(kept)
