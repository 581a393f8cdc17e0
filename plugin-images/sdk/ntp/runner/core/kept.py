"""What a plugin needs of its last life. A plain value."""

from datetime import datetime
from typing import Any

import msgspec


class Mark(msgspec.Struct, frozen=True):
    """How far one symbol of one source had been analysed.

    Attributes:
        ids: of the ticks that share `time`, the newest event time.
        again: what follows in this life of the source is what a life before it had sent, up to `time`.
    """

    source: str
    symbol: str
    incarnation: str
    through: int
    time: datetime
    ids: list[str]
    again: bool = False


class Kept(msgspec.Struct, frozen=True):
    """Attributes:
    objects: snapshot() by what the object sees: a symbol, or `source/symbol` of an indicator.
    positions: base units by symbol, as decimal text; `fills`: the ids that they consist of, as far
        as they may come again.
    position: id of the last tick that a source sent.
    since: since when each producer is heard, milliseconds since 1970: what it said before is history.
    at_ms: up to when everything that had come was analysed, milliseconds since 1970; 0: never.
    lanes: of an executor, how far the ticks of each strategy's book had come.
    """

    objects: dict[str, dict[str, Any]] = {}
    marks: list[Mark] = []
    positions: dict[str, str] = {}
    fills: list[str] = []
    position: str = ""
    since: dict[str, int] = {}
    at_ms: int = 0
    lanes: dict[str, list[Mark]] = {}
