"""Names of Binance's market streams: `btcusdt@depth5@100ms`."""

import re
from dataclasses import dataclass

INTERVALS = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M",
)  # fmt: skip

_WELL_FORMED = re.compile(r"!?[A-Za-z0-9_]+(@[A-Za-z0-9_+:.]+)*")
_PART = re.compile(r"[a-z0-9]+")
_KLINE = re.compile(rf"kline_({'|'.join(INTERVALS)})(@\+08:00)?")
_PARTIAL = re.compile(r"depth(5|10|20)(@100ms)?")


@dataclass(frozen=True, slots=True)
class KlineName:
    """`offset_ms` is what the day is shifted by."""

    interval: str
    offset_ms: int


@dataclass(frozen=True, slots=True)
class PartialBook:
    levels: int
    fast: bool


def well_formed(name: str) -> bool:
    """Tell whether the exchange would acknowledge it; whether it ever sends anything is another matter."""
    return "@" in name and len(name) <= 100 and _WELL_FORMED.fullmatch(name) is not None


def kline(kind: str) -> KlineName | None:
    """Read what follows the symbol, such as `kline_1d@+08:00`."""
    found = _KLINE.fullmatch(kind)
    return KlineName(found[1], 8 * 3_600_000 if found[2] else 0) if found else None


def partial_book(kind: str) -> PartialBook | None:
    """Read what follows the symbol, such as `depth5@100ms`."""
    found = _PARTIAL.fullmatch(kind)
    return PartialBook(int(found[1]), found[2] is not None) if found else None


def split(name: str) -> tuple[str, str] | None:
    """Symbol in lower case, and what follows the first `@`; None for a name of no single symbol."""
    symbol, mark, kind = name.partition("@")
    return (symbol, kind) if mark and _PART.fullmatch(symbol) else None
