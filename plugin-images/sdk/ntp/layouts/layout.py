"""What was found out about a file: which column is what, how times are written, what was assumed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ntp.layouts.times import TimeForm

ROLES = (
    "timestamp", "clock", "close_time", "symbol", "price", "volume", "bid", "ask", "id",
    "open", "high", "low", "count", "bars",
)  # fmt: skip
"""What a column may be. `clock`: the time of day, where a column of its own has the date; `close_time`:
when a bar ends; `count` and `bars`: of a bar, its trades and its length."""
_MANY = 30
"""Columns whose names are shown."""
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is read: where it is, from 0, and what the file calls it."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read. `str()` says it to people.

    Attributes:
        file: its name.
        kind: what the layout is called, such as `Binance aggTrades`.
        columns: by role (`ROLES`).
        seen: every column, as the file names it; `column 3` where it has no header.
        delimiter: between the cells; empty for Parquet.
        skipped: lines before the first row: those before the header, and the header.
        time: the form of its times.
        symbol: of all rows, where no column has it; `symbol_from` says whose word that is.
        bars: the length of its bars as `5m`; None: rows are no bars, or of a length nobody knows.
        moved: what is added to each time: a bar that is dated by its start is given at its last
            microsecond, for before it nobody knew its close.
        sorts: why it is sorted on the disk before it is read; empty where it is in order of time.
    """

    file: str
    kind: str
    columns: dict[str, Column]
    seen: tuple[str, ...]
    delimiter: str
    skipped: int
    time: TimeForm
    symbol: str | None = None
    symbol_from: str = ""
    bars: str | None = None
    moved: timedelta = timedelta(0)
    is_bars: bool = False
    sorts: str = ""
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return "\n".join([f"{self.file}: {self.kind}", *(f"  {line}" for line in self._lines())])

    def document(self) -> dict[str, object]:
        """Return the same as JSON knows it."""
        return {
            "file": self.file,
            "layout": self.kind,
            "columns": {role: column.name for role, column in self.columns.items()},
            "ignored": self._ignored(),
            "time": self.time.label,
            "zone": self._zone(),
            "symbol": self.symbol,
            "symbol_from": self.symbol_from or None,
            "bars": self.bars,
            "moved_s": self.moved.total_seconds(),
            "sorted": bool(self.sorts),
            "notes": list(self.notes),
        }

    def _lines(self) -> list[str]:
        told = []
        for role in ROLES:
            if role in self.columns:
                column = self.columns[role]
                name = column.name
                where = "" if name.startswith("column ") else f" (column {column.at + 1})"
                told.append(f"{role:<10} {name}{where}{self._said(role)}")
            elif role == "symbol":
                told.append(f"{role:<10} {self.symbol}, from {self.symbol_from}")
            elif role == "price":
                told.append(f"{role:<10} the middle of bid and ask")
        if self.is_bars and "bars" not in self.columns:
            told.append(f"{'bars':<10} {self._bars()}")
        if ignored := self._ignored():
            told.append(f"{'ignored':<10} {some(ignored)}")
        if self.sorts:
            told.append(f"{'order':<10} {self.sorts}; sorted on the disk first")
        return [*told, *self.notes]

    def _said(self, role: str) -> str:
        if role != "timestamp":
            return ""
        return f": {self.time.label}, {self._zone()}"

    def _zone(self) -> str:
        if self.time.unit is not None or self.time.names_zone:
            return "UTC"
        return "UTC assumed" if self.time.zone is None else f"zone {self.time.zone}"

    def _bars(self) -> str:
        length = f"of {self.bars}" if self.bars else "of a length that the file does not show"
        if "close_time" in self.columns:
            return f"{length}, given at {self.columns['close_time'].name}, when the close is known"
        if self.moved:
            return f"{length}, dated by their start; given at their last microsecond, when the close is known"
        return f"{length}, given at the time that the file has"

    def _ignored(self) -> list[str]:
        used = {column.at for column in self.columns.values()}
        return [name for at, name in enumerate(self.seen) if at not in used]


def some(names: Sequence[str]) -> str:
    """Return the names as words, of very many the first."""
    more = f", … {len(names):,} in all" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more
