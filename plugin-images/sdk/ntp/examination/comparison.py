"""Two runs of a plugin, compared: where the first tick is at which they are not the same."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import NamedTuple

from ntp.contract.messages import MarketData, SignalMessage, TradingSignal
from ntp.examination.fault import ConfinedError
from ntp.examination.left import lines, records
from ntp.examination.order import At

_DIGITS = 18
_MOST = 500_000
"""Signals that are compared: more than one at each of the ticks that are."""
_CLOSE = 1e-9
"""Relative; what is summed up from another beginning differs in its last digits."""


class Made(NamedTuple):
    """A signal, by where it came from: the tick's symbol, its number there, and which of its signals."""

    symbol: str
    number: int
    ordinal: int
    signal: TradingSignal

    @property
    def place(self) -> tuple[str, int, int]:
        return self[:3]


@dataclass(frozen=True, slots=True)
class Sample:
    """The first ticks of the data, in their order."""

    ticks: Sequence[MarketData]

    def counts(self, stop: int, start: int = 0) -> dict[str, int]:
        """Return how many ticks of each symbol there are from row `start` on, below row `stop`."""
        found: dict[str, int] = {}
        for tick in self.ticks[start:stop]:
            found[tick.symbol] = found.get(tick.symbol, 0) + 1
        return found

    def at(self, symbol: str, number: int) -> At:
        """Return the tick with this number among those of its symbol, from 1."""
        own = (tick for tick in self.ticks if tick.symbol == symbol)
        tick = next(islice(own, number - 1, None), None)
        return At(symbol, number, tick.id if tick else "", tick.timestamp if tick else None)

    def row(self, symbol: str, number: int) -> int:
        """Return in which row, from 0, that tick is."""
        rows = (row for row, tick in enumerate(self.ticks) if tick.symbol == symbol)
        return next(islice(rows, number - 1, None), len(self.ticks))


def signals(file: Path, before: Mapping[str, int] | None = None) -> Iterator[Made]:
    """Read what a run made. `before`: ticks of each symbol that the run was not shown.

    Raises:
        ConfinedError: the file does not hold signals.
    """
    skipped = before or {}
    for message in records(file, SignalMessage):
        tick, ordinal = message.tick, message.id.rpartition(":")[2]
        if tick.seq < 1 or not (ordinal.isascii() and ordinal.isdigit()) or len(ordinal) > _DIGITS:
            raise ConfinedError(f"what it left as {file.name} is not what it signalled")
        number = tick.seq + skipped.get(tick.symbol, 0)
        yield Made(tick.symbol, number, int(ordinal), message.signal)


def within(made: Iterable[Made], counts: Mapping[str, int], *, closed: bool) -> list[Made]:
    """Return those of the first so many ticks of each symbol.

    `closed`: what the last tick caused is left out, for the end of the data has closed its bar.

    Raises:
        ConfinedError: they are more than anything could signal by so few ticks.
    """
    less = 1 if closed else 0
    found = []
    for one in made:
        if one.number <= counts.get(one.symbol, 0) - less:
            found.append(one)
            if len(found) > _MOST:
                raise ConfinedError(
                    f"more than {_MOST:,} signals cannot be compared", "signal less"
                )
    return found


def first_difference(one: Sequence[Made], other: Sequence[Made]) -> tuple[str, int] | None:
    """Return symbol and number of the first tick at which two runs did not signal the same."""
    for mine, theirs in zip_longest(one, other):
        if mine is None or theirs is None or mine.place != theirs.place:
            found = min((each for each in (mine, theirs) if each), key=lambda each: each.number)
            return found.symbol, found.number
        if not _same(mine.signal, theirs.signal):
            return mine.symbol, mine.number
    return None


def last_difference(one: Iterable[Made], other: Iterable[Made]) -> dict[str, int]:
    """Return by symbol the number of the last tick at which two runs did not signal the same."""
    mine, theirs = ({each.place: each.signal for each in some} for some in (one, other))
    last: dict[str, int] = {}
    for place in mine.keys() | theirs.keys():
        a, b = mine.get(place), theirs.get(place)
        if a is None or b is None or not _same(a, b):
            last[place[0]] = max(place[1], last.get(place[0], 0))
    return last


def first_line(one: Path, other: Path, most: int) -> int | None:
    """Return the first of so many lines, from 0, that two files do not have alike; None: all are."""
    pairs = zip_longest(islice(lines(one), most), islice(lines(other), most))
    return next((at for at, (a, b) in enumerate(pairs) if a != b), None)


def _same(one: TradingSignal, other: TradingSignal) -> bool:
    names = ("confidence", "price", "size", "stop_loss", "take_profit")
    return one.signal_type is other.signal_type and all(
        _near(getattr(one, name), getattr(other, name)) for name in names
    )


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=1e-12)
