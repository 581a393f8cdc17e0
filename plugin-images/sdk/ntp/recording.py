"""Recorded market data as ntp writes it: CSV with the columns timestamp, symbol, price, volume, bid, ask, id.

A recording of bars has five more: open, high, low, count, bars. `ntp.layouts` reads it, and other layouts.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ntp.contract.messages import MarketData

COLUMNS = ("timestamp", "symbol", "price", "volume", "bid", "ask", "id")
OF_BARS = ("open", "high", "low", "count", "bars")
"""What a bar has in its metadata (`ntp.bars`)."""

SAMPLE = "sample_data.csv"
"""What lies in a plugin's folder to try it on."""


def header(*, bars: bool = False) -> bytes:
    """Return the first line of a recording, with its end."""
    return (",".join(COLUMNS + OF_BARS if bars else COLUMNS) + "\n").encode()


def line(tick: MarketData) -> bytes:
    """Return a tick as a line with its end."""
    return lines([tick])


def lines(ticks: Iterable[MarketData], *, bars: bool = False) -> bytes:
    """Return ticks as lines with their ends, which `ntp.layouts` reads as the same ticks.

    `ticks`: as the border gives them, their times in UTC. Metadata is left out, but for that of `bars`.
    """
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(
        [
            (
                stamp(tick.timestamp),
                tick.symbol,
                tick.price,
                tick.volume,
                tick.bid,
                tick.ask,
                tick.id,
                *(map(tick.metadata.get, OF_BARS) if bars else ()),
            )
            for tick in ticks
        ]
    )
    return written.getvalue().encode()


def stamp(at: datetime) -> str:
    """Return a time in UTC as a recording has it: to the millisecond, or where that is not all, finer."""
    unit = "microseconds" if at.microsecond % 1000 else "milliseconds"
    return at.isoformat(timespec=unit).replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """Read a time of a recording: ISO-8601, in UTC where it names no zone."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def read(row: Mapping[str, Any]) -> MarketData:
    """Read a row that is a mapping with the field names of a tick."""
    at = row["timestamp"]
    return MarketData(
        timestamp=moment(at) if isinstance(at, str) else at,
        symbol=row["symbol"],
        price=float(row["price"]),
        volume=float(row.get("volume") or 0.0),
        bid=_number(row.get("bid")),
        ask=_number(row.get("ask")),
        metadata=dict(row.get("metadata") or {}),
        id=str(row.get("id") or ""),
    )


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)
