"""Ticks in blocks, each cut by symbol, as a source sends them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ntp.contract.messages import DataBatch, MarketData
from ntp.ticks import Ticks

SOURCE = "recording"
"""The name of the source that ticks come from."""
LIFE = "rehearsal"
BLOCK = 10_000
"""Rows that are looked at together."""


@dataclass(slots=True)
class Part:
    """Ticks of one symbol in a block, and of which row of it each came."""

    batch: DataBatch
    rows: Sequence[int]


def cut(ticks: Iterator[MarketData]) -> Iterator[list[MarketData]]:
    """Yield blocks of these ticks."""
    while block := list(islice(ticks, BLOCK)):
        yield block


class Blocks:
    """Cuts blocks by symbol; `count`: ticks so far."""

    def __init__(self, blocks: Iterable[list[MarketData]]) -> None:
        self._blocks = blocks
        self._next: dict[str, int] = {}
        self.count = 0

    def __iter__(self) -> Iterator[list[Part]]:
        for block in self._blocks:
            parts = self._parts(Ticks.of(block))
            for part in parts:
                self._next[part.batch.symbol] = part.batch.seq + len(part.rows)
            self.count += len(block)
            yield parts

    def _parts(self, block: Ticks) -> list[Part]:
        if block.symbol is not None:
            return [Part(self._batch(block.symbol, block), range(len(block)))]
        ticks: dict[str, Ticks] = {}
        rows: dict[str, list[int]] = {}
        for row, tick in enumerate(block):
            symbol = tick.symbol
            if symbol not in ticks:
                ticks[symbol], rows[symbol] = Ticks(), []
            ticks[symbol].append(tick)
            rows[symbol].append(row)
        return [Part(self._batch(symbol, some), rows[symbol]) for symbol, some in ticks.items()]

    def end(self) -> list[Part]:
        """Return the ends of all symbols."""
        return [Part(self._batch(symbol, [], end=True), []) for symbol in self._next]

    def _batch(self, symbol: str, ticks: list[MarketData], *, end: bool = False) -> DataBatch:
        return DataBatch(SOURCE, LIFE, symbol, self._next.get(symbol, 1), ticks, end)
