"""Recordings as blocks of ticks that a plugin may be shown."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from pathlib import Path

import msgspec
from msgspec.structs import force_setattr

from ntp.blocks import BLOCK, SOURCE
from ntp.contract.messages import MarketData
from ntp.examination.order import Data
from ntp.layouts import Dataset, open_files
from ntp.ticks import Ticks

TICKS = ".ticks"
"""Ends the name of a file that `write` made."""
_MARK, _WIDE = "\0", 5
_THOUSAND = "".join(f"{_MARK}{number:03}," for number in range(1000))
"""Ends of ids, `_WIDE` characters each, with a mark where the beginning goes."""


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

    def blocks(self) -> Iterator[Ticks]:
        """Yield what a source would publish of the rows, each with its id.

        Raises:
            OrderError: a row stands far behind its time.
            OSError: a file cannot be read.
        """
        positions = self.symbols
        for some in self._most(_written(self.data.files) if self.dataset is None else self.dataset.blocks()):  # fmt: skip
            block = Ticks.of(some)
            self._note(block)
            symbol = block.symbol
            if symbol is not None and block.nameless:
                before = positions.get(symbol, 0)
                ids = _ids(before + 1, before + len(block))
                deque(map(force_setattr, block, repeat("id"), ids), maxlen=0)
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


def _ids(first: int, last: int) -> list[str]:
    """Return the ids of these positions; a thousand share a beginning."""
    made: list[str] = []
    while first <= last:
        thousand, rest = divmod(first, 1000)
        end = min(last, 1000 * thousand + 999)
        if thousand:
            ends = _THOUSAND[_WIDE * rest : _WIDE * (rest + end - first + 1) - 1]
            # Two calls for all of them: a third of the time of a sum of texts for each.
            made += ends.replace(_MARK, f"{SOURCE}:{thousand}").split(",")
        else:
            made += [f"{SOURCE}:{position}" for position in range(first, end + 1)]
        first = end + 1
    return made


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
