"""One symbol of one source on its way to the plugin, and what it waits for."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ntp.contract.launch import Policy
from ntp.contract.messages import MOST, IndicatorBatch, MarketData, TickRef
from ntp.runner.core.edge import Edge, began_ms

Value = float | dict[str, float] | None

_MOST_AHEAD = 1000
"""Batches of values that wait behind a gap."""
_REMEMBERED_IDS = 1024
MOST_WAITING = 100_000
"""Ticks that wait for values, and values that wait for their ticks."""


@dataclass(slots=True)
class Run:
    """Ticks that are ready, in order; tick i has the sequence number `seq + i`."""

    lead: "Lead"
    incarnation: str
    seq: int
    ticks: Sequence[MarketData]
    end: bool = False
    """Nothing comes after these: the source is through."""
    _shown: int = 0
    """How many of the ticks were noted."""

    def reference(self, at: int) -> TickRef:
        """Return what names the tick with this index."""
        return _reference(self.lead.edge, self.incarnation, self.seq + at, self.ticks[at])

    def done(self, at: int) -> None:
        """Note that the plugin has seen the ticks up to this index."""
        self.lead.ids = self._ids(at)
        self._shown = at + 1
        self.lead.analysed = self.seq + at
        self.lead.last = self.ticks[at]
        self.lead.incarnation = self.incarnation
        self.lead.again = False

    def _ids(self, at: int) -> list[str]:
        """Return the ids of all that share the time of the tick with this index, and were seen with it."""
        lead, time = self.lead, self.ticks[at].timestamp
        ids: list[str] = []
        for i in range(at, self._shown - 1, -1):
            if self.ticks[i].timestamp != time:
                return ids
            ids.append(self.ticks[i].id)
        if lead.last is not None and lead.last.timestamp == time:
            ids += lead.ids
        return ids[:_REMEMBERED_IDS]

    def over(self) -> None:
        """Note that the plugin has been shown all of it, and what came of it is made."""
        self.lead.ended = self.end


@dataclass(slots=True)
class Values:
    """What one indicator said of one symbol of one source.

    Attributes:
        listening_ms: since when we listen, milliseconds since 1970.
        first: the sequence number of `values[0]`.
        late: ticks that went on without their value.
    """

    listening_ms: int
    incarnation: str = ""
    source_incarnation: str = ""
    first: int = 1
    values: deque[Value] = field(default_factory=deque)
    ahead: deque[IndicatorBatch] = field(default_factory=deque)
    """What came after a gap, in order."""
    count: int = 0
    late: int = 0
    lost: int = 0

    @property
    def through(self) -> int:
        return self.first + len(self.values) - 1

    def reaches(self, incarnation: str) -> int:
        """Return up to which tick of the source's incarnation the values are here."""
        return self.through if self.source_incarnation == incarnation else 0

    def add(self, batch: IndicatorBatch) -> None:
        """Take values; those after a gap wait until it is filled, or given up (`skip`)."""
        life = (batch.incarnation, batch.source_incarnation)
        if life != (self.incarnation, self.source_incarnation):
            whole = not self.incarnation and self._valued_from_the_first(batch)
            self.incarnation, self.source_incarnation = life
            self.values.clear()
            self.ahead.clear()
            self.first = 1 if whole else batch.seq
        if batch.seq <= self.through + 1:
            self._take(batch)
            self._drain()
            return
        at = len(self.ahead)
        while at and self.ahead[at - 1].seq > batch.seq:
            at -= 1
        self.ahead.insert(at, batch)
        if len(self.ahead) > _MOST_AHEAD:
            self.skip()

    def fill(self, batch: IndicatorBatch) -> None:
        """Take values that were read again; only what is missing is of use."""
        life = (batch.incarnation, batch.source_incarnation)
        present = life == (self.incarnation, self.source_incarnation)
        if self.ahead and present and batch.seq <= self.through + 1:
            self._take(batch)
            self._drain()

    def begin(self, incarnation: str, seq: int) -> None:
        """Miss no values of ticks before this one: nobody waits for them."""
        if self.ahead and self.source_incarnation == incarnation and self.through + 1 < seq:
            self.values.clear()
            self.first = min(seq, self.ahead[0].seq)
            self._drain()

    def skip(self) -> None:
        """Give the first gap up: the ticks in it must not wait for what will not come."""
        if not self.ahead:
            return
        batch = self.ahead[0]
        gap = batch.seq - self.through - 1
        self.lost = min(self.lost + gap, MOST)
        self.values.extend([None] * min(gap, MOST_WAITING))
        self.first = batch.seq - len(self.values)
        self._drain()

    def _drain(self) -> None:
        while self.ahead and self.ahead[0].seq <= self.through + 1:
            self._take(self.ahead.popleft())

    def _take(self, batch: IndicatorBatch) -> None:
        new = batch.values[max(0, self.through + 1 - batch.seq) :]
        self.values.extend(new)
        self.count += len(new)
        while len(self.values) > MOST_WAITING:
            self.values.popleft()
            self.first += 1

    def _valued_from_the_first(self, batch: IndicatorBatch) -> bool:
        """Whether the source began when its indicator was there, and we."""
        source, indicator = began_ms(batch.source_incarnation), began_ms(batch.incarnation)
        if source is None or indicator is None:
            return False
        return source >= max(indicator, self.listening_ms)

    def attach(self, name: str, incarnation: str, seq: int, ticks: Sequence[MarketData]) -> None:
        """Put the value of each tick into its metadata["indicators"]; None where there is none."""
        values = self.values if self.source_incarnation == incarnation else None
        while values and self.first < seq:
            values.popleft()
            self.first += 1
        for number, tick in enumerate(ticks, seq):
            value = None
            if values and self.first == number:
                value = values.popleft()
                self.first += 1
            tick.metadata["indicators"][name] = value


@dataclass(slots=True)
class Waiting:
    """Ticks of one batch that wait for values since `since`, monotonic seconds."""

    incarnation: str
    seq: int
    ticks: Sequence[MarketData]
    since: float
    end: bool


@dataclass(slots=True)
class Lead:
    """Keeps how far one symbol of one source has come.

    Attributes:
        bars: what the plugin hears of it: None is each tick, text a length of bars.
        policy: as its input says; `skipped` counts ticks that were left out for newer ones.
        analysed: sequence number of the last tick that the plugin has seen; `last` is that tick,
            `incarnation` its source's; `ids` are of all ticks of that time, the newest first.
        again: what the source says now is what it said in a life before, up to `last`.
        ended: the source is through, and the plugin has been shown all of it.
        runs: what is to be shown, the first of them from index `at` on; `shown`: somebody does.
        told: the last progress that was told: incarnation and sequence number.
        work: what the plugin's side keeps with it.
    """

    edge: Edge
    bars: tuple[str | None, ...]
    policy: Policy = "all"
    skipped: int = 0
    indicators: dict[str, Values] = field(default_factory=dict)
    waiting: deque[Waiting] = field(default_factory=deque)
    runs: deque[Run] = field(default_factory=deque)
    at: int = 0
    shown: bool = False
    analysed: int = 0
    last: MarketData | None = None
    ids: list[str] = field(default_factory=list)
    incarnation: str = ""
    again: bool = False
    ended: bool = False
    told: tuple[str, int] = ("", 0)
    work: Any = None

    def reference(self) -> TickRef | None:
        """Return how far the plugin has come; None before its first tick."""
        if self.last is None:
            return None
        return _reference(self.edge, self.incarnation, self.analysed, self.last)

    def wait(
        self, incarnation: str, seq: int, ticks: Sequence[MarketData], since: float, *, end: bool
    ) -> None:
        self.waiting.append(Waiting(incarnation, seq, ticks, since, end))

    def ready(self) -> int:
        """Return how many of the first waiting ticks have all their values."""
        head = self.waiting[0]
        for known in self.indicators.values():
            known.begin(head.incarnation, head.seq)
        through = min(known.reaches(head.incarnation) for known in self.indicators.values())
        return max(0, min(len(head.ticks), through + 1 - head.seq))

    def hand_out(self, count: int) -> Run:
        """Return the first `count` ticks of the oldest that wait, with the values that are there."""
        head = self.waiting[0]
        ticks = head.ticks[:count]
        for tick in ticks:
            # Whatever the source wrote there itself.
            tick.metadata["indicators"] = {}
        for name, known in self.indicators.items():
            known.attach(name, head.incarnation, head.seq, ticks)
        whole = count == len(head.ticks)
        run = Run(self, head.incarnation, head.seq, ticks, head.end and whole)
        if whole:
            self.waiting.popleft()
        else:
            head.ticks = head.ticks[count:]
            head.seq += count
        return run

    def late(self) -> None:
        """Count the values that the oldest waiting ticks go without."""
        head = self.waiting[0]
        last = head.seq + len(head.ticks) - 1
        for known in self.indicators.values():
            known.late += min(len(head.ticks), max(0, last - known.reaches(head.incarnation)))


def _reference(edge: Edge, incarnation: str, seq: int, tick: MarketData) -> TickRef:
    return TickRef(
        source=edge.source,
        symbol=edge.symbol,
        seq=seq,
        id=tick.id,
        time=tick.timestamp,
        incarnation=incarnation,
    )


def newest(leads: Iterable[Lead]) -> TickRef:
    """Return the newest tick of all that was analysed."""
    references = [found for lead in leads if (found := lead.reference()) is not None]
    if not references:
        return TickRef(source="", symbol="", seq=0, id="", time=datetime.now(UTC))
    return max(references, key=lambda found: found.time)
