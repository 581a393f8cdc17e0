"""One strategy's ticks and signals, brought into the one order that does not depend on timing.

An executor hears three things that race each other: ticks on its own feed, the strategy's signals, and
how far the strategy has come. A lane lets a tick through once the strategy has analysed it, in the order
in which the executor's feed brought the ticks, and every signal right after the tick that caused it. So
what an executor does depends on data and signals only, however the messages raced.
"""

from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ntp.contract.messages import MarketData, ProgressMessage, SignalMessage
from ntp.engine.claims import Claims, Key

Due = MarketData | SignalMessage

_REMEMBERED_INCARNATIONS = 8
_REMEMBERED_SIGNALS = 10_000


@dataclass(slots=True)
class Counts:
    """What did not go the undisturbed way; totals since the lane began."""

    late: int = 0
    """Signals let through although their tick was not the one just before them."""
    repeated: int = 0
    """Ticks and signals that came again, and were ignored."""
    overrun: int = 0
    """Ticks let through before the strategy had analysed them: the buffer was full."""
    unconfirmed: int = 0
    """Ticks let through because the strategy went on and never confirmed them."""
    missing: int = 0
    """Signals that the strategy counted and that did not come in time."""


class _Waiting(NamedTuple):
    """Sorts by cause, then in the order in which the strategy made them."""

    seq: int
    number: int
    id: str
    message: SignalMessage


class Lane:
    """Each method returns what became due, in order: ticks as MarketData, signals as SignalMessage.

    What was returned is the caller's to finish; the lane never returns it again.

    Args:
        strategy: whose lane it is.
        seen: signals already consumed, by incarnation of the strategy (`{}`: none, ever). None: not
            known; the first message heard then tells where this lane joins.
        max_ticks: ticks held at most; beyond it the oldest goes through (`overrun`).
        max_signals: signals held at most; beyond it the oldest goes through (`late`).
    """

    def __init__(
        self,
        strategy: str,
        seen: Mapping[str, int] | None = None,
        *,
        max_ticks: int = 100_000,
        max_signals: int = 10_000,
    ) -> None:
        self.strategy = strategy
        self.counts = Counts()
        self._claims = Claims(seen)
        self._max_ticks = max_ticks
        self._max_signals = max_signals
        self._queue: deque[tuple[Key, int, MarketData]] = deque()
        self._feed: dict[str, list[str]] = {}
        """By source, its incarnations in the order in which our own feed brought them."""
        self._heard: dict[Key, int] = {}
        self._passed: dict[Key, int] = {}
        """The last tick that was let through."""
        self._passing: dict[str, str] = {}
        """By source, the incarnation of the last tick that was let through."""
        self._unwatched: set[Key] = set()
        self._waiting: dict[Key, list[_Waiting]] = {}
        self._held: dict[str, tuple[Key, int]] = {}
        """By id of a waiting signal, oldest first: which tick it waits for."""
        self._held_since: dict[str, float] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._blocked: tuple[Key, int, float] | None = None

    @property
    def ended(self) -> bool:
        """The strategy will send no more, and all that was here is through.

        Ticks that the executor's own feed still brings go through at once.
        """
        return self._claims.ended and not self._queue and not self._held

    @property
    def depth(self) -> int:
        """Ticks that wait for the strategy."""
        return len(self._queue)

    def holds(self, signal_id: str) -> bool:
        """Whether this signal waits here. One neither held nor returned was done before."""
        return signal_id in self._held

    def tick(
        self, source: str, incarnation: str, symbol: str, seq: int, data: MarketData
    ) -> list[Due]:
        """Take a tick of the executor's own feed."""
        feed = self._feed.setdefault(source, [incarnation])
        if feed[-1] != incarnation:
            if incarnation in feed:  # the echo of a process that has been replaced
                self.counts.repeated += 1
                return []
            feed.append(incarnation)
            if len(feed) > _REMEMBERED_INCARNATIONS:
                self._forget(source, feed.pop(0))
        key = Key(source, incarnation, symbol)
        if seq <= self._heard.get(key, 0):
            self.counts.repeated += 1
            return []
        self._heard[key] = seq
        self._queue.append((key, seq, data))
        return self._release()

    def signal(self, message: SignalMessage) -> list[Due]:
        """Take a signal. One that waits here must not be acknowledged before it was returned."""
        self._claims.heard(message.incarnation, message.number)
        due: list[Due] = []
        key, seq = Key.of(message.tick), message.tick.seq
        if message.id in self._held or message.id in self._done:
            self.counts.repeated += 1
        elif self._went_by(key, seq):
            self.counts.late += 1
            self._finish(message, due)
        else:
            entry = _Waiting(seq, message.number, message.id, message)
            insort(self._waiting.setdefault(key, []), entry)
            self._held[message.id] = (key, seq)
            if len(self._held) > self._max_signals:
                self._let_go(next(iter(self._held)), due)
        # A tick may cause a second signal, so this one confirms only what lies before its tick.
        self._claims.claim(message.incarnation, message.number - 1, key, seq - 1, end=False)
        return due + self._release()

    def progress(self, message: ProgressMessage) -> list[Due]:
        """Take how far the strategy has come; believed once `number` of its signals are here."""
        key, seq = Key.of(message.tick), message.tick.seq
        self._claims.claim(message.incarnation, message.number, key, seq, end=message.end)
        return self._release()

    def expire(self, now: float, patience_s: float = 5.0) -> list[Due]:
        """Stop waiting for what has not come within `patience_s` of the call that first missed it.

        That is: a signal that the strategy counted, a tick that caused a signal, and the word of the
        strategy on a tick when it has gone on to later ones. A strategy that is merely slow is waited for.

        Args:
            now: monotonic seconds; call about once a second.
            patience_s: longer than the executor's feed may lag behind the strategy's signals.
        """
        self.counts.missing += self._claims.expire(now, patience_s)
        due = self._release()
        due += self._release(unconfirmed=self._passed_over(now, patience_s))
        for signal_id, (key, seq) in list(self._held.items()):
            since = self._held_since.setdefault(signal_id, now)
            if seq > self._heard.get(key, 0) and now - since >= patience_s:
                self._let_go(signal_id, due)
        return due

    def _release(self, unconfirmed: int = 0) -> list[Due]:
        """Let through what is confirmed at the head, and so many ticks that are not."""
        due: list[Due] = []
        while self._queue:
            key, seq, data = self._queue[0]
            if not self._confirmed(key, seq):
                if unconfirmed:
                    unconfirmed -= 1
                    self.counts.unconfirmed += 1
                    self._unwatched.add(key)
                elif len(self._queue) > self._max_ticks:
                    self.counts.overrun += 1
                else:
                    break
            self._queue.popleft()
            if self._passing.get(key.source) != key.incarnation:
                self._passing[key.source] = key.incarnation
                self._let_go_of_former(key.source, due)
            for entry in self._up_to(key, seq - 1):  # the feed has a gap where their tick was
                self._let_go(entry.id, due)
            self._passed[key] = seq
            due.append(data)
            for entry in self._up_to(key, seq):
                self._finish(self._take(entry.id), due)
        return due

    def _confirmed(self, key: Key, seq: int) -> bool:
        if self._claims.covers(key, seq):
            return True
        if key in self._unwatched and not self._claims.mentions(key):
            return True
        feed = self._feed[key.source]
        if key.incarnation == feed[-1]:
            return False
        if key.incarnation not in feed:  # forgotten: several incarnations have followed it
            return True
        later = feed[feed.index(key.incarnation) + 1 :]
        return not self._claims.incarnations(key.source).isdisjoint(later)

    def _went_by(self, key: Key, seq: int) -> bool:
        """Whether the order has come past the place of this tick."""
        if seq <= self._passed.get(key, 0):
            return True
        feed = self._feed.get(key.source, [])
        passing = self._passing.get(key.source)
        if key.incarnation not in feed or passing not in feed:
            return False
        return feed.index(key.incarnation) < feed.index(passing)

    def _passed_over(self, now: float, patience_s: float) -> int:
        """Return how many ticks at the head the strategy has for long gone past without a word."""
        ahead = 0
        for key, seq, _ in self._queue:
            if self._confirmed(key, seq):
                break
            ahead += 1
        if ahead in {0, len(self._queue)}:
            self._blocked = None
            return 0
        key, seq, _ = self._queue[0]
        if self._blocked is None or self._blocked[:2] != (key, seq):
            self._blocked = (key, seq, now)
        return ahead if now - self._blocked[2] >= patience_s else 0

    def _up_to(self, key: Key, seq: int) -> list[_Waiting]:
        waiting = self._waiting.get(key)
        if not waiting or waiting[0].seq > seq:
            return []
        return [entry for entry in waiting if entry.seq <= seq]

    def _let_go_of_former(self, source: str, due: list[Due]) -> None:
        """Let signals go whose tick died with an earlier incarnation of this source."""
        former = [
            entry
            for key, waiting in self._waiting.items()
            if key.source == source
            for entry in waiting
            if self._went_by(key, entry.seq)
        ]
        for entry in sorted(former, key=lambda entry: entry.number):
            self._let_go(entry.id, due)

    def _let_go(self, signal_id: str, due: list[Due]) -> None:
        """Let a signal through without its tick."""
        self.counts.late += 1
        self._finish(self._take(signal_id), due)

    def _take(self, signal_id: str) -> SignalMessage:
        key, _ = self._held.pop(signal_id)
        self._held_since.pop(signal_id, None)
        waiting = self._waiting[key]
        at = next(i for i, entry in enumerate(waiting) if entry.id == signal_id)
        message = waiting.pop(at).message
        if not waiting:
            del self._waiting[key]
        return message

    def _finish(self, message: SignalMessage, due: list[Due]) -> None:
        due.append(message)
        self._done[message.id] = None
        if len(self._done) > _REMEMBERED_SIGNALS:
            self._done.popitem(last=False)

    def _forget(self, source: str, incarnation: str) -> None:
        self._claims.forget(source, incarnation)
        for known in (self._heard, self._passed):
            for key in [k for k in known if k[:2] == (source, incarnation)]:
                del known[key]
        self._unwatched = {k for k in self._unwatched if k[:2] != (source, incarnation)}
