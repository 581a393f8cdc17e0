"""One strategy's ticks and signals, brought into the one order that does not depend on timing.

An executor hears three things that race each other: ticks on its own feed, the strategy's signals, and
how far the strategy has come. A lane lets a tick through once the strategy has analysed it, in the order
in which the executor's feed brought the ticks, and every signal right after the tick that caused it. So
what an executor does depends on data and signals only, however the messages raced.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping

from ntp.contract.messages import MarketData, ProgressMessage, SignalMessage, TickRef
from ntp.engine.claims import Claims, Key, Series
from ntp.engine.counts import Counts
from ntp.engine.held import Held, Waiting
from ntp.engine.passed import Passed
from ntp.engine.queued import Queue
from ntp.engine.trail import Place

Due = MarketData | SignalMessage

_REMEMBERED_INCARNATIONS = 8
_REMEMBERED_SIGNALS = 10_000


class Lane:
    """Each method returns what became due, in order and once: ticks as MarketData, signals as SignalMessage.

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
        self._queue = Queue()
        self._feed: dict[Series, list[str]] = {}
        """The lives of each symbol's source in the order in which our own feed brought them."""
        self._heard: dict[Key, int] = {}
        self.passed: dict[tuple[str, str], Passed] = {}
        """By source and symbol, up to where ticks were let through."""
        self.places: deque[Place] = deque()
        """Of the ticks that became due, in order; whoever takes a tick takes its place away."""
        self._unwatched: set[Key] = set()
        self._held = Held()
        self._done: OrderedDict[str, None] = OrderedDict()
        self._blocked: tuple[Key, int, float] | None = None
        self._free = False
        self._suspect: SignalMessage | None = None

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

    def resume(self, source: str, symbol: str, passed: Passed) -> None:
        """Go on where an earlier life was; before the first tick."""
        key = Key(source, passed.incarnation, symbol)
        self._feed.setdefault(key.series, [passed.incarnation])
        self._heard[key] = passed.seq
        self.passed[source, symbol] = passed

    def is_past(self, tick: TickRef) -> bool:
        """Whether a tick, and all before it of its symbol, were let through."""
        return self.ended or self._went_by(tick)

    def holds(self, signal_id: str) -> bool:
        """Whether this signal waits here. One neither held nor returned was done before."""
        return signal_id in self._held

    def tick(
        self, source: str, incarnation: str, symbol: str, seq: int, data: MarketData
    ) -> list[Due]:
        """Take a tick of the executor's own feed."""
        key = Key(source, incarnation, symbol)
        # Of another symbol a former life may still come: read again, where it was missing.
        feed = self._feed.setdefault(key.series, [incarnation])
        if feed[-1] != incarnation:
            if incarnation in feed:  # the echo of a process that has been replaced
                self.counts.repeated += 1
                return []
            feed.append(incarnation)
            if len(feed) > _REMEMBERED_INCARNATIONS:
                gone = Key(source, feed.pop(0), symbol)
                self._claims.forget(gone)
                self._heard.pop(gone, None)
                self._unwatched.discard(gone)
        if seq <= self._heard.get(key, 0):
            self.counts.repeated += 1
            return []
        self._heard[key] = seq
        self._queue.append((key, seq, data))
        due = self._release()
        if self._suspect is not None and self._suspect.tick.id == data.id:
            self._hurry(self._suspect.tick, due)
        return due

    def signal(self, message: SignalMessage, *, alone: bool = False) -> list[Due]:
        """Take a signal. One that waits must not be acknowledged.

        `alone`: nothing else is heard before it is done, so the ticks of its own symbol go through up to its own.
        """
        self._claims.heard(message.incarnation, message.number)
        due: list[Due] = []
        key, seq = Key.of(message.tick), message.tick.seq
        if message.id in self._held or message.id in self._done:
            self.counts.repeated += 1
        elif self._went_by(message.tick):
            self.counts.late += 1
            self._finish(message, due)
        else:
            self._held.add(message)
            self._suspect = message if alone else None
            if len(self._held) > self._max_signals:
                self._let_go(self._held.oldest, due)
        # A tick may cause a second signal, so this one confirms only what lies before its tick.
        self._claims.claim(message.incarnation, message.number - 1, key, seq - 1, end=False)
        due += self._release()
        if alone and message.id in self._held:
            self._hurry(message.tick, due)
        return due

    def again(self, message: SignalMessage) -> list[Due]:
        """Take a signal that was dead, long after its place: what its life counted says nothing now."""
        due: list[Due] = []
        if message.id in self._held or message.id in self._done:
            self.counts.repeated += 1
        else:
            self.counts.late += 1
            self._finish(message, due)
        return due

    def gap(self, incarnation: str, number: int) -> list[Due]:
        """Take it that of an incarnation's first `number` signals those that are not here were consumed."""
        self._claims.gap(incarnation, number)
        return self._release()

    def hole(self, incarnation: str, number: int) -> list[Due]:
        """Take it that the `number`-th signal of an incarnation came, and cannot be taken."""
        self.counts.dead += 1
        self._claims.hole(incarnation, number)
        return self._release()

    def progress(self, message: ProgressMessage) -> list[Due]:
        """Take how far the strategy has come; believed once `number` of its signals are here."""
        key, seq = Key.of(message.tick), message.tick.seq
        self._claims.claim(message.incarnation, message.number, key, seq, end=message.end)
        return self._release()

    def let_through(self, *, free: bool) -> list[Due]:
        """Wait for the strategy's word on ticks no more, or again: what it holds is being closed."""
        self._free = free
        return self._release()

    def expire(self, now: float, patience_s: float) -> list[Due]:
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
        for signal_id in self._held.overdue(now, patience_s, self._comes):
            self._let_go(signal_id, due)
        return due

    def _comes(self, tick: TickRef) -> bool:
        """Whether a tick that caused a signal was heard, or is still to come behind one that waits here.

        Of another life of its source it is counted otherwise; what lies before it goes first.
        """
        key = Key.of(tick)
        return tick.seq <= self._heard.get(key, 0) or self._queue.waits_until(key.series, tick.time)

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
            self._pass(key, seq, data, due)
        return due

    def _pass(self, key: Key, seq: int, data: MarketData, due: list[Due]) -> None:
        """Let a tick through that is no longer queued, and the signals that it caused."""
        same = self._of_other_lives(key, data, due)
        for entry in self._held.up_to(key, seq - 1):  # the feed has a gap where their tick was
            self._let_go(entry.id, due)
        passed = self.passed.get((key.source, key.symbol))
        if passed is None:
            passed = self.passed[key.source, key.symbol] = Passed()
        passed.note(key.incarnation, seq, data)
        due.append(data)
        self.places.append((key, seq))
        for entry in [*same, *self._held.up_to(key, seq)]:
            self._finish(self._held.take(entry.id), due)

    def _hurry(self, tick: TickRef, due: list[Due]) -> None:
        """Let the ticks of one symbol through up to this one, if it is here."""
        for key, seq, data in self._queue.take_up_to(tick):
            self._pass(key, seq, data, due)

    def _confirmed(self, key: Key, seq: int) -> bool:
        if self._free or self._claims.covers(key, seq):
            return True
        if key in self._unwatched and not self._claims.mentions(key):
            return True
        feed = self._feed[key.series]
        if key.incarnation == feed[-1]:
            return False
        if key.incarnation not in feed:  # forgotten: several incarnations have followed it
            return True
        later = feed[feed.index(key.incarnation) + 1 :]
        return not self._claims.incarnations(key.series).isdisjoint(later)

    def _went_by(self, tick: TickRef) -> bool:
        """Whether the order has come past the place of this tick.

        Of another life of its source it may still come: one that begins anew sends its last ticks again.
        """
        passed = self.passed.get((tick.source, tick.symbol))
        if passed is None:
            return False
        if passed.incarnation == tick.incarnation:
            return tick.seq <= passed.seq
        return tick.time < passed.time or tick.id in passed.ids

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

    def _of_other_lives(self, key: Key, data: MarketData, due: list[Due]) -> list[Waiting]:
        """Return the signals of this tick that name another life of its source.

        Those of ticks before it are let go: whatever life sends on, it is past them.
        """
        others = self._held.of_other_lives(key)
        same = [each for each in others if each.message.tick.id == data.id]
        for each in others:
            if each not in same and each.message.tick.time < data.timestamp:
                self._let_go(each.id, due)
        return same

    def _let_go(self, signal_id: str, due: list[Due]) -> None:
        """Let a signal through without its tick."""
        self.counts.late += 1
        self._finish(self._held.take(signal_id), due)

    def _finish(self, message: SignalMessage, due: list[Due]) -> None:
        due.append(message)
        self._done[message.id] = None
        if len(self._done) > _REMEMBERED_SIGNALS:
            self._done.popitem(last=False)
