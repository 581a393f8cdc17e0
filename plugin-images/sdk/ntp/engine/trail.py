"""In which order one desk took its ticks and signals: what a replay of it has to follow.

How ticks of two symbols lie between each other depends on how their messages raced, and with it the
points of the equity curve and limits on sums. Ticks of one symbol are numbered without holes, so a run of
them is two small numbers. A piece can be read without those before it.

A piece is a sequence of steps, all numbers as LEB128:

    0                                    the next signal of the ledger
    1 source incarnation symbol seq      names a feed and its next tick; feeds are counted from 0. A
                                         text is its length in bytes and its UTF-8
    2 + 2 * feed, count                  so many ticks of a feed
    3 + 2 * feed, skipped, count         the same, after so many that were not taken
"""

from collections.abc import Iterator
from typing import NamedTuple

from ntp.engine.claims import Key

_SIGNAL, _NAME, _FEEDS = 0, 1, 2


Place = tuple[Key, int]
"""Which tick it is: its number counts within the feed that the key names. Plain, for each tick has one."""


class Taken(NamedTuple):
    """`many` ticks of a feed from `seq` on; `key` None: one signal."""

    key: Key | None
    seq: int
    many: int


SIGNAL = Taken(None, 0, 1)


class Trail:
    """Writes pieces. Ticks and signals are noted as they are taken, and come out of `take`."""

    def __init__(self) -> None:
        self._feeds: dict[Key, int] = {}
        self._next: list[int] = []
        """By feed, the number that its next tick is expected to have; of the run's own see `_seq`."""
        self._steps = bytearray()
        self._key: Key | None = None
        """Of the run that is being counted."""
        self._seq = self._feed = self._count = self._skipped = 0

    def tick(self, place: Place) -> None:
        key, seq = place
        if seq == self._seq and key == self._key:
            self._count += 1
            self._seq = seq + 1
            return
        self._end_run()
        feed = self._feeds.get(key, -1)
        if feed < 0 or seq < self._next[feed]:
            feed = self._name(key, seq)
        self._key, self._feed, self._skipped = key, feed, seq - self._next[feed]
        self._seq, self._count = seq + 1, 1

    def signal(self) -> None:
        self._end_run()
        self._steps.append(_SIGNAL)

    @property
    def waiting(self) -> int:
        """Bytes that were not taken away yet, about."""
        return len(self._steps) + (self._count > 0)

    def take(self) -> bytes:
        """Return what was noted since the last call: the continuation of the piece."""
        self._end_run()
        steps = bytes(self._steps)
        self._steps.clear()
        return steps

    def begin(self) -> None:
        """Begin a new piece; after `take`."""
        self._feeds.clear()
        self._next.clear()

    def _name(self, key: Key, seq: int) -> int:
        self._steps.append(_NAME)
        for text in key:
            raw = text.encode()
            self._number(len(raw))
            self._steps += raw
        self._number(seq)
        # One that counts backwards, as after a crash of its listener, is named anew.
        self._feeds[key] = len(self._next)
        self._next.append(seq)
        return len(self._next) - 1

    def _end_run(self) -> None:
        if self._key is None:
            return
        if self._skipped:
            self._number(_FEEDS + 2 * self._feed + 1)
            self._number(self._skipped)
        else:
            self._number(_FEEDS + 2 * self._feed)
        self._number(self._count)
        self._next[self._feed] = self._seq
        self._key, self._count = None, 0

    def _number(self, number: int) -> None:
        while number > 0x7F:
            self._steps.append(number & 0x7F | 0x80)
            number >>= 7
        self._steps.append(number)


def read(piece: bytes) -> Iterator[Taken]:
    """Yield the steps of a whole piece, in order.

    Raises:
        ValueError: it is none, or it is cut off.
    """
    reader = _Reader(piece)
    feeds: list[tuple[Key, int]] = []
    try:
        while not reader.done:
            code = reader.number()
            if code == _SIGNAL:
                yield SIGNAL
            elif code == _NAME:
                key = Key(reader.text(), reader.text(), reader.text())
                feeds.append((key, reader.number()))
            else:
                feed, skips = divmod(code - _FEEDS, 2)
                key, seq = feeds[feed]
                seq += reader.number() if skips else 0
                count = reader.number()
                feeds[feed] = (key, seq + count)
                yield Taken(key, seq, count)
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"a piece of {len(piece)} bytes is damaged at {reader.at}") from error


class _Reader:
    def __init__(self, piece: bytes) -> None:
        self._piece = piece
        self.at = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self._piece)

    def number(self) -> int:
        number = shift = 0
        while True:
            byte = self._piece[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def text(self) -> str:
        size = self.number()
        end = self.at + size
        if end > len(self._piece):
            raise IndexError(size)
        raw = self._piece[self.at : end]
        self.at = end
        return raw.decode()
