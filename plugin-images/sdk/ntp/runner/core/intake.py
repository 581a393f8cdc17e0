"""All inputs of one plugin, brought to the point where a tick may be looked at.

A tick waits for the values of the indicators that value its source, at most `patience_s`; the values
then lie in its metadata. Ticks of one symbol of one source never overtake each other, and what comes
after a gap waits for what is missing, at most `GAP_PATIENCE_S`.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ntp.contract.beat import Flow
from ntp.contract.launch import Listen
from ntp.contract.messages import DataBatch, IndicatorBatch, MarketData
from ntp.contract.names import Kind
from ntp.contract.reading import reader
from ntp.runner.core import traffic
from ntp.runner.core.edge import Edge, Piece
from ntp.runner.core.kept import Mark
from ntp.runner.core.lead import MOST_WAITING, Lead, Run, Values

INDICATOR_PATIENCE_S = 1.0
"""Seconds that a tick waits for its indicator values."""

GAP_PATIENCE_S = 5.0
"""Seconds that what comes after a gap waits for what is missing: it is sent again, or read again."""
MOST_PATIENCE_S = 60.0
"""The same where it could not be read again: the broker is away."""

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
        failed: which ticks were lost where none may be, in words.
        newest: the last tick that came, as yet unseen by the plugin perhaps.
    """

    def __init__(
        self,
        inputs: Sequence[Listen],
        patience_s: float = INDICATOR_PATIENCE_S,
    ) -> None:
        self.listening_ms = _NOT_YET
        self.turned_away = 0
        self.failed = ""
        self._patience_s = patience_s
        self._sources: dict[str, list[Listen]] = {}
        for one in inputs:
            if one.kind is Kind.DATA_SOURCE:
                self._sources.setdefault(one.instance, []).append(one)
        self._indicators = [one for one in inputs if one.kind is Kind.INDICATOR]
        self.leads: dict[tuple[str, str], Lead] = {}
        self._patient: dict[tuple[str, str], Lead] = {}
        self.gaps: dict[tuple[str, str], float] = {}
        """Where ticks are missing, and since when (monotonic)."""
        self._read_again: set[str] = set()
        """Of whom everything was read again since something was missing."""
        self._value_gaps: dict[tuple[str, str, str], Values] = {}
        """By indicator, source and symbol."""
        self._waiting = 0
        self.newest: MarketData | None = None
        self._marks: dict[tuple[str, str], Mark] = {}

    def resume(self, marks: Iterable[Mark]) -> None:
        """Go on where an earlier life was: what was shown before this is known."""
        self._marks = {(mark.source, mark.symbol): mark for mark in marks}
        for key, lead in self.leads.items():
            if key in self._marks:
                lead.edge.resume(self._marks[key])

    def marks(self) -> list[Mark]:
        """Return how far everything was analysed."""
        marks = dict(self._marks)
        for key, lead in self.leads.items():
            if lead.last is not None:
                time = lead.last.timestamp
                ids = sorted(set(lead.ids))
                marks[key] = Mark(*key, lead.incarnation, lead.analysed, time, ids, lead.again)
        return list(marks.values())

    @property
    def ended(self) -> bool:
        """All sources are through, and everything that they sent was shown."""
        if not self._sources or self._patient or self.gaps:
            return False
        heard = {source for source, _ in self.leads}
        return heard >= self._sources.keys() and all(
            lead.edge.ended and lead.ended for lead in self.leads.values()
        )

    def data(self, batch: DataBatch, now: float) -> list[Run]:
        """Take ticks; return what is ready. `now`: monotonic seconds."""
        key = (batch.source, batch.symbol)
        lead = self.leads.get(key) or self._open(*key)
        if lead is None:
            return []
        return self._taken(key, lead, lead.edge.accept(batch), now)

    def fill(self, batch: DataBatch, now: float) -> list[Run]:
        """Take ticks that were read again, where they were missing."""
        key = (batch.source, batch.symbol)
        lead = self.leads.get(key)
        return [] if lead is None else self._taken(key, lead, lead.edge.fill(batch), now)

    def _taken(
        self, key: tuple[str, str], lead: Lead, pieces: Iterable[Piece], now: float
    ) -> list[Run]:
        runs = [run for piece in pieces for run in self._new(key, lead, piece, now)]
        if lead.edge.lost and lead.policy == "all-or-fail":
            self.failed = f"{lead.edge.lost} ticks of {key[1]} from {key[0]}"
        if not lead.edge.ahead:
            self.gaps.pop(key, None)
        elif key not in self.gaps:
            self.gaps[key] = now
            self._read_again.discard(key[0])
        return runs

    def _new(self, key: tuple[str, str], lead: Lead, piece: Piece, now: float) -> list[Run]:
        batch, seq, ticks, end = piece
        incarnation = batch.incarnation
        if not ticks and not end:
            if (
                batch.ticks and not lead.waiting and not lead.runs
            ):  # all known from an earlier life of the source
                lead.analysed = batch.seq + len(batch.ticks) - 1
                lead.incarnation = incarnation
                lead.again = True
            return []
        if ticks:
            self.newest = ticks[-1]
        if not lead.indicators:
            return [Run(lead, incarnation, seq, ticks, end)]
        lead.wait(incarnation, seq, ticks, now, end=end)
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
        self._note_gap(batch, known)
        return self._release(lead)

    def fill_values(self, batch: IndicatorBatch) -> list[Run]:
        """Take values that were read again, where they were missing."""
        known = self._value_gaps.get((batch.indicator, batch.source, batch.symbol))
        if known is None:
            return []
        known.fill(batch)
        self._note_gap(batch, known)
        return self._release(self.leads[batch.source, batch.symbol])

    def _note_gap(self, batch: IndicatorBatch, known: Values) -> None:
        key = (batch.indicator, batch.source, batch.symbol)
        if known.ahead:
            self._value_gaps[key] = known
        else:
            self._value_gaps.pop(key, None)

    @property
    def incomplete(self) -> bool:
        """Whether something may be missing."""
        return bool(self.gaps) or any(known.ahead for known in self._value_gaps.values())

    @property
    def waits(self) -> bool:
        """Whether something waits for what may never come."""
        return bool(self._patient) or self.incomplete

    def was_read(self, producer: str) -> None:
        """Note that what is missing of somebody was looked for where it is captured."""
        self._read_again.add(producer)

    def missing(self) -> set[str]:
        """Return of whom something is missing."""
        values = {key[0] for key, known in self._value_gaps.items() if known.ahead}
        return values | {source for source, _ in self.gaps}

    def expire(self, now: float) -> list[Run]:
        """Return the ticks that have waited long enough, with the values that are there."""
        runs: list[Run] = []
        for key, since in list(self.gaps.items()):
            known = key[0] in self._read_again
            if now - since >= (GAP_PATIENCE_S if known else MOST_PATIENCE_S):
                runs += self._skip(key, now)
        for lead in list(self._patient.values()):
            while lead.waiting and now - lead.waiting[0].since >= self._patience_s:
                runs += self._give_up(lead)
        return runs

    def _skip(self, key: tuple[str, str], now: float) -> list[Run]:
        """Go on after the first gap; one behind it has its own time."""
        del self.gaps[key]
        lead = self.leads[key]
        return self._taken(key, lead, lead.edge.skip(), now)

    def flush(self) -> list[Run]:
        """Return everything that still waits: we are going."""
        runs: list[Run] = []
        while self.gaps:
            runs += self._skip(next(iter(self.gaps)), 0.0)
        for lead in list(self._patient.values()):
            while lead.waiting:
                runs += self._give_up(lead)
        return runs

    def count_from_here(self) -> None:
        """Forget how much came, was lost or late: it was no traffic of this life."""
        self.failed = ""
        traffic.forget(self.leads.values())

    def flows(self) -> Iterator[Flow]:
        """Yield the counts of each edge."""
        return traffic.flows(self.leads.values())

    def _open(self, source: str, symbol: str) -> Lead | None:
        said = self._sources.get(source, ())
        of = [one for one in said if not one.symbols or symbol in one.symbols]
        if not of:
            return None
        if len(self.leads) >= MOST_LEADS:
            self.turned_away += 1
            return None
        edge = Edge(source, symbol, self.listening_ms)
        lead = Lead(edge, tuple(one.bars for one in of), of[0].policy)
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
        gone = [known for known in lead.indicators.values() if known.ahead]
        for known in gone:
            known.skip()
        if gone and (runs := self._release(lead)):
            return runs
        lead.late()
        run = self._hand_out(lead, len(lead.waiting[0].ticks))
        return [run, *self._release(lead)]

    def _hand_out(self, lead: Lead, count: int) -> Run:
        self._waiting -= count
        return lead.hand_out(count)
