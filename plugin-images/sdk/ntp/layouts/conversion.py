"""Files of any layout to one file of ntp's own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ntp.bars import Bars, instant, length
from ntp.contract.messages import MarketData
from ntp.layouts.dataset import Dataset
from ntp.layouts.fault import LayoutError, Problem
from ntp.layouts.writing import whole_file

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Converted:
    """What was written.

    Attributes:
        rows: of the new file; `symbols`: how many of each.
        first, last: times of the first and the last of them.
    """

    rows: int = 0
    symbols: dict[str, int] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None

    def count(self, ticks: list[MarketData]) -> None:
        self.rows += len(ticks)
        for tick in ticks:
            self.symbols[tick.symbol] = self.symbols.get(tick.symbol, 0) + 1
        self.first = self.first or ticks[0].timestamp
        self.last = ticks[-1].timestamp


def convert(
    data: Dataset,
    out: Path,
    *,
    bars: str | None = None,
    strict: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Converted:
    """Write the ticks of a dataset to a file, whole or not at all.

    Args:
        data: what is read.
        out: a name that ends in .csv, .csv.gz or .parquet.
        bars: make bars of this length of them, `5m`.
        strict: refuse a bad row instead of leaving it out.
        progress: is called after each block that was read.

    Raises:
        LayoutError: nothing is to be written: there is no row, or `strict` and a bad one.
        OrderError: a file has to be sorted.
        ValueError: `bars` is no length.
        OSError: a file cannot be read, or written.
    """
    done = Converted()
    of_bars = bars is not None or any(file.mapping.is_bars for file in data.files)
    with whole_file(out, bars=of_bars) as writer:
        blocks = _told(data, progress, strict=strict)
        for block in blocks if bars is None else barred(blocks, bars):
            writer.write(block)
            done.count(block)
        if not done.rows:
            names = ", ".join(file.path.name for file in data.files)
            why = data.bad.lines() or ["there is no row"]
            raise LayoutError([Problem(f"{names}: {why[0]}", "name a file that has rows")])
    return done


def barred(blocks: Iterable[list[MarketData]], period: str) -> Iterator[list[MarketData]]:
    """Yield the bars of ticks in order of time, in order of time; of one time, by first appearance.

    Raises:
        ValueError: `period` is no length.
    """
    span, building = length(period), dict[str, Bars]()
    edge = datetime.min.replace(tzinfo=UTC)
    for block in blocks:
        made: list[MarketData] = []
        for tick in block:
            at = instant(tick)
            if at >= edge:  # all bars lie on one grid: they are over together
                made += _closed(building)
                edge = at - (at - _EPOCH) % span + span
            if tick.symbol not in building:
                building[tick.symbol] = Bars(period)
            building[tick.symbol].add(tick)
        if made:
            yield made
    if rest := _closed(building):
        yield rest


def _closed(building: dict[str, Bars]) -> list[MarketData]:
    return [bar for each in building.values() if (bar := each.end()) is not None]


def _told(
    data: Dataset, progress: Callable[[], None], *, strict: bool
) -> Iterator[list[MarketData]]:
    for block in data.blocks():
        if strict:
            data.refuse()
        yield block
        progress()
    if strict:
        data.refuse()
