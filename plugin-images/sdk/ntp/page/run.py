"""What a run was, as far as its page shows it."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ntp.contract.messages import Fill, MarketData, SignalMessage


class Track:
    """Prices of one symbol of one source, in the order in which they came.

    Args:
        source: the instance that sent them.
        symbol: as it is written there.
        note: a word that stands wherever these prices are shown, such as `synthetic`.

    Attributes:
        times: event times, Unix seconds, none before the one ahead of it.
        prices: quote currency.
    """

    __slots__ = ("note", "prices", "source", "symbol", "times")

    def __init__(self, source: str, symbol: str, *, note: str = "") -> None:
        self.source = source
        self.symbol = symbol
        self.note = note
        self.times = array("d")
        self.prices = array("d")

    def add(self, tick: MarketData) -> None:
        """Take a tick; one that is older than the last is drawn at the last one's time."""
        at = tick.timestamp.timestamp()
        self.times.append(max(at, self.times[-1]) if self.times else at)
        self.prices.append(tick.price)

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True)
class Table:
    """A further table. Cells of columns whose heading begins with `#` are numbers, set to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: str = ""
    """A sentence above it."""


@dataclass(frozen=True, slots=True)
class Run:
    """`capital`: what each strategy began with, quote currency; one that is not in it traded nothing."""

    title: str
    tracks: Sequence[Track]
    signals: Sequence[SignalMessage]
    fills: Sequence[Fill]
    capital: Mapping[str, Decimal]
    words: Sequence[str] = ()
    """Sentences under the title, such as where the prices are from."""
    tables: Sequence[Table] = field(default_factory=tuple)

    @property
    def strategies(self) -> Sequence[str]:
        """All that are named anywhere, in order of name: the order of colours."""
        named = {message.strategy for message in self.signals}
        return sorted(named | {fill.strategy for fill in self.fills} | set(self.capital))

    @property
    def notes(self) -> Mapping[str, str]:
        """The note of each symbol that has one."""
        return {track.symbol: track.note for track in self.tracks if track.note}
