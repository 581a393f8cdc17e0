"""From the first rows of a file to its layout."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

from ntp.layouts import times
from ntp.layouts.fault import LayoutError, problem
from ntp.layouts.head import Head
from ntp.layouts.layout import Column, Layout, some
from ntp.layouts.names import CLOSES, as_told, by_name, plain
from ntp.layouts.shapes import Shape, shape_of
from ntp.layouts.symbols import symbol_of
from ntp.runner.core import border

_LENGTH = re.compile(r"[1-9][0-9]{0,4}[smhd]")
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?|\d{4}|\d{6}(\d{3})?")
_OHLC = ("open", "high", "low")
_KINDS = (
    ("windowstart", "Polygon aggregates"),
    ("siptimestamp", "Polygon ticks"),
    ("aggtradeid", "Binance aggTrades"),
    ("takerbuyquotevolume", "Binance klines"),
    ("adjclose", "Yahoo bars"),
)
"""What a layout is called by a column that no other has."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of the files.

    Attributes:
        symbol: of files without such a column; None: of the file's name.
        zone: of times that name none.
        mapping: role to the column's name or number from 1; `timestamp` also `NAME:FORM`, its form being
            s, ms, us, ns or a pattern of strptime; `bars` also a length such as 5m; `stamp` is `start` or
            `end`: what a bar's time is of.
    """

    symbol: str | None = None
    zone: tzinfo | None = None
    mapping: Mapping[str, str] | None = None


def layout_of(path: Path, head: Head, wishes: Wishes) -> Layout:
    """Return how a file is to be read, but for what its rows together say (`ntp.layouts.sample`).

    Raises:
        LayoutError: columns are ambiguous, or missing.
    """
    width = len(head.header) if head.header else _usual(len(row) for _, row in head.rows)
    seen = head.header or tuple(f"column {at + 1}" for at in range(width))
    told, form = _told(wishes.mapping or {})
    shape = None
    if head.header is None:
        shape = _shape(head, told)
        found, doubts = _of_shape(shape), list[str]()
    else:
        found, doubts = by_name(seen)
    given, wrong = as_told(seen, told)
    if wrong:
        raise _unmapped(path, seen, head, wrong)
    found.update(given)
    open_doubts = [doubt for doubt in doubts if doubt.split(" ", 1)[0] not in given]
    rows = [cells for _, cells in head.rows if len(cells) == width]
    _join_clock(found, rows, given)
    problems = open_doubts + _missing(found)
    if problems:
        raise _unmapped(path, seen, head, problems)
    layout = Layout(
        file=path.name,
        kind=_kind(head, shape, found),
        columns={role: Column(at, seen[at]) for role, at in found.items()},
        seen=seen,
        delimiter=head.delimiter,
        skipped=head.skipped,
        time=_time(
            path=path,
            found=found,
            rows=rows,
            head=head,
            form=form,
            zone=wishes.zone or (shape.zone if shape else None),
        ),
        is_bars=_are_bars(shape, seen, found),
    )
    if "symbol" in found:
        return layout
    symbol, origin = symbol_of(path, layout.kind, head.symbol)
    if wishes.symbol is not None:
        symbol, origin = wishes.symbol, "--symbol"
    try:
        return replace(layout, symbol=border.symbol(symbol), symbol_from=origin)
    except border.RefusedError as error:
        raise problem(f"{path.name!a}, {origin}", str(error), "--symbol NAME") from None


def _usual(widths: Iterable[int]) -> int:
    (width, _), *_ = Counter(widths).most_common(1) or [(0, 0)]
    return width


def stamp(wishes: Wishes) -> str | None:
    """Return what the user says that a bar's time is of: start, end, or nothing."""
    return (wishes.mapping or {}).get("stamp")


def length(wishes: Wishes) -> str | None:
    """Return how long the user says that bars are."""
    given = (wishes.mapping or {}).get("bars", "")
    return given if _LENGTH.fullmatch(given) else None


def _told(mapping: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Return the columns that the user names, and the form of the times."""
    told, form = dict(mapping), None
    end = told.pop("stamp", "end")
    if end not in {"start", "end"}:
        raise problem("--map", f"stamp was {end!r}", "--map stamp=start or --map stamp=end")
    if _LENGTH.fullmatch(told.get("bars", "")):
        del told["bars"]
    name, colon, how = told.get("timestamp", "").partition(":")
    if colon and (how in {"s", "ms", "us", "ns"} or "%" in how):
        told["timestamp"], form = name, how
    return told, form


def _shape(head: Head, told: Mapping[str, str]) -> Shape | None:
    rows = [cells for _, cells in head.rows]
    found = shape_of(rows)
    return None if {"timestamp", "price"} <= set(told) else found


def _of_shape(shape: Shape | None) -> dict[str, int]:
    if shape is None:
        return {}
    return {role: at for at, role in enumerate(shape.columns) if role != "-"}


def _join_clock(
    found: dict[str, int], rows: Sequence[Sequence[str]], given: Mapping[str, int]
) -> None:
    """Leave a column with the time of day beside its date, if that is what the two are."""
    if "clock" not in found or "clock" in given:
        return
    clock = found.pop("clock")
    if "timestamp" in given:
        return
    if all(_CLOCK.fullmatch(row[clock]) for row in rows):
        found["clock"] = clock
    else:
        found["timestamp"] = clock


def _are_bars(shape: Shape | None, seen: Sequence[str], found: Mapping[str, int]) -> bool:
    """Tell bars from trades. A close alone is of a bar, too: it is known at the bar's end."""
    if shape is not None:
        return shape.is_bars
    if all(role in found for role in _OHLC):
        return True
    return "price" in found and plain(seen[found["price"]]) in CLOSES


def _missing(found: Mapping[str, int]) -> list[str]:
    missing = []
    if "timestamp" not in found:
        missing.append("no column is known to be the timestamp")
    if "price" not in found and not {"bid", "ask"} <= set(found):
        missing.append("no column is known to be the price, or bid and ask")
    return missing


def _time(
    *,
    path: Path,
    found: Mapping[str, int],
    rows: Sequence[Sequence[str]],
    head: Head,
    form: str | None,
    zone: tzinfo | None,
) -> times.TimeForm:
    at = found.get("close_time", found["timestamp"])
    cells = [
        f"{row[at]} {row[found['clock']]}" if "clock" in found else row[at]
        for row in rows
        if row[at].strip()
    ]
    try:
        return times.form(cells, zone, form)
    except ValueError as error:
        name = head.header[at] if head.header else str(at + 1)
        line = head.rows[0][0] if head.rows else 1
        raise problem(
            f"{path.name}:{line}",
            f"timestamp: {error}",
            f"say how {name!r} is written: --map 'timestamp={name}:FORM', FORM being s, ms, us, ns"
            " or a pattern such as %d/%m/%Y",
        ) from None


def _unmapped(path: Path, seen: Sequence[str], head: Head, problems: Sequence[str]) -> LayoutError:
    names = some(seen) if head.header else _first(head)
    prices = [name for name in seen if "close" in plain(name)] or [seen[-1] if head.header else "2"]
    where = f"{path.name}:{head.skipped or 1}"
    found = f"{'; '.join(problems)}. Its columns: {names}"
    role = problems[0].split(" ", 1)[0]
    first = seen[0] if head.header else "1"
    example = f"timestamp={first}" if "timestamp" in problems[0] else f"price={prices[0]}"
    if role in {"volume", "bid", "ask", "symbol", "id", "open", "high", "low", "count"}:
        example = f"{role}={re.findall(chr(39) + '(.*?)' + chr(39), problems[0])[0]}"
    return problem(
        where,
        found,
        f"say which is which, such as --map '{example}' (a column's name, or its number from 1)",
    )


def _first(head: Head) -> str:
    cells = head.rows[0][1] if head.rows else []
    return (
        f"{some([f'{at} ({cell[:24]!r})' for at, cell in enumerate(cells, 1)])}; there is no header"
    )


def _kind(head: Head, shape: Shape | None, found: Mapping[str, int]) -> str:
    if shape is not None:
        return shape.kind
    names = [plain(name) for name in head.header or ()]
    if names[:3] == ["timestamp", "symbol", "price"]:
        return "ntp recording"
    for name, kind in _KINDS:
        if name in names:
            return kind
    if all(role in found for role in _OHLC):
        return "OHLCV bars"
    return "trades" if "price" in found else "quotes"
