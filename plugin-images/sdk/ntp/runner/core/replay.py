"""What was captured before a life began: what of it is known, and what was missed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from ntp.contract.messages import DataBatch, IndicatorBatch
from ntp.runner.core.edge import Edge, began_ms
from ntp.runner.core.kept import Mark

Batch = DataBatch | IndicatorBatch
Marks = Mapping[tuple[str, str], Mark]
"""By source and symbol, how far an earlier life had come."""
_ALWAYS = 1 << 60
"""Of a life that was there before us the beginning is not missing."""


class Stored(NamedTuple):
    """A batch, and when the bus took it: milliseconds since 1970."""

    at_ms: int
    batch: Batch


class Past(NamedTuple):
    """Both in the order in which it was stored.

    Attributes:
        known: what an earlier life has analysed, or what was said before the first one: history.
        missed: what came after that.
    """

    known: list[Batch]
    missed: list[Batch]


class Originals:
    """Leaves out of what is known what a source said again: of lives that began it anew, and of repeats.

    What was said first has its values, and is where it belongs in time.
    """

    def __init__(self) -> None:
        self._edges: dict[tuple[str, str], Edge] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def of(self, known: Iterable[Batch]) -> Iterator[Batch]:
        """Yield what was said for the first time; batches in the order in which they were stored."""
        for batch in known:
            if not isinstance(batch, DataBatch):
                yield batch
                continue
            key = (batch.source, batch.symbol)
            edge = self._edges.get(key)
            if edge is None:
                edge = self._edges[key] = Edge(*key, _ALWAYS)
            pieces = edge.accept(batch)
            while edge.ahead:  # what is missing here was captured too long ago
                pieces += edge.skip()
            for piece in pieces:
                if piece.ticks:
                    self._counts[key] += len(piece.ticks)
                    yield _replace(piece.batch, piece.seq, piece.ticks)

    def reach(self, marks: Marks, most: int) -> bool:
        """Whether that was the last `most` ticks of each symbol; those of `marks` come to their end."""
        return min(self._counts.values(), default=0) >= most and all(
            key not in marks or edge.saw(marks[key].time) for key, edge in self._edges.items()
        )


class Lives:
    """Who spoke last of each symbol.

    What says only where things stood is of use from that life alone: after the ticks of a later one it
    would be taken for one that begins.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], tuple[str, ...]] = {}

    def note(self, batch: Batch) -> None:
        """Take a batch; they come in the order in which they were stored."""
        key, life = _whose(batch)
        self._last[key] = life

    def stale(self, batch: Batch) -> bool:
        key, life = _whose(batch)
        empty = not (batch.ticks if isinstance(batch, DataBatch) else batch.values)
        return empty and self._last.get(key, life) != life


def _whose(batch: Batch) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if isinstance(batch, DataBatch):
        return (batch.source, batch.symbol), (batch.incarnation,)
    key = (batch.indicator, batch.source, batch.symbol)
    return key, (batch.incarnation, batch.source_incarnation)


def split(stored: Iterable[Stored], marks: Marks, since: Mapping[str, int]) -> Past:
    """Tell apart what is known and what was missed. `since`: by producer, when it was first heard."""
    past = Past([], [])
    for at_ms, batch in stored:
        mark = marks.get((batch.source, batch.symbol))
        if isinstance(batch, DataBatch):
            first = since.get(batch.source, at_ms + 1)
            life, size = batch.incarnation, len(batch.ticks)
        else:
            first = since.get(batch.indicator, at_ms + 1)
            life, size = batch.source_incarnation, len(batch.values)
        if mark is None:
            known = size if at_ms < first else 0
        else:
            known = _up_to(mark, life, batch.seq, size)
        # Without ticks it says where things stood; whoever knows better passes it over.
        if known == 0:
            past.missed.append(batch)
        elif known == size:
            past.known.append(batch)
        elif isinstance(batch, DataBatch):
            past.known.append(_replace(batch, batch.seq, batch.ticks[:known]))
            past.missed.append(_replace(batch, batch.seq + known, batch.ticks[known:]))
        else:  # to take values twice changes nothing
            past.known.append(batch)
            past.missed.append(batch)
    return past


def _up_to(mark: Mark, incarnation: str, seq: int, size: int) -> int:
    """Return how many of the first ticks of a batch lie before a mark."""
    if incarnation == mark.incarnation:
        return max(0, min(size, mark.through + 1 - seq))
    began, marked = began_ms(incarnation), began_ms(mark.incarnation)
    return size if began is not None and marked is not None and began < marked else 0


def last_ticks(newest_first: Iterable[Batch], most: int) -> list[Batch]:
    """Return what to show, oldest first: at most the last `most` ticks of each symbol of a source.

    Of each indicator the values of about as many ticks stay; whoever has no tick for one passes it over.
    """
    left: dict[tuple[str, ...], int] = {}
    kept: list[Batch] = []
    for batch in newest_first:
        if isinstance(batch, IndicatorBatch):
            name = (batch.indicator, batch.source, batch.symbol)
            room = left.get(name, most)
            left[name] = room - len(batch.values)
            if room > 0 or not batch.values:
                kept.append(batch)
            continue
        key = (batch.source, batch.symbol)
        room = left.get(key, most)
        if batch.ticks and not room:
            continue
        surplus = max(0, len(batch.ticks) - room)
        left[key] = room - len(batch.ticks) + surplus
        shown = _replace(batch, batch.seq + surplus, batch.ticks[surplus:])
        kept.append(shown if surplus else batch)
    return kept[::-1]


def count(batches: Iterable[Batch]) -> int:
    """Return how many ticks they hold."""
    return sum(len(batch.ticks) for batch in batches if isinstance(batch, DataBatch))


def _replace(batch: DataBatch, seq: int, ticks: Sequence[object]) -> DataBatch:
    return msgspec.structs.replace(batch, seq=seq, ticks=list(ticks))
