"""Rows of any order, sorted on the disk: as much memory for a million rows as for a billion."""

import struct
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import BinaryIO

import msgspec

from ntp.contract.messages import MarketData

RUN = 40_000
"""Rows that are sorted together, in memory."""
MOST_RUNS = 32
"""That are merged at once."""
_PIECE = 500
"""Rows that are read back together; of each run that is merged, so many are in memory."""
_SIZE = struct.Struct("<I")
_WHEN = attrgetter("timestamp")

Block = list[MarketData]


def sorted_on_disk(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield the rows in order of time, equal times in the order in which they came.

    Runs of `RUN` rows are sorted and written to a file without a name, and merged `MOST_RUNS` at a time.
    """
    rows = (row for block in blocks for row in block)
    runs: list[_Run] = []
    try:
        while run := list(islice(rows, RUN)):
            run.sort(key=_WHEN)
            runs.append(_Run(run))
            # Neighbours, so that equal times stay in order.
            while len(runs) >= MOST_RUNS and runs[-MOST_RUNS].level == runs[-1].level:
                level = runs[-1].level + 1
                several = runs[-MOST_RUNS:]
                runs[-MOST_RUNS:] = [_Run(merge(*several, key=_WHEN), level)]
                for each in several:
                    each.close()
        whole = merge(*runs, key=_WHEN)
        while block := list(islice(whole, 10 * _PIECE)):
            yield block
    finally:
        for each in runs:
            each.close()


class _Run:
    """Sorted rows in a file that is gone with its last handle."""

    def __init__(self, rows: Iterable[MarketData], level: int = 0) -> None:
        self.level = level
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - `close` does
        encode, rows = msgspec.msgpack.Encoder().encode, iter(rows)
        while piece := list(islice(rows, _PIECE)):
            packed = encode(piece)
            self._file.write(_SIZE.pack(len(packed)) + packed)
        self._file.seek(0)

    def __iter__(self) -> Iterator[MarketData]:
        decode = msgspec.msgpack.Decoder(list[MarketData]).decode
        while size := self._file.read(_SIZE.size):
            yield from decode(self._file.read(_SIZE.unpack(size)[0]))

    def close(self) -> None:
        self._file.close()


def first_of(rows: Iterable[MarketData]) -> datetime | None:
    """Return the earliest time."""
    return min(map(_WHEN, rows), default=None)
