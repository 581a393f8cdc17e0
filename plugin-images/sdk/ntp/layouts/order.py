"""Rows in order of time: of one file, and of several together."""

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter, itemgetter

from ntp.contract.messages import MarketData
from ntp.layouts.bad import BadRows
from ntp.layouts.fault import OrderError, Problem
from ntp.ticks import Ticks

Block = list[MarketData]
_WHEN = attrgetter("timestamp")
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def in_order(blocks: Iterator[Block], file: str, bad: BadRows) -> Iterator[Block]:
    """Yield the rows in order of time, equal times in the order of the file.

    A row that stands behind later ones, no more than a block of them, is put in its place and counted.

    Raises:
        OrderError: a row is older than what was already given.
    """
    held: Block = []
    given: datetime | None = None
    for each in blocks:
        if not each:
            continue
        block = Ticks.of(each)
        if (held and block[0].timestamp < held[-1].timestamp) or not _ascending(block):
            mixed = held + block
            bad.moved += _moved(mixed)
            mixed.sort(key=_WHEN)
            if given is not None and mixed[0].timestamp < given:
                raise _disorder(file, mixed[0].timestamp, given)
            ready, held = mixed[: len(held)], mixed[len(held) :]
        else:
            ready, held = held, block
        if ready:
            given = ready[-1].timestamp
            yield ready
    if held:
        yield held


@dataclass(slots=True)
class Stream:
    """Blocks of a file, in order of time.

    Attributes:
        begins: when the first row is; until then nothing of them is asked for. None: nobody knows.
    """

    name: str
    blocks: Iterator[Block]
    begins: datetime | None


def merged(streams: Sequence[Stream]) -> Iterator[Block]:
    """Yield the rows of all streams in order of time; of equal times, those of an earlier stream first.

    The same order as `heapq.merge` gives, a block at a time. A stream is opened when its time comes.

    Raises:
        OrderError: a stream begins before its time.
    """
    waiting = sorted(
        ((stream.begins or _BEGINNING, at) for at, stream in enumerate(streams)), reverse=True
    )
    heads: list[tuple[int, Block, Iterator[Block]]] = []
    given = _BEGINNING
    while heads or waiting:
        edge = min((block[-1].timestamp for _, block, _ in heads), default=None)
        if edge is None or (waiting and waiting[-1][0] <= edge):
            heads += _opened(streams, waiting.pop()[1], given)
            heads.sort(key=itemgetter(0))
            continue
        before: Block = []
        cuts = [bisect_left(block, edge, key=_WHEN) for _, block, _ in heads]
        for (_, block, _), cut in zip(heads, cuts, strict=True):
            before += block[:cut]
        if before:
            before.sort(key=_WHEN)
            yield before
        given, left = edge, []
        for (at, block, more), cut in zip(heads, cuts, strict=True):
            if rest := (yield from _instant(block[cut:], more, edge)):
                left.append((at, rest, more))
        heads = left


def _opened(
    streams: Sequence[Stream], at: int, given: datetime
) -> list[tuple[int, Block, Iterator[Block]]]:
    """Return the stream's place, first block and the others; nothing of an empty one."""
    stream = streams[at]
    block = next(stream.blocks, [])
    if block and block[0].timestamp < given:
        raise _disorder(stream.name, block[0].timestamp, given)
    return [(at, block, stream.blocks)] if block else []


def _instant(block: Block, more: Iterator[Block], edge: datetime) -> Generator[Block, None, Block]:
    """Yield all that is of this instant, however many blocks; return what is left of the last."""
    while block and block[-1].timestamp == edge:
        yield block
        block = next(more, [])
    if block and (end := bisect_right(block, edge, key=_WHEN)):
        yield block[:end]
        return block[end:]
    return block


def regrouped(blocks: Iterator[Block], least: int, most: int) -> Iterator[Block]:
    """Yield the same rows in blocks of at most so many; less than `least` only what is left over."""
    held: Block = []
    for block in blocks:
        held = held + block if held else block
        if len(held) < least:
            continue
        if len(held) <= most:
            yield held  # as it is, with what is known of it
        else:
            for at in range(0, len(held), most):
                yield held[at : at + most]
        held = []
    if held:
        yield held


def _ascending(block: Ticks) -> bool:
    # To sort is quick on what is in order, and then both are the same objects.
    return block.rising or block.times == sorted(block.times)


def _moved(rows: Sequence[MarketData]) -> int:
    """Count rows that stand behind a later one."""
    count, newest = 0, rows[0].timestamp
    for row in rows:
        if row.timestamp < newest:
            count += 1
        else:
            newest = row.timestamp
    return count


def _disorder(file: str, found: datetime, given: datetime) -> OrderError:
    words = f"a row of {found.isoformat()} stands far behind one of {given.isoformat()}"
    return OrderError(
        [Problem(f"{file}: {words}", f"sort it: ntp data convert {file} -o sorted.csv")]
    )
