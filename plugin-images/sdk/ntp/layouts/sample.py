"""What only the rows together say: the length of bars, whether they are in order of time."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from itertools import pairwise
from math import gcd

from ntp.contract.messages import MarketData
from ntp.layouts.bad import BadRow
from ntp.layouts.exact import Exact
from ntp.layouts.fault import problem
from ntp.layouts.head import Head
from ntp.layouts.layout import INSTANT, Layout

_DAY = timedelta(days=1)
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def looked_at(
    layout: Layout, head: Head, length: str | None, stamp: str | None
) -> tuple[Layout, list[MarketData]]:
    """Return the layout with what its first rows show, and these rows.

    `length` of bars and `stamp`, what a bar's time is of (`start` or `end`), are the user's words.

    Raises:
        LayoutError: not one of the rows can be read.
    """
    bad: list[BadRow] = []
    exact = Exact(layout, bad.append)
    read = (exact.line(number, line) for number, line in head.lines)
    rows = [tick for tick in read if tick is not None]
    if bad and not rows:
        first = bad[0]
        raise problem(
            f"{first.file}:{first.line}:{first.column}",
            f"{first.why}; none of the first {len(bad):,} rows can be read as {layout.kind}",
            "say what its columns are, such as --map price=Close, or mend the file",
        )
    return of_rows(layout, rows, length, stamp), rows


def of_rows(
    layout: Layout, rows: Sequence[MarketData], length: str | None, stamp: str | None
) -> Layout:
    """Return the layout with what these first rows show."""
    layout = replace(layout, sorts=_disorder(rows))
    if not layout.is_bars or "bars" in layout.columns:
        return layout
    span = _span(length) if length else _length(layout, rows)
    if span is None:
        return layout
    layout = replace(layout, bars=period(span))
    ours = layout.kind == "ntp recording"
    dated_by_end = stamp == "end" or (stamp is None and ("close_time" in layout.columns or ours))
    return layout if dated_by_end else replace(layout, moved=span - INSTANT)


def period(span: timedelta) -> str:
    """Return a length as 5m, 1h, 1d."""
    seconds = int(span.total_seconds())
    for scale, unit in _UNITS:
        if seconds % scale == 0:
            return f"{seconds // scale}{unit}"
    raise AssertionError(span)


def _span(text: str) -> timedelta:
    return int(text[:-1]) * timedelta(seconds={unit: scale for scale, unit in _UNITS}[text[-1]])


def _length(layout: Layout, rows: Iterable[MarketData]) -> timedelta | None:
    """Return the time from bar to bar, if most agree; else the longest that all are a multiple of."""
    last: dict[str, MarketData] = {}
    spans: list[int] = []
    for row in rows:
        before = last.get(row.symbol)
        if before is not None and before.timestamp != row.timestamp:
            spans.append(int(abs(row.timestamp - before.timestamp).total_seconds()))
        last[row.symbol] = row
    spans = [span for span in spans if span]
    if not spans:
        return _DAY if layout.time.date_only else None
    (usual, count), *_ = Counter(spans).most_common(1)
    if 2 * count < len(spans):
        usual = min(spans) if min(spans) > 2 * 86_400 else reduce(gcd, spans)
    if layout.time.date_only and usual < 7 * 86_400:
        usual = 86_400
    return timedelta(seconds=usual)


def _disorder(rows: Sequence[MarketData]) -> str:
    """Tell why rows have to be sorted before they are read; a row here and there is put right later."""
    pairs = [pair for pair in pairwise(rows) if pair[0].timestamp != pair[1].timestamp]
    back = [(before, row) for before, row in pairs if row.timestamp < before.timestamp]
    if not back:
        return ""
    if rows[-1].timestamp < rows[0].timestamp and 2 * len(back) > len(pairs):
        return "the newest row is first"
    changes = sum(before.symbol != row.symbol for before, row in pairwise(rows))
    grouped = changes < len({row.symbol for row in rows})
    if grouped and all(before.symbol != row.symbol for before, row in back):
        return "rows are grouped by symbol"
    return ""
