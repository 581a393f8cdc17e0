"""What a plugin needs of its last life, where its entry declares `storage`. A plain value."""

from datetime import datetime
from typing import Any

import msgspec


class Mark(msgspec.Struct, frozen=True):
    """How far one symbol of one source had been analysed.

    Attributes:
        ids: of the ticks that share `time`, the newest event time.
    """

    source: str
    symbol: str
    incarnation: str
    through: int
    time: datetime
    ids: list[str]


class Kept(msgspec.Struct, frozen=True):
    """Attributes:
    objects: snapshot() by what the object sees: a symbol, or `source/symbol` of an indicator.
    positions: base units by symbol, as decimal text; `fills`: the ids that they consist of, as far
        as they may come again.
    position: id of the last tick that a source sent.
    """

    objects: dict[str, dict[str, Any]] = {}
    marks: list[Mark] = []
    positions: dict[str, str] = {}
    fills: list[str] = []
    position: str = ""
