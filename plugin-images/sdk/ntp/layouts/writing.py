"""Ticks to a file: as ntp's own CSV, compressed or not, or as Parquet. All of it, or no file."""

import contextlib
import gzip
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Protocol, cast

from ntp import recording
from ntp.contract.messages import MarketData
from ntp.layouts.fault import problem

ENDS = (".csv", ".csv.gz", ".parquet")
"""Of the names of files that can be written."""
_GROUP = 65_536
"""Rows of a Parquet file's row group."""


class Writer(Protocol):
    """Takes ticks; `close` writes what is left."""

    def write(self, ticks: Sequence[MarketData]) -> None: ...
    def close(self) -> None: ...


def ending(path: Path) -> str:
    """Return which of `ENDS` a name has.

    Raises:
        LayoutError: none of them.
    """
    for end in ENDS:
        if path.name.endswith(end) and path.name != end:
            return end
    if path.name.endswith(".gz"):
        return ".csv.gz"
    raise problem(str(path), "the name says no layout", f"let it end in {', '.join(ENDS)}")


@contextlib.contextmanager
def whole_file(path: Path, *, bars: bool) -> Iterator[Writer]:
    """Give a writer, and the file its name once the block has ended well; else nothing is left.

    `bars`: with the columns of bars.

    Raises:
        LayoutError: the name says no layout; for Parquet, pyarrow is not installed.
        OSError: it cannot be written.
    """
    end = ending(path)
    # A name that is known before there is a file: whoever is ended while it is made removes it, too.
    part = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        with _made(part, path) as file:
            writer = _Parquet(file, bars=bars) if end == ".parquet" else _Csv(file, end, bars=bars)
            yield writer
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _made(part: Path, path: Path) -> BinaryIO:
    try:
        return part.open("xb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


class _Csv:
    def __init__(self, file: BinaryIO, end: str, *, bars: bool) -> None:
        self._bars = bars
        # No name and no time in it: the same ticks make the same bytes.
        self._packed = (
            gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0)
            if end == ".csv.gz"
            else None
        )
        self._file = cast("BinaryIO", self._packed or file)
        self._file.write(recording.header(bars=bars))

    def write(self, ticks: Sequence[MarketData]) -> None:
        self._file.write(recording.lines(ticks, bars=self._bars))

    def close(self) -> None:
        if self._packed is not None:
            self._packed.close()


class _Parquet:
    def __init__(self, file: BinaryIO, *, bars: bool) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise problem(
                "--out", "Parquet needs pyarrow, which is not installed",
                'pip install "ntp-sdk[parquet]"',
            ) from None  # fmt: skip
        number = pa.float64()
        fields = [
            ("timestamp", pa.timestamp("us", "UTC")), ("symbol", pa.string()),
            *((name, number) for name in ("price", "volume", "bid", "ask")), ("id", pa.string()),
        ]  # fmt: skip
        if bars:
            fields += [("open", number), ("high", number), ("low", number)]
            fields += [("count", pa.int64()), ("bars", pa.string())]
        self._arrow = pa
        self._bars = bars
        self._schema = pa.schema(fields)
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._waiting: list[MarketData] = []

    def write(self, ticks: Sequence[MarketData]) -> None:
        self._waiting += ticks
        if len(self._waiting) >= _GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        columns: list[list[Any]] = [
            [getattr(tick, name) for tick in self._waiting] for name in recording.COLUMNS
        ]
        if self._bars:
            columns += [
                [tick.metadata.get(name) for tick in self._waiting] for name in recording.OF_BARS
            ]
        arrays = [
            self._arrow.array(cells, field.type)
            for cells, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._waiting.clear()
