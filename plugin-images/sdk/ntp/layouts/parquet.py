"""Parquet files, by pyarrow: `pip install "ntp-sdk[parquet]"`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from ntp.contract.messages import AwareTime, MarketData
from ntp.layouts.columns import Columns
from ntp.layouts.exact import Exact
from ntp.layouts.fault import problem
from ntp.layouts.finding import Wishes, layout_of
from ntp.layouts.head import Head
from ntp.layouts.layout import Layout
from ntp.layouts.lines import Note
from ntp.layouts.times import TimeForm

MAGIC = b"PAR1"
_ROWS = 8_192
"""That are read together."""
_SAMPLE = 1000
_NUMBERS = frozenset({"price", "volume", "bid", "ask", "open", "high", "low", "count"})
_LIST = list[AwareTime]


def is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class ParquetRows:
    """The rows of a Parquet file.

    Raises:
        LayoutError: pyarrow is not installed, or the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise problem(
                path.name, "this is a Parquet file, and pyarrow is not installed",
                'pip install "ntp-sdk[parquet]"',
            ) from None  # fmt: skip
        self._arrow = pa
        self._path = path
        try:
            self._file = parquet.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            words = str(error).splitlines()[0]
            raise problem(path.name, f"the file is damaged: {words}", "write it anew") from None
        self.names = tuple(self._file.schema_arrow.names)

    def layout(self, wishes: Wishes) -> tuple[Layout, list[tuple[Any, ...]]]:
        """Return the layout, and the first rows as `Exact.row` takes them."""
        first = next(self._file.iter_batches(_SAMPLE), None)
        texts: list[tuple[int, list[str]]] = []
        if first is not None:
            columns = [[*map(_text, column.to_pylist())] for column in first.columns]
            texts = list(enumerate(map(list, zip(*columns, strict=True)), 1))
        head = Head(self.names, texts, [], "", 0)
        found = layout_of(self._path, head, wishes)
        when = found.columns.get("close_time", found.columns["timestamp"]).at
        kind = self._file.schema_arrow.types[when]
        if self._arrow.types.is_timestamp(kind) or self._arrow.types.is_date(kind):
            form = TimeForm("timestamp", AwareTime)
            if self._arrow.types.is_date(kind):
                form = replace(form, date_only=True)
            found = replace(found, time=form)
        rows = [] if first is None else list(zip(*self._columns(first, found), strict=True))
        return found, rows

    def blocks(self, layout: Layout, note: Note) -> Iterator[list[MarketData]]:
        """Yield the ticks of the file; bad rows are noted, with their row as line."""
        quick, exact, number = Columns(layout), Exact(layout, note), 1
        for batch in self._file.iter_batches(_ROWS):
            columns = self._columns(batch, layout)
            try:
                yield quick.ticks(columns)
            except (ValueError, OverflowError, TypeError, AttributeError):  # a cell of no such type
                rows = enumerate(zip(*columns, strict=True), number)
                yield [tick for at, row in rows if (tick := exact.row(at, row)) is not None]
            number += batch.num_rows

    def close(self) -> None:
        self._file.close()

    def _columns(self, batch: Any, layout: Layout) -> list[list[Any]]:
        """Return the cells of each column, numbers as floats, times in UTC; None for one that is absent."""
        roles = {column.at: role for role, column in layout.columns.items()}
        when = layout.columns.get("close_time", layout.columns["timestamp"]).at
        return [
            self._times(column)
            if at == when and layout.time.cell is AwareTime
            else self._plain(column, roles.get(at, ""))
            for at, column in enumerate(batch.columns)
        ]

    def _plain(self, column: Any, role: str) -> list[Any]:
        arrow, types = self._arrow, self._arrow.types
        if types.is_dictionary(column.type):
            column = column.dictionary_decode()
        whole = types.is_integer(column.type)
        if role in {"symbol", "id"} and whole:
            column = column.cast(arrow.string())
        elif role in _NUMBERS and (
            whole or types.is_floating(column.type) or types.is_decimal(column.type)
        ):
            column = column.cast(arrow.float64(), safe=False)
        return list(column.to_pylist())

    def _times(self, column: Any) -> list[Any]:
        """Return times; what is finer than a microsecond is cut off."""
        arrow = self._arrow
        if not (arrow.types.is_timestamp(column.type) or arrow.types.is_date(column.type)):
            return list(column.to_pylist())
        column = column.cast(arrow.timestamp("us", getattr(column.type, "tz", None)), safe=False)
        whole = column.cast(arrow.int64()).to_pylist()
        if None in whole:
            return [None if at is None else _moments([at])[0] for at in whole]
        return _moments(whole)


def _moments(microseconds: list[int]) -> list[Any]:
    return msgspec.convert([at / 1_000_000 for at in microseconds], _LIST, strict=False)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
