"""Rows of a recording, cut into batches of one symbol each, as a source would send them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ntp.contract.messages import DataBatch, MarketData
from ntp.rehearsal import LIFE, SOURCE


@dataclass(slots=True)
class Part:
    """Ticks of one symbol, and of which row each came."""

    batch: DataBatch
    rows: list[int]

    def row(self, seq: int) -> int:
        return self.rows[seq - self.batch.seq]


class Blocks:
    """Cuts ticks into blocks of at most `size`, each by symbol."""

    def __init__(self, ticks: Iterator[MarketData], size: int) -> None:
        self._ticks = ticks
        self._size = size
        self._next: dict[str, int] = {}
        self.count = 0

    def __iter__(self) -> Iterator[list[Part]]:
        while block := list(islice(self._ticks, self._size)):
            parts: dict[str, Part] = {}
            for row, tick in enumerate(block):
                part = parts.get(tick.symbol)
                if part is None:
                    seq = self._next.get(tick.symbol, 1)
                    part = parts[tick.symbol] = Part(_batch(tick.symbol, seq), [])
                part.batch.ticks.append(tick)
                part.rows.append(row)
            for symbol, part in parts.items():
                self._next[symbol] = part.batch.seq + len(part.rows)
            self.count += len(block)
            yield list(parts.values())

    def ends(self) -> Iterator[DataBatch]:
        for symbol, seq in self._next.items():
            yield _batch(symbol, seq, end=True)


def _batch(symbol: str, seq: int, *, end: bool = False) -> DataBatch:
    return DataBatch(SOURCE, LIFE, symbol, seq, [], end)
