"""One symbol of one source as a listener receives it: what is new, what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ntp.contract.messages import MOST, DataBatch, MarketData
from ntp.runner.core.kept import Mark

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


@dataclass(slots=True)
class Edge:
    """Counts what came, in sequence numbers of the sender's present incarnation.

    After a restart of the source a recording comes again from its beginning, and a market may repeat
    its last ticks: until the stream is past what was seen, ticks that were seen are left out.

    Args:
        listening_ms: since when we listen, milliseconds since 1970. A source that began later has to be
            heard from its first tick on; of one that was there before us the beginning is not lost.
    """

    source: str
    symbol: str
    listening_ms: int
    incarnation: str = ""
    through: int = 0
    """The last sequence number of this incarnation that was accounted for."""
    count: int = 0
    lost: int = 0
    ended: bool = False
    _former: list[str] = field(default_factory=list)
    _newest: datetime | None = None
    _newest_ids: set[str] = field(default_factory=set)
    _catching_up: bool = False

    def resume(self, mark: Mark) -> None:
        """Go on where an earlier life of the listener was."""
        self.incarnation = mark.incarnation
        self.through = mark.through
        self._newest = mark.time
        self._newest_ids = set(mark.ids)

    def ids_at(self, time: datetime) -> list[str]:
        """Return the ids of the ticks of this time, if it is the newest."""
        return sorted(self._newest_ids) if time == self._newest else []

    def accept(self, batch: DataBatch) -> tuple[int, Sequence[MarketData]]:
        """Return the new ticks of a batch and the sequence number of the first of them."""
        if batch.incarnation != self.incarnation and not self._begin(batch):
            return 0, ()
        first = batch.seq
        ticks: Sequence[MarketData] = batch.ticks
        if first > self.through + 1:
            self.lost = min(self.lost + first - self.through - 1, MOST)
        elif first <= self.through:
            ticks = ticks[self.through + 1 - first :]
            first = self.through + 1
        self.through = max(self.through, batch.seq + len(batch.ticks) - 1)
        self.ended = batch.end
        if self._catching_up and ticks:
            seen = self._seen(ticks)
            first += seen
            ticks = ticks[seen:]
        if ticks:
            self.count += len(ticks)
            self._remember(ticks)
        return first, ticks

    def _begin(self, batch: DataBatch) -> bool:
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
