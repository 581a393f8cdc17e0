"""What the bus has captured of a strategy's sources, brought to where each tick may be looked at."""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from ntp.contract.launch import Listen
from ntp.contract.messages import DataBatch, MarketData
from ntp.engine.claims import Key
from ntp.engine.trail import Place
from ntp.rehearsal import Meter
from ntp.runner.core.intake import Intake
from ntp.runner.core.lead import Lead, Run

_OVERLAP = 8
"""Batches that are looked into for one tick."""
_Feed = tuple[str, str]
"""A source and a symbol of it."""


@dataclass(slots=True)
class Feed:
    """All ticks of one symbol of one source, as a strategy is handed them; `at`: which is next.

    `spans`: of ticks that are numbered without a hole the source's incarnation, the first number, and
    where they begin.
    """

    lead: Lead
    ticks: list[MarketData] = field(default_factory=list)
    spans: list[tuple[str, int, int]] = field(default_factory=list)
    ended: bool = False
    at: int = 0

    def add(self, run: Run) -> None:
        incarnation, seq, begin = self.spans[-1] if self.spans else ("", 0, 0)
        if (run.incarnation, run.seq - seq) != (incarnation, len(self.ticks) - begin):
            self.spans.append((run.incarnation, run.seq, len(self.ticks)))
        self.ticks += run.ticks
        self.ended = self.ended or run.end

    def find(self, place: Place, tick: MarketData | None) -> int:
        """Return the index of a tick; where the strategy was not shown it, of what comes after it."""
        key, wanted = place
        for number, (incarnation, seq, begin) in enumerate(self.spans):
            last = number + 1 == len(self.spans)
            size = (len(self.ticks) if last else self.spans[number + 1][2]) - begin
            if incarnation == key.incarnation and seq <= wanted < seq + size:
                return begin + wanted - seq
        if tick is None:
            return self.at
        for index in range(self.at, len(self.ticks)):
            later = self.ticks[index].timestamp > tick.timestamp
            if later or self.ticks[index].id == tick.id:
                return index
        return len(self.ticks)

    def until(self, end: int) -> Iterator[Run]:
        """Yield what comes before the index `end` and was not yielded yet, as runs."""
        for number, (incarnation, seq, begin) in enumerate(self.spans):
            last = number + 1 == len(self.spans)
            stop = min(end, len(self.ticks) if last else self.spans[number + 1][2])
            if begin <= self.at < stop:
                ticks = self.ticks[self.at : stop]
                ends = self.ended and stop == len(self.ticks)
                run = Run(self.lead, incarnation, seq + self.at - begin, ticks, ends)
                self.at = stop
                yield run


class CapturedFeeds:
    """Args:
    inputs: of the strategy: data sources and indicators.
    meters: those indicators.
    """

    def __init__(self, inputs: Iterable[Listen], meters: Iterable[Meter]) -> None:
        self._intake = Intake(list(inputs))
        self._meters = list(meters)
        self._raw: dict[Key, list[tuple[int, list[MarketData]]]] = {}
        self._feeds: dict[_Feed, Feed] = {}

    @property
    def all(self) -> Mapping[_Feed, Feed]:
        return self._feeds

    async def take(self, batch: DataBatch) -> None:
        """Take a batch, in the order in which the bus stored them."""
        key = Key(batch.source, batch.incarnation, batch.symbol)
        # By number: what was sent again is stored again, behind what came after it.
        insort(self._raw.setdefault(key, []), (batch.seq, batch.ticks), key=itemgetter(0))
        for meter in self._meters:
            for values in await meter.show(batch):
                self._add(self._intake.values(values))
        self._add(self._intake.data(batch, 0.0))

    def end(self) -> None:
        """Take it that nothing comes any more: what waited for something missing goes on."""
        self._add(self._intake.flush())

    def tick(self, place: Place) -> MarketData | None:
        """Return a tick as it was captured; None: it was not."""
        key, wanted = place
        pieces = self._raw.get(key, ())
        after = bisect_right(pieces, wanted, key=itemgetter(0))
        # What was sent again is stored again, so the one just before may be too short.
        for seq, ticks in pieces[max(0, after - _OVERLAP) : after]:
            if wanted < seq + len(ticks):
                return ticks[wanted - seq]
        return None

    def begins(self, key: Key) -> int | None:
        """Return the number of the first captured tick; None: there is none."""
        pieces = self._raw.get(key)
        return pieces[0][0] if pieces else None

    def _add(self, runs: Iterable[Run]) -> None:
        for run in runs:
            key = (run.lead.edge.source, run.lead.edge.symbol)
            feed = self._feeds.get(key)
            if feed is None:
                feed = self._feeds[key] = Feed(run.lead)
            if run.ticks or run.end:
                feed.add(run)
