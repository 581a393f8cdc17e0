"""Columns of a block of rows, and the ticks that they make, where none of them is unusual."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import repeat
from math import isfinite
from typing import Any

from ntp.contract.messages import MarketData
from ntp.layouts.layout import Layout
from ntp.runner.core import border

_NUMBERS = frozenset({"volume", "bid", "ask", "open", "high", "low", "count"})
_OHL = ("open", "high", "low")
_MOST_SYMBOLS = 100_000
"""That are remembered as good."""


class UnusualError(ValueError):
    """A block is not as quick reading needs it; whether a row of it is bad is not said."""


class Columns:
    """Makes ticks of the columns of a layout.

    Attributes:
        kinds: for each column of the file, the type as which msgspec takes its cells.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._at = {role: column.at for role, column in layout.columns.items()}
        self._when = self._at.get("close_time", self._at["timestamp"])
        self._symbols: dict[str, str] = {}
        kinds: list[Any] = [str | None] * len(layout.seen)
        for role, at in self._at.items():
            if role == "price":
                kinds[at] = float
            elif role == "symbol":
                kinds[at] = str
            elif role in _NUMBERS:
                kinds[at] = float | None
        kinds[self._when] = layout.time.cell
        self.kinds = tuple(kinds)

    def ticks(self, columns: Sequence[Sequence[Any]]) -> list[MarketData]:
        """Return the ticks of columns of equal length, their cells of the types `kinds`.

        Raises:
            ValueError: perhaps one is bad; look at each row.
        """
        at, count = self._at, len(columns[0])
        times = self._times(columns)
        bids, asks = self._given(columns, "bid"), self._given(columns, "ask")
        if "price" in at:
            prices = columns[at["price"]]
        else:
            prices = [(bid + ask) / 2 for bid, ask in zip(bids, asks, strict=True)]
        volumes = self._given(columns, "volume")
        if None in volumes:
            volumes = [volume or 0.0 for volume in volumes]
        check_times(times)
        check_numbers(prices, volumes, bids, asks)
        symbols: Iterable[str]
        if "symbol" in at:
            symbols = self.symbols(columns[at["symbol"]])
        else:
            symbols = repeat(self._layout.symbol or "")
        fields: list[Iterable[Any]] = [times, symbols, prices, volumes, bids, asks]
        if self._layout.is_bars:
            fields.append(self._metadata(columns, count))
        elif "id" in at:
            fields.append([{} for _ in range(count)])
        if "id" in at:
            fields.append(_ids(columns[at["id"]]))
        return list(map(MarketData, *fields))

    def symbols(self, names: Sequence[str]) -> list[str]:
        """Return the names, equal ones as one object; raises ValueError where one is none."""
        self.check_symbols(set(names))
        return list(map(self._symbols.__getitem__, names))

    def check_symbols(self, names: set[str]) -> None:
        """Raise ValueError where one of the names is none, or not as it is read."""
        known = self._symbols
        for name in names.difference(known):
            if border.symbol(name) != name.strip() or len(known) >= _MOST_SYMBOLS:
                raise UnusualError
            known[name] = name

    def _times(self, columns: Sequence[Sequence[Any]]) -> list[datetime]:
        cells = columns[self._when]
        if "clock" in self._at:
            clocks = columns[self._at["clock"]]
            cells = [f"{day} {clock}" for day, clock in zip(cells, clocks, strict=True)]
        times = self._layout.time.block(cells)
        if moved := self._layout.moved:
            times = [time + moved for time in times]
        return times

    def _given(self, columns: Sequence[Sequence[Any]], role: str) -> Sequence[Any]:
        at = self._at.get(role)
        return [None] * len(columns[0]) if at is None else columns[at]

    def _metadata(self, columns: Sequence[Sequence[Any]], count: int) -> list[dict[str, Any]]:
        found = {role: columns[self._at[role]] for role in _OHL if role in self._at}
        check_numbers((), (), *found.values())
        made: list[dict[str, Any]]
        if len(found) == len(_OHL) and not any(None in column for column in found.values()):
            made = [
                {"open": first, "high": high, "low": low}
                for first, high, low in zip(*found.values(), strict=True)
            ]
        else:
            made = [{} for _ in range(count)]
            for role, column in found.items():
                _put(made, role, column)
        if "count" in self._at:
            counts = columns[self._at["count"]]
            _put(made, "count", [each if each is None else int(each) for each in counts])
        bars: Iterable[str | None] = repeat(self._layout.bars, count)
        if "bars" in self._at:
            bars = columns[self._at["bars"]]
        _put(made, "bars", [period or None for period in bars])
        return made


def _put(rows: list[dict[str, Any]], key: str, values: Iterable[Any]) -> None:
    """Set what is there."""
    for row, value in zip(rows, values, strict=True):
        if value is not None:
            row[key] = value


def check_times(times: Sequence[datetime]) -> None:
    """Raise ValueError unless all are times of a market."""
    ordered = sorted(times)  # mostly they are: quicker than to look for both ends
    if not (ordered[0] >= border.EARLIEST and ordered[-1] <= border.LATEST):
        raise UnusualError


def check_numbers(
    prices: Sequence[float],
    volumes: Sequence[float],
    *others: Sequence[float | None],
) -> None:
    """Raise ValueError unless all are finite and no volume is negative; perhaps also if they are."""
    # One NaN or infinity makes the sum one; a sum may also be too large of itself.
    if not isfinite(sum(prices) + sum(volumes) + sum(map(_sum, others))):
        raise UnusualError
    if volumes and min(volumes) < 0:
        raise UnusualError


def _sum(numbers: Sequence[float | None]) -> float:
    return sum(filter(None, numbers) if None in numbers else numbers)  # type: ignore[arg-type]


def _ids(cells: Sequence[str | None]) -> Sequence[str]:
    ids = [cell or "" for cell in cells]
    if max(map(len, ids)) > border.LONGEST_ID or not "".join(ids).isprintable():
        raise UnusualError
    return ids
