"""One symbol of one source on its way to the plugin, and what it waits for."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ntp.contract.messages import MOST, IndicatorBatch, MarketData, TickRef
from ntp.runner.core.edge import Edge, began_ms

Value = float | dict[str, float] | None

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

    def reference(self, at: int) -> TickRef:
        """Return what names the tick with this index."""
        return _reference(self.lead.edge, self.incarnation, self.seq + at, self.ticks[at])

    def done(self, at: int) -> None:
        """Note that the plugin has seen the ticks up to this index."""
        self.lead.analysed = self.seq + at
        self.lead.last = self.ticks[at]
        self.lead.incarnation = self.incarnation


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
        life = (batch.incarnation, batch.source_incarnation)
        if life != (self.incarnation, self.source_incarnation):
            whole = not self.incarnation and self._valued_from_the_first(batch)
            self.incarnation, self.source_incarnation = life
            self.values.clear()
            self.first = 1 if whole else batch.seq
        gap = batch.seq - self.through - 1
        if gap > 0:
            # The ticks between must not wait for what will not come.
            self.lost = min(self.lost + gap, MOST)
            self.values.extend([None] * min(gap, MOST_WAITING))
            self.first = batch.seq - len(self.values)
        new = batch.values[max(0, -gap) :]
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
        analysed: sequence number of the last tick that the plugin has seen; `last` is that tick,
            `incarnation` its source's.
        told: the last progress that was told: incarnation and sequence number.
        work: what the plugin's side keeps with it.
    """

    edge: Edge
    bars: tuple[str | None, ...]
    indicators: dict[str, Values] = field(default_factory=dict)
    waiting: deque[Waiting] = field(default_factory=deque)
    analysed: int = 0
    last: MarketData | None = None
    incarnation: str = ""
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
