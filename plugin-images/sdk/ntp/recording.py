"""Recorded market data: CSV with the columns timestamp, symbol, price, volume, bid, ask, id."""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ntp.contract.messages import MarketData

_NEEDED = ("timestamp", "symbol", "price")
_OPTIONAL = ("volume", "bid", "ask", "id")


def rows(file: Path) -> Iterator[MarketData]:
    """Yield the ticks of a recording, in the order of its lines.

    `volume`, `bid`, `ask` and `id` may be left out or empty. Times are ISO-8601; one without a zone is UTC.

    Raises:
        ValueError: a line cannot be read; the message begins with `file:line`.
    """
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in _NEEDED if name not in header]
        if missing:
            raise ValueError(
                f"{file.name}:1: no column {', '.join(missing)};"
                f" the first line must name {', '.join((*_NEEDED, *_OPTIONAL))}"
            )
        at = {name: header.index(name) if name in header else -1 for name in (*_NEEDED, *_OPTIONAL)}
        when, symbol, price, volume = at["timestamp"], at["symbol"], at["price"], at["volume"]
        bid, ask, tick_id = at["bid"], at["ask"], at["id"]
        for line in reader:
            if not line:
                continue
            line.append("")  # what a column that is not there (-1) holds
            try:
                yield MarketData(
                    timestamp=moment(line[when]),
                    symbol=line[symbol],
                    price=float(line[price]),
                    volume=float(line[volume] or 0.0),
                    bid=float(line[bid]) if line[bid] else None,
                    ask=float(line[ask]) if line[ask] else None,
                    id=line[tick_id],
                )
            except (ValueError, IndexError) as error:
                raise ValueError(f"{file.name}:{reader.line_num}: {error}") from error


def header() -> bytes:
    """Return the first line of a recording, with its end."""
    return (",".join((*_NEEDED, *_OPTIONAL)) + "\n").encode()


def line(tick: MarketData) -> bytes:
    """Return a tick as a line with its end, which `rows` reads as the same tick; metadata is left out.

    `tick`: as the border gives it, its time in UTC.
    """
    at = tick.timestamp
    unit = "microseconds" if at.microsecond % 1000 else "milliseconds"
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerow(
        (
            at.isoformat(timespec=unit).replace("+00:00", "Z"),
            tick.symbol,
            tick.price,
            tick.volume,
            tick.bid,
            tick.ask,
            tick.id,
        )
    )
    return written.getvalue().encode()


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
