"""All inputs of one plugin, brought to the point where a tick may be looked at.

A tick waits for the values of the indicators that value its source, at most `patience_s`; the values
then lie in its metadata. Ticks of one symbol of one source never overtake each other.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ntp.contract.beat import Flow
from ntp.contract.launch import Listen
from ntp.contract.messages import DataBatch, IndicatorBatch, MarketData
from ntp.contract.names import Channel, Kind
from ntp.contract.reading import reader
from ntp.runner.core.edge import Edge
from ntp.runner.core.kept import Mark
from ntp.runner.core.lead import MOST_WAITING, Lead, Run, Values

INDICATOR_PATIENCE_S = 1.0
"""Seconds that a tick waits for its indicator values."""

MOST_LEADS = 10_000
"""Symbols over all sources: one that invents symbols must not fill its listeners' memory."""
_NOT_YET = 1 << 60

decode_data = reader(msgspec.json.Decoder(DataBatch))
decode_values = reader(msgspec.json.Decoder(IndicatorBatch))


class Intake:
    """Routes the batches of all inputs.

    Args:
        inputs: of the launch file; those that are neither data source nor indicator are not ours.
        patience_s: longest wait for indicator values, seconds.

    Attributes:
        listening_ms: when our subscriptions stood, milliseconds since 1970; set it then.
        turned_away: batches of symbols for which there was no room.
        newest: the last tick that came, as yet unseen by the plugin perhaps.
    """

    def __init__(
        self,
        inputs: Sequence[Listen],
        patience_s: float = INDICATOR_PATIENCE_S,
    ) -> None:
        self.listening_ms = _NOT_YET
        self.turned_away = 0
        self._patience_s = patience_s
        self._sources: dict[str, list[Listen]] = {}
        for one in inputs:
            if one.kind is Kind.DATA_SOURCE:
                self._sources.setdefault(one.instance, []).append(one)
        self._indicators = [one for one in inputs if one.kind is Kind.INDICATOR]
        self.leads: dict[tuple[str, str], Lead] = {}
        self._patient: dict[tuple[str, str], Lead] = {}
        self._waiting = 0
        self.newest: MarketData | None = None
        self._marks: dict[tuple[str, str], Mark] = {}

    def resume(self, marks: Iterable[Mark]) -> None:
        """Go on where an earlier life was; before the first batch."""
        self._marks = {(mark.source, mark.symbol): mark for mark in marks}

    def marks(self) -> list[Mark] | None:
        """Return how far everything was analysed; None while ticks wait between."""
        if self._patient:
            return None
        marks = dict(self._marks)
        for key, lead in self.leads.items():
            if lead.last is not None:
                time = lead.last.timestamp
                ids = lead.edge.ids_at(time) or [lead.last.id]
                marks[key] = Mark(*key, lead.incarnation, lead.analysed, time, ids)
        return list(marks.values())

    @property
    def ended(self) -> bool:
        """All sources are through, and everything that they sent was handed out."""
        if not self._sources or self._patient:
            return False
        heard = {source for source, _ in self.leads}
        return heard >= self._sources.keys() and all(
            lead.edge.ended for lead in self.leads.values()
        )

    def data(self, batch: DataBatch, now: float) -> list[Run]:
        """Take ticks; return what is ready. `now`: monotonic seconds."""
        key = (batch.source, batch.symbol)
        lead = self.leads.get(key) or self._open(*key)
        if lead is None:
            return []
        edge = lead.edge
        was_ended = edge.ended
        seq, ticks = edge.accept(batch)
        end = edge.ended and not was_ended
        if not ticks and not end:
            if batch.ticks and not lead.waiting:  # all known from an earlier life of the source
                lead.analysed, lead.incarnation = edge.through, edge.incarnation
            return []
        if ticks:
            self.newest = ticks[-1]
        if not lead.indicators:
            return [Run(lead, edge.incarnation, seq, ticks, end)]
        lead.wait(edge.incarnation, seq, ticks, now, end=end)
        self._patient[key] = lead
        self._waiting += len(ticks)
        runs = self._release(lead)
        while self._waiting > MOST_WAITING:
            oldest = min(self._patient.values(), key=lambda one: one.waiting[0].since)
            runs += self._give_up(oldest)
        return runs

    def values(self, batch: IndicatorBatch) -> list[Run]:
        """Take an indicator's values; return the ticks that were waiting for them."""
        key = (batch.source, batch.symbol)
        lead = self.leads.get(key) or self._open(*key)
        known = None if lead is None else lead.indicators.get(batch.indicator)
        if lead is None or known is None:
            return []
        known.add(batch)
        return self._release(lead)

    def expire(self, now: float) -> list[Run]:
        """Return the ticks that have waited long enough, with the values that are there."""
        runs: list[Run] = []
        for lead in list(self._patient.values()):
            while lead.waiting and now - lead.waiting[0].since >= self._patience_s:
                runs += self._give_up(lead)
        return runs

    def flush(self) -> list[Run]:
        """Return everything that still waits: we are going."""
        runs: list[Run] = []
        for lead in list(self._patient.values()):
            while lead.waiting:
                runs += self._give_up(lead)
        return runs

    def count_from_here(self) -> None:
        """Forget how much came, was lost or late: it was no traffic of this life."""
        for lead in self.leads.values():
            lead.edge.count = lead.edge.lost = 0
            for known in lead.indicators.values():
                known.count = known.lost = known.late = 0

    def flows(self) -> Iterator[Flow]:
        """Yield the counts of each edge."""
        for lead in self.leads.values():
            edge = lead.edge
            yield Flow(
                peer=edge.source,
                channel=Channel.DATA,
                symbol=edge.symbol,
                count=edge.count,
                lost=edge.lost,
                through=edge.through,
            )
            for name, known in lead.indicators.items():
                yield Flow(
                    peer=name,
                    channel=Channel.INDICATOR,
                    symbol=edge.symbol,
                    count=known.count,
                    lost=known.lost,
                    late=known.late,
                    through=known.through,
                )

    def _open(self, source: str, symbol: str) -> Lead | None:
        bars = tuple(
            one.bars
            for one in self._sources.get(source, ())
            if not one.symbols or symbol in one.symbols
        )
        if not bars:
            return None
        if len(self.leads) >= MOST_LEADS:
            self.turned_away += 1
            return None
        lead = Lead(Edge(source, symbol, self.listening_ms), bars)
        mark = self._marks.get((source, symbol))
        if mark is not None:
            lead.edge.resume(mark)
        for one in self._indicators:
            if source in one.listens_to and (not one.symbols or symbol in one.symbols):
                lead.indicators[one.instance] = Values(self.listening_ms)
        self.leads[source, symbol] = lead
        return lead

    def _release(self, lead: Lead) -> list[Run]:
        """Return the ticks for which all values are there."""
        runs: list[Run] = []
        while lead.waiting:
            ready, wanted = lead.ready(), len(lead.waiting[0].ticks)
            if ready < wanted and not ready:
                return runs
            runs.append(self._hand_out(lead, ready))
            if ready < wanted:
                return runs
        self._patient.pop((lead.edge.source, lead.edge.symbol), None)
        return runs

    def _give_up(self, lead: Lead) -> list[Run]:
        lead.late()
        run = self._hand_out(lead, len(lead.waiting[0].ticks))
        return [run, *self._release(lead)]

    def _hand_out(self, lead: Lead, count: int) -> Run:
        self._waiting -= count
        return lead.hand_out(count)
