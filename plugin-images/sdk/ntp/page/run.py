"""What a run was, as far as its page shows it."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from ntp.contract.messages import Fill, MarketData, SignalMessage
from ntp.statistics.assessment import Assessment
from ntp.statistics.envelope import Envelope

MOST = 100_000
"""Points of a track."""


class Track:
    """Prices of one symbol of one source, in the order in which they came.

    Beyond `most` points, first, lowest, highest and last of equal stretches of time are kept.

    Args:
        source: the instance that sent them.
        symbol: as it is written there.
        note: a word that stands wherever these prices are shown, such as `synthetic`.
        most: points that are kept.
    """

    __slots__ = ("_at", "_line", "_ticks", "note", "source", "symbol")

    def __init__(self, source: str, symbol: str, *, note: str = "", most: int = MOST) -> None:
        self.source = source
        self.symbol = symbol
        self.note = note
        self._at: datetime | None = None
        self._line = Envelope(most)
        self._ticks = 0

    @classmethod
    def thinned(
        cls, source: str, symbol: str, line: "tuple[Sequence[float], Sequence[float]]", ticks: int
    ) -> "Track":
        """Return the track of so many ticks, of which these times (Unix seconds) and prices were kept."""
        track = cls(source, symbol)
        for at, price in zip(*line, strict=True):
            track.add(MarketData(datetime.fromtimestamp(at, UTC), symbol, price, 0.0))
        track._ticks = ticks
        return track

    def add(self, tick: MarketData) -> None:
        """Take a tick; one that is older than the last is drawn at the last one's time."""
        at = tick.timestamp
        if self._at is not None and at < self._at:
            at = self._at
        self._at = at
        self._line.add(at, tick.price)
        self._ticks += 1

    def points(self) -> "tuple[array[float], array[float]]":
        """Return event times, Unix seconds, none before the one ahead of it; and prices, quote currency."""
        return self._line.points()

    def __len__(self) -> int:
        """How many ticks came."""
        return self._ticks


@dataclass(frozen=True, slots=True)
class Table:
    """A further table. Cells of columns whose heading begins with `#` are numbers, set to the right.

    `heat`: a row a row, of what each cell is coloured by, gain or loss; None: it has no colour.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: str = ""
    """A sentence above it."""
    heat: Sequence[Sequence[float | None]] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """`capital`: what each strategy began with, quote currency; one that is not in it traded nothing.

    `assessments`: what each strategy's run came to, by name. One that has capital and is not in it is assessed
    by the tracks and its fills, which is the same where each track has kept every tick.
    """

    title: str
    tracks: Sequence[Track]
    signals: Sequence[SignalMessage]
    fills: Sequence[Fill]
    capital: Mapping[str, Decimal]
    words: Sequence[str] = ()
    """Sentences under the title, such as where the prices are from."""
    tables: Sequence[Table] = field(default_factory=tuple)
    assessments: Mapping[str, Assessment] = field(default_factory=dict)

    @property
    def strategies(self) -> Sequence[str]:
        """All that are named anywhere, in order of name: the order of colours."""
        named = {message.strategy for message in self.signals}
        return sorted(named | {fill.strategy for fill in self.fills} | set(self.capital))

    @property
    def notes(self) -> Mapping[str, str]:
        """The note of each symbol that has one."""
        return {track.symbol: track.note for track in self.tracks if track.note}
