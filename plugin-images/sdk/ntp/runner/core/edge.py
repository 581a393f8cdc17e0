"""One symbol of one source as a listener receives it: what is new, what is missing."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ntp.contract.messages import MOST, DataBatch, MarketData
from ntp.runner.core.kept import Mark

MOST_AHEAD = 20_000
_REMEMBERED_INCARNATIONS = 8


def new_incarnation(now_ms: int, salt: str) -> str:
    """Return the name of one process life; the time in it tells who was there first."""
    return f"{now_ms:012x}-{salt}"


def began_ms(incarnation: str) -> int | None:
    """Return when a life began, milliseconds since 1970; None if its name does not say."""
    head, _, salt = incarnation.partition("-")
    if len(head) != 12 or not salt:
        return None
    try:
        return int(head, 16)
    except ValueError:
        return None


class Piece(NamedTuple):
    """What is new of one batch, in order; without ticks it says where the source stands."""

    batch: DataBatch
    seq: int
    """Of the first tick."""
    ticks: Sequence[MarketData]
    end: bool
    """The source is through, which was not known before."""


@dataclass(slots=True)
class Edge:
    """Counts what came, in sequence numbers of the sender's present incarnation.

    What comes after a gap waits until the gap is filled, or given up (`skip`). After a restart of the
    source a recording comes again from its beginning, and a market may repeat its last ticks: until the
    stream is past what was seen, ticks that were seen are left out.

    Args:
        listening_ms: since when we listen, milliseconds since 1970. A source that began later has to be
            heard from its first tick on; of one that was there before us the beginning is not lost.
        most_ahead: ticks that wait behind a gap; with more of them it is given up.
    """

    source: str
    symbol: str
    listening_ms: int
    most_ahead: int = MOST_AHEAD
    incarnation: str = ""
    through: int = 0
    """The last sequence number of this incarnation that was accounted for."""
    count: int = 0
    lost: int = 0
    lost_before: datetime | None = None
    """The event time of the first tick after the last gap that was given up."""
    ended: bool = False
    ahead: deque[DataBatch] = field(default_factory=deque)
    """What came after a gap, in order."""
    _ahead: int = 0
    _former: list[str] = field(default_factory=list)
    _newest: datetime | None = None
    _newest_ids: set[str] = field(default_factory=set)
    _catching_up: bool = False

    def resume(self, mark: Mark) -> None:
        """Go on where an earlier life of the listener was."""
        self.incarnation = mark.incarnation
        self.through = mark.through
        self.ended = False
        self._newest = mark.time
        self._newest_ids = set(mark.ids)
        self._catching_up = mark.again

    def saw(self, time: datetime) -> bool:
        """Whether a tick of this event time, or a later one, has come."""
        return self._newest is not None and self._newest >= time

    def accept(self, batch: DataBatch) -> list[Piece]:
        """Take a batch; return what is new and in order."""
        if self.ahead and not (batch.incarnation == self.incarnation and self._fits(batch)):
            self._hold(batch)
            return self.skip() if self._ahead > self.most_ahead else []
        if not self._of_present(batch):
            return []
        if not self._fits(batch):
            self._hold(batch)
            return []
        return [self._take(batch), *self._drain()]

    def fill(self, batch: DataBatch) -> list[Piece]:
        """Take what is read again; only what is missing is of use."""
        of_use = self.ahead and batch.incarnation == self.incarnation and self._fits(batch)
        return [self._take(batch), *self._drain()] if of_use else []

    def skip(self) -> list[Piece]:
        """Give the first gap up; return what is in order then."""
        while self.ahead and not self._of_present(self.ahead[0]):
            self._next()
        if not self.ahead:
            return []
        first = self.ahead[0].seq
        self.lost_before = next((tick.timestamp for tick in self.ahead[0].ticks), self.lost_before)
        self.lost = min(self.lost + first - self.through - 1, MOST)
        self.through = first - 1
        return self._drain()

    def _fits(self, batch: DataBatch) -> bool:
        return batch.seq <= self.through + 1

    def _hold(self, batch: DataBatch) -> None:
        ahead = self.ahead
        at = len(ahead)
        # One that was sent again comes late.
        while (
            at and ahead[at - 1].incarnation == batch.incarnation and ahead[at - 1].seq > batch.seq
        ):
            at -= 1
        ahead.insert(at, batch)
        self._ahead += len(batch.ticks)

    def _next(self) -> DataBatch:
        batch = self.ahead.popleft()
        self._ahead -= len(batch.ticks)
        return batch

    def _drain(self) -> list[Piece]:
        """Take what waits, up to the next gap."""
        pieces: list[Piece] = []
        while self.ahead:
            batch = self.ahead[0]
            if not self._of_present(batch):
                self._next()
            elif self._fits(batch):
                pieces.append(self._take(self._next()))
            else:
                break
        return pieces

    def _take(self, batch: DataBatch) -> Piece:
        """Leave out what was seen of a batch that follows what came."""
        first = batch.seq
        ticks: Sequence[MarketData] = batch.ticks
        last, was_ended = batch.seq + len(batch.ticks) - 1, self.ended
        if first <= self.through:
            ticks = ticks[self.through + 1 - first :]
            first = self.through + 1
        if last >= self.through:  # else it was sent again, and says nothing of the present
            self.through = last
            self.ended = batch.end
        if self._catching_up and ticks:
            seen = self._seen(ticks)
            first += seen
            ticks = ticks[seen:]
        if ticks:
            self.count += len(ticks)
            self._remember(ticks)
        return Piece(batch, first, ticks, self.ended and not was_ended)

    def _of_present(self, batch: DataBatch) -> bool:
        """Whether a batch is of the source's present life, which may begin with it."""
        if batch.incarnation == self.incarnation:
            return True
        if batch.incarnation in self._former:
            return False  # the echo of a process that has been replaced
        joined = not self.incarnation
        if not joined:
            self._former.append(self.incarnation)
            del self._former[:-_REMEMBERED_INCARNATIONS]
        self.incarnation = batch.incarnation
        self.through = 0
        self._catching_up = self._newest is not None
        began = began_ms(batch.incarnation)
        if joined and (began is None or began < self.listening_ms):
            self.through = batch.seq - 1
        return True

    def _seen(self, ticks: Sequence[MarketData]) -> int:
        """Return how many of the first ticks are known from an earlier incarnation."""
        newest = self._newest
        if newest is None:
            return 0
        for i, tick in enumerate(ticks):
            if tick.timestamp > newest or (
                tick.timestamp == newest and tick.id not in self._newest_ids
            ):
                self._catching_up = False
                return i
        return len(ticks)

    def _remember(self, ticks: Sequence[MarketData]) -> None:
        at = ticks[-1].timestamp
        if self._newest is not None and at < self._newest:
            at = max(tick.timestamp for tick in ticks)  # the last one came out of order
            if at <= self._newest:
                return
        if at != self._newest:
            self._newest = at
            self._newest_ids.clear()
        for i in range(len(ticks) - 1, -1, -1):
            if ticks[i].timestamp != at:
                break
            self._newest_ids.add(ticks[i].id)
