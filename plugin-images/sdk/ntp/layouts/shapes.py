"""What files without a header are, by the shape of their rows: HistData, Binance, Kraken, ccxt."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from ntp.layouts.times import EST

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """A layout without a header: its columns in order, `-` for one that is not read."""

    kind: str
    columns: tuple[str, ...]
    fits: Callable[[Row], bool]
    zone: tzinfo | None = None
    is_bars: bool = False


def shape_of(rows: Sequence[Row]) -> Shape | None:
    """Return the shape that most of these rows have: some may be bad."""
    for shape in SHAPES:
        if 2 * sum(_fits(shape, row) for row in rows) > len(rows):
            return shape
    return None


def _fits(shape: Shape, row: Row) -> bool:
    try:
        return len(row) == len(shape.columns) and shape.fits(row)
    except ValueError:
        return False


def _compact(digits: str) -> Callable[[Row], bool]:
    form = re.compile(rf"\d{{8}} {digits}")
    return lambda row: form.fullmatch(row[0]) is not None and _numbers(row[1:])


def _numbers(cells: Row) -> bool:
    for cell in cells:
        float(cell)
    return True


def _epoch(cell: str) -> bool:
    return cell.isdigit() and len(cell) in (13, 16)


def _flag(cell: str) -> bool:
    return cell.lower() in {"true", "false"}


def _klines(row: Row) -> bool:
    return _epoch(row[0]) and _epoch(row[6]) and _bar(row[1:5]) and _numbers(row[1:])


def _aggregates(row: Row) -> bool:
    return _epoch(row[5]) and all(map(_flag, row[6:])) and row[0].isdigit() and _numbers(row[1:5])


def _trades(row: Row) -> bool:
    return _epoch(row[4]) and all(map(_flag, row[5:])) and row[0].isdigit() and _numbers(row[1:4])


def _bar(cells: Row) -> bool:
    first, high, low, last = map(float, cells)
    return low <= min(first, last) and max(first, last) <= high


def _dated_bar(row: Row) -> bool:
    return row[0][:1].isdigit() and _bar(row[1:5]) and _numbers(row[1:])


def _dated_trade(row: Row) -> bool:
    # A bare number in the first place is a time only where it is as large as one.
    dated = not row[0].replace(".", "", 1).isdigit() or float(row[0]) >= 1e8
    return row[0][:1].isdigit() and dated and _numbers(row[1:])


_OHLC = ("open", "high", "low", "price")

SHAPES = (
    Shape("HistData ticks", ("timestamp", "bid", "ask", "volume"), _compact(r"\d{9}"), EST),
    Shape("HistData bars", ("timestamp", *_OHLC, "volume"), _compact(r"\d{6}"), EST, is_bars=True),
    Shape(
        "Binance klines",
        ("timestamp", *_OHLC, "volume", "close_time", "-", "count", "-", "-", "-"),
        _klines,
        is_bars=True,
    ),
    Shape(
        "Binance aggTrades", ("id", "price", "volume", "-", "-", "timestamp", "-", "-"), _aggregates
    ),
    Shape("Binance aggTrades", ("id", "price", "volume", "-", "-", "timestamp", "-"), _aggregates),
    Shape("Binance trades", ("id", "price", "volume", "-", "timestamp", "-", "-"), _trades),
    Shape("Binance trades", ("id", "price", "volume", "-", "timestamp", "-"), _trades),
    Shape("OHLCV bars", ("timestamp", *_OHLC, "volume"), _dated_bar, is_bars=True),
    Shape("OHLCV bars", ("timestamp", *_OHLC, "volume", "count"), _dated_bar, is_bars=True),
    Shape("trades", ("timestamp", "price", "volume"), _dated_trade),
)
