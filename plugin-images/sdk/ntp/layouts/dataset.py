"""Files of market data as one stream of ticks."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from ntp.contract.messages import MarketData
from ntp.layouts.bad import BadRow, BadRows
from ntp.layouts.exact import Exact
from ntp.layouts.fault import LayoutError, Problem
from ntp.layouts.finding import Wishes, length, stamp
from ntp.layouts.finding import layout_of as found_layout
from ntp.layouts.head import head_of
from ntp.layouts.layout import Layout
from ntp.layouts.lines import CHUNK, Lines
from ntp.layouts.order import Block, Stream, in_order, merged, regrouped
from ntp.layouts.parquet import ParquetRows, is_parquet
from ntp.layouts.quick import Quick
from ntp.layouts.sample import looked_at, of_rows
from ntp.layouts.sorting import first_of, sorted_on_disk

BLOCK = 10_000
"""Ticks of a block, at most: as many as `ntp.rehearsal` looks at together."""
_LEAST = 1_000
"""Ticks of a block but for the last: what many files give in small pieces is put together."""
_BOM = b"\xef\xbb\xbf"
_MANY = 4
"""Files; with more, each is read in smaller pieces, for they may all be open at once."""


class MarketFile:
    """One file, and how it is read.

    Attributes:
        mapping: which column is what, the unit and zone of its times, what was assumed; `str()` says it.
        size: bytes on the disk; `done`: how many of them the last pass has read.
    """

    def __init__(self, path: Path, wishes: Wishes) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.done = 0
        self.begins: datetime | None = None
        """When its first row is; None: it has none among the first."""
        self.parquet = is_parquet(path)
        self.mapping = self._look(wishes)

    def blocks(self, bad: BadRows, chunk: int, *, sort: bool) -> Iterator[Block]:
        """Yield the ticks in order of time."""
        rows = self._parquet(bad) if self.parquet else self._text(bad, chunk)
        if sort or self.mapping.sorts:
            return sorted_on_disk(rows)
        return in_order(rows, self.path.name, bad)

    def _look(self, wishes: Wishes) -> Layout:
        rows: Sequence[MarketData]
        if self.parquet:
            with closing(ParquetRows(self.path)) as file:
                layout, cells = file.layout(wishes)
            exact = Exact(layout, lambda _: None)
            found = (exact.row(at, row) for at, row in enumerate(cells, 1))
            rows = [tick for tick in found if tick is not None]
            layout = of_rows(layout, rows, length(wishes), stamp(wishes))
        else:
            head = head_of(self.path)
            layout = found_layout(self.path, head, wishes)
            layout, rows = looked_at(layout, head, length(wishes), stamp(wishes))
        earliest = first_of(rows)
        self.begins = None if earliest is None else earliest + layout.moved
        return layout

    def _parquet(self, bad: BadRows) -> Iterator[Block]:
        with closing(ParquetRows(self.path)) as file:
            yield from file.blocks(self.mapping, bad.note)
        self.done = self.size

    def _text(self, bad: BadRows, chunk: int) -> Iterator[Block]:
        quick, skipped = Quick(self.mapping, bad.note), self.mapping.skipped

        def note(row: BadRow) -> None:
            if row.line > skipped:
                bad.note(row)

        with Lines(self.path, note, chunk) as lines:
            for number, text in lines:
                block = text.removeprefix(_BOM) if number == 1 else text
                while number <= skipped and block:
                    block, number = block[block.index(b"\n") + 1 :], number + 1  # noqa: PLW2901
                if block:
                    yield quick.block(number, block)
                self.done = lines.done
        self.done = self.size


class Dataset:
    """Ticks of files, in order of time, in as much memory for any number of rows.

    Attributes:
        files: each with its `mapping`.
        bad: what was left out in the newest pass, or the one that is under way.
        count: ticks that it gave.
    """

    def __init__(self, files: Sequence[MarketFile], *, sort: bool = False) -> None:
        self.files = tuple(files)
        self.bad = BadRows()
        self.count = 0
        self._sort = sort

    def blocks(self) -> Iterator[list[MarketData]]:
        """Yield lists of at most `BLOCK` ticks, mostly of a thousand or more, each time from the beginning.

        Ticks are as the border wants them but for their ids, which are the file's or empty: aware UTC
        times, finite numbers, no negative volume, a `metadata` of their own. Of equal times, the ticks
        of an earlier file come first, in its order.

        Raises:
            OrderError: a row stands far behind its time; the file has to be sorted.
            OSError: a file cannot be read any more.
        """
        self.bad = BadRows()
        self.count = 0
        chunk = CHUNK if len(self.files) <= _MANY else CHUNK // 4
        streams = [
            Stream(file.path.name, file.blocks(self.bad, chunk, sort=self._sort), file.begins)
            for file in self.files
        ]
        blocks = streams[0].blocks if len(streams) == 1 else merged(streams)
        for block in regrouped(blocks, _LEAST, BLOCK):
            self.count += len(block)
            yield block

    def __iter__(self) -> Iterator[MarketData]:
        for block in self.blocks():
            yield from block

    def strictly(self) -> Iterator[MarketData]:
        """Yield the ticks one by one, for who wants them all or none.

        Raises:
            LayoutError: a row is bad; ticks before it may have been given.
        """
        for block in self.blocks():
            self.refuse()
            yield from block
        self.refuse()

    def refuse(self) -> None:
        if self.bad.first:
            raise LayoutError([Problem(self.bad.first[0].found, "mend the row, or leave it out")])

    @property
    def done(self) -> float:
        """How much of the files the pass has read, from 0 to 1."""
        whole = sum(file.size for file in self.files)
        return sum(file.done for file in self.files) / whole if whole else 1.0

    def __str__(self) -> str:
        return "\n".join(str(file.mapping) for file in self.files)


def as_paths(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return one path, or several, as a list."""
    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    return [Path(path) for path in several]
