"""Recordings as blocks of ticks that a plugin may be shown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import force_setattr

from ntp.blocks import BLOCK, SOURCE
from ntp.contract.messages import MarketData
from ntp.examination.order import Data
from ntp.layouts import Dataset, open_files

TICKS = ".ticks"
"""Ends the name of a file that `write` made."""


@dataclass(slots=True)
class Rows:
    """What was read.

    Attributes:
        symbols: ticks of each.
        first, last: the earliest and the latest event time.
        dataset: the files, where they are of a layout; None: ticks as `write` wrote them.

    Raises:
        LayoutError: the files cannot be understood; all problems of all files.
    """

    data: Data
    symbols: dict[str, int] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    dataset: Dataset | None = None

    def __post_init__(self) -> None:
        if not all(file.endswith(TICKS) for file in self.data.files):
            self.dataset = open_files(
                self.data.files,
                symbol=self.data.symbol or None,
                zone=self.data.zone or None,
                mapping=self.data.mapping,
                sort=self.data.sort,
            )

    def blocks(self) -> Iterator[list[MarketData]]:
        """Yield what a source would publish of the rows, each with its id.

        Raises:
            OrderError: a row stands far behind its time.
            OSError: a file cannot be read.
        """
        positions = self.symbols
        for block in self._most(_written(self.data.files) if self.dataset is None else self.dataset.blocks()):  # fmt: skip
            self._note(block)
            if len({tick.symbol for tick in block}) == 1:
                symbol, before = block[0].symbol, positions.get(block[0].symbol, 0)
                for position, tick in enumerate(block, before + 1):
                    if not tick.id:
                        force_setattr(tick, "id", f"{SOURCE}:{position}")
                positions[symbol] = before + len(block)
            else:
                for tick in block:
                    position = positions[tick.symbol] = positions.get(tick.symbol, 0) + 1
                    if not tick.id:
                        force_setattr(tick, "id", f"{SOURCE}:{position}")
            yield block

    def _most(self, blocks: Iterator[list[MarketData]]) -> Iterator[list[MarketData]]:
        left = self.data.most
        for block in blocks:
            if left is None or len(block) <= left:
                yield block
            elif left:
                yield block[:left]
            if left is not None:
                left -= len(block)
                if left <= 0:
                    return

    def _note(self, block: list[MarketData]) -> None:
        # In order of time, as layouts give them.
        self.first = self.first or block[0].timestamp
        self.last = block[-1].timestamp


def write(ticks: Iterable[MarketData], file: Path) -> Path:
    """Write ticks as they are, with what a CSV has no column for; the file's name ends in `.ticks`."""
    with file.open("wb") as out:
        out.writelines(msgspec.json.encode(tick) + b"\n" for tick in ticks)
    file.chmod(0o644)
    return file


def _written(files: Iterable[str]) -> Iterator[list[MarketData]]:
    decode = msgspec.json.Decoder(MarketData).decode
    block: list[MarketData] = []
    for file in files:
        with Path(file).open("rb") as lines:
            for line in lines:
                block.append(decode(line))
                if len(block) == BLOCK:
                    yield block
                    block = []
    if block:
        yield block
