"""What the ledger of an executor offers, so that a session can be replayed and compared with it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ntp.engine.trail import Place


class Piece(NamedTuple):
    """Attributes:
    rules: what decided besides ticks and signals: `trading`, `costs`, `sample_s`, `halted`, `flatten`.
    known: whether a replay can begin with it.
    steps: see `ntp.engine.trail`.
    """

    number: int
    rules: Mapping[str, Any]
    known: bool
    steps: bytes


class Signalled(NamedTuple):
    """A signal that was taken, and the event time of the tick that caused it."""

    id: str
    symbol: str
    time: datetime


class Held(NamedTuple):
    """`positions`: base units by symbol, as decimal text; `fills`: the ids that were told last."""

    positions: Mapping[str, str]
    fills: Sequence[str]


class Difference(NamedTuple):
    """A row that is not the same; None: it is not there. `live` and `replayed`: by column."""

    table: str
    row: str
    live: Mapping[str, Any] | None
    replayed: Mapping[str, Any] | None


class Comparison(NamedTuple):
    """Attributes:
    rows: of the live ledger, by table; all of them, and those that were made anew.
    differences: the first of them.
    differing: how many rows differ, by table; a table where none does is left out.
    """

    rows: Mapping[str, tuple[int, int]]
    differences: Sequence[Difference]
    differing: Mapping[str, int]


class Record(Protocol):
    """What an executor's ledger offers for a replay: `record(file)` of its class returns one."""

    def pieces(self) -> Sequence[Piece]:
        """Return what is kept of the order, oldest first."""

    def rewind(self, number: int, to: Path) -> Held:
        """Write a ledger as this one was when a piece began; return what was held then."""

    def noticed(self) -> Mapping[str, Place | None]:
        """Return by fill which tick of its symbol the strategy had analysed when it learned of it.

        None: it has not said so yet. Of who does not look at its fills nothing is known.
        """

    def signals(self, number: int) -> Sequence[Signalled]:
        """Return the signals that were taken from the beginning of a piece on, in order."""

    def compare(self, number: int, other: Path, most: int) -> Comparison:
        """Compare with a ledger that was rewound to a piece and went on; at most so many differences."""
