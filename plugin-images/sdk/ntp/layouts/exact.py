"""Rows one at a time: what is wrong with one is told by its line, column and value.

This says what a row means. `ntp.layouts.quick` is the same for blocks without a bad row, many times faster.
"""

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from math import isfinite
from typing import Any

from ntp.contract.messages import MarketData
from ntp.layouts.bad import BadRow, shown
from ntp.layouts.layout import Layout
from ntp.layouts.lines import Note
from ntp.runner.core import border

ABSENT = frozenset({"", "null"})
"""Cells that say nothing, in small letters."""


class _BadCellError(ValueError):
    def __init__(self, role: str, why: str, at: int | None = None) -> None:
        super().__init__(why)
        self.role = role
        self.at = at


class Exact:
    """Reads rows of a layout. What is none is noted and left out."""

    def __init__(self, layout: Layout, note: Note) -> None:
        self.layout = layout
        self._note = note
        self._at = {role: column.at for role, column in layout.columns.items()}
        self._width = len(layout.seen)

    def block(self, number: int, block: bytes) -> Iterator[MarketData]:
        """Yield the ticks of whole lines of which the first has this number; blank lines are none."""
        for at, line in enumerate(block.split(b"\n")[:-1], number):
            tick = self.line(at, line.removesuffix(b"\r"))
            if tick is not None:
                yield tick

    def line(self, number: int, line: bytes) -> MarketData | None:
        """Return the tick of a line without its end, or None for a blank or bad one."""
        if not line.strip():
            return None
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            text = line.decode("utf-8", "replace")
            self._bad(number, text, [], _BadCellError("", f"byte {error.start + 1} is no UTF-8"))
            return None
        try:
            cells = split(text, self.layout.delimiter)
        except csv.Error as error:
            self._bad(number, text, [], _BadCellError("", f"quotes do not match, {error}"))
            return None
        try:
            return self.cells(cells)
        except _BadCellError as error:
            self._bad(number, text, cells, error)
            return None

    def row(self, number: int, cells: Sequence[Any]) -> MarketData | None:
        """Return the tick of a row that was never text, or None for a bad one."""
        try:
            return self.cells(["" if cell is None else cell for cell in cells])
        except _BadCellError as error:
            self._bad(number, "", cells, error)
            return None

    def cells(self, cells: Sequence[Any]) -> MarketData:
        """Return the tick of a row's cells; text, or what a Parquet file holds.

        Raises:
            ValueError: it is none.
        """
        if len(cells) != self._width:
            many = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
            raise _BadCellError("", f"{many} where there should be {self._width}")
        if any(isinstance(cell, str) and "\0" in cell for cell in cells):
            raise _BadCellError("", "NUL bytes in the line")
        at = self._moment(cells) + self.layout.moved
        symbol = self._symbol(cells)
        bid, ask = self._maybe(cells, "bid"), self._maybe(cells, "ask")
        if "price" in self._at:
            price = self._number(cells, "price")
        else:
            if bid is None or ask is None:
                raise _BadCellError("bid" if bid is None else "ask", "a quote without bid and ask")
            price = (bid + ask) / 2
        volume = self._maybe(cells, "volume") or 0.0
        if volume < 0:
            raise _BadCellError("volume", f"volume was {volume}; it must not be negative")
        return MarketData(
            at, symbol, price, volume, bid, ask, self._metadata(cells), self._id(cells)
        )

    def _moment(self, cells: Sequence[Any]) -> datetime:
        role = "close_time" if "close_time" in self._at else "timestamp"
        cell = cells[self._at[role]]
        if "clock" in self._at:
            cell = f"{cell} {cells[self._at['clock']]}"
        try:
            at = (
                self.layout.time.one(cell)
                if isinstance(cell, str)
                else self.layout.time.block([cell])[0]
            )
            return border.moment(at)
        except border.RefusedError as error:
            raise _BadCellError(role, str(error)) from None
        except (ValueError, OverflowError, TypeError):
            why = f"{role} was {shown(cell)}, which is no time ({self.layout.time.label})"
            raise _BadCellError(role, why) from None

    def _symbol(self, cells: Sequence[Any]) -> str:
        if "symbol" not in self._at:
            return self.layout.symbol or ""
        try:
            return border.symbol(str(cells[self._at["symbol"]]).strip())
        except border.RefusedError as error:
            raise _BadCellError("symbol", str(error)) from None

    def _number(self, cells: Sequence[Any], role: str) -> float:
        cell = cells[self._at[role]]
        if isinstance(cell, str) and not cell.strip():
            raise _BadCellError(role, f"{role} was empty")
        try:
            value = float(cell)
        except (ValueError, TypeError, OverflowError):
            raise _BadCellError(role, f"{role} was {shown(cell)}, which is no number") from None
        if not isfinite(value):
            raise _BadCellError(role, f"{role} was {shown(cell)}; it must be finite")
        return value

    def _maybe(self, cells: Sequence[Any], role: str) -> float | None:
        if role not in self._at:
            return None
        cell = cells[self._at[role]]
        if isinstance(cell, str) and cell.strip().lower() in ABSENT:
            return None
        return self._number(cells, role)

    def _id(self, cells: Sequence[Any]) -> str:
        if "id" not in self._at:
            return ""
        try:
            return border.identifier(cells[self._at["id"]])
        except border.RefusedError as error:
            raise _BadCellError("id", str(error)) from None

    def _metadata(self, cells: Sequence[Any]) -> dict[str, Any]:
        if not self.layout.is_bars:
            return {}
        made: dict[str, Any] = {}
        for role in ("open", "high", "low", "count"):
            value = self._maybe(cells, role)
            if value is not None:
                made[role] = int(value) if role == "count" else value
        bars = str(cells[self._at["bars"]]) if "bars" in self._at else self.layout.bars
        if bars:
            made["bars"] = bars
        return made

    def _bad(self, number: int, text: str, cells: Sequence[Any], error: _BadCellError) -> None:
        column = self.layout.columns.get(error.role)
        if column is None:
            self._note(BadRow(self.layout.file, number, 1, "", text[:80], str(error)))
            return
        value = "" if not cells else str(cells[column.at])[:80]
        begins = _begins(text, self.layout.delimiter, column.at) if text else column.at + 1
        name = "" if column.name.lower() == error.role else column.name
        self._note(BadRow(self.layout.file, number, begins, name, value, str(error)))


def split(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line. Raises csv.Error where its quotes do not match."""
    return next(csv.reader([line], delimiter=delimiter, strict=True), [])


def _begins(text: str, delimiter: str, cell: int) -> int:
    """Return where a cell begins, in characters from 1."""
    quoted = False
    for at, sign in enumerate(text):
        if cell == 0:
            return at + 1
        if sign == '"':
            quoted = not quoted
        elif sign == delimiter and not quoted:
            cell -= 1
    return len(text) + 1
