"""A run in a terminal: its figures in plain text, a curve in one line, and what moved since the last one."""

import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from itertools import zip_longest
from textwrap import wrap

from ntp.page import figures as shown
from ntp.report_document import Moved
from ntp.statistics.assessment import Assessment, Figure, Unit
from ntp.statistics.line import Line

_BLOCKS = "▁▂▃▄▅▆▇█"
_LEFT = ("net_profit", "total_return", "buy_and_hold", "gross_profit", "fees", "slippage", "equity", "cagr",
         "volatility", "sharpe", "sortino", "calmar")  # fmt: skip
_RIGHT = ("max_drawdown", "max_drawdown_length", "trades", "win_rate", "profit_factor", "expectancy", "average_win",
          "average_loss", "sqn", "average_length", "turnover", "exposure")  # fmt: skip
_GAP = 4


def text(found: Assessment, *, width: int = 100, color: bool = False) -> str:
    """Return a strategy's figures in two columns, its equity in a line, and what to know of them.

    Args:
        found: the assessment.
        width: columns of the terminal; below 76 it is one column.
        color: with ANSI colours.
    """
    lines = []
    if found.line.values:
        first, last = found.line.values[0], found.line.values[-1]
        spark = sparkline(found.line, max(width - 32, 10))
        lines += [f"equity  {shown.price(first, 2)} {spark} {shown.price(last, 2)}", ""]
    left = [_row(found.figure(key), color=color) for key in _LEFT]
    right = [_row(found.figure(key), color=color) for key in _RIGHT]
    if width < 76:
        lines += _column(left + right)
    else:
        pairs = zip_longest(_column(left), _column(right), fillvalue="")
        wide = max(map(_wide, _column(left)), default=0)
        lines += [_pad(one, wide + _GAP) + two for one, two in pairs]
    notes = [found.period.words]
    missing = [found.figure(key) for key in _LEFT + _RIGHT if found.figure(key).value is None]
    for why in dict.fromkeys(figure.why for figure in missing):
        names = ", ".join(figure.name for figure in missing if figure.why == why)
        notes.append(f"no value for {names}: {why}")
    notes += found.cautions
    lines += ["", *(line for note in notes for line in wrap(f"· {note}", width, subsequent_indent="  "))]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines)


def moved(rows: Sequence[Moved], *, color: bool = False) -> str:
    """Return what moved between two documents as a table; one line where nothing did."""
    if not rows:
        return "no figure moved"
    told = [
        [
            row.name,
            shown.told(row.old, row.unit),
            shown.told(row.new, row.unit),
            _change(row, color=color),
        ]
        for row in rows
    ]
    named = len({row.strategy for row in rows if row.strategy}) > 1
    head = ["figure", "before", "now", "change"]
    if named:
        told = [[row.strategy, *cells] for row, cells in zip(rows, told, strict=True)]
        head = ["strategy", *head]
    table = [head, *told]
    wide = [max(_wide(cells[at]) for cells in table) for at in range(len(head))]
    texts = 2 if named else 1
    return "\n".join(
        "  ".join(
            _pad(cell, wide[at]) if at < texts else _pad(cell, wide[at], right=True)
            for at, cell in enumerate(cells)
        ).rstrip()
        for cells in table
    )


def sparkline(line: Line, width: int) -> str:
    """Return the line in block characters, each the last value of its share of the time."""
    if not line.values:
        return ""
    start, span = line.times[0], line.times[-1] - line.times[0]
    ends: list[float | None] = [None] * width
    for at, value in zip(line.times, line.values, strict=True):
        ends[min(int((at - start) / span * width), width - 1) if span else 0] = value
    low, high = min(line.values), max(line.values)
    made, last = [], line.values[0]
    for end in ends:
        last = last if end is None else end
        made.append(_BLOCKS[int((last - low) / (high - low) * 7.999)] if high > low else _BLOCKS[3])
    return "".join(made)


def value(figure: Figure) -> str:
    """Return a figure's value as people read it; a dash where it has none."""
    return shown.told(figure.value, figure.unit)


def _row(figure: Figure, *, color: bool) -> tuple[str, str]:
    told = value(figure)
    gains = figure.key in ("net_profit", "total_return", "gross_profit")
    return figure.name, _colored(told, good=_sign(figure.value)) if color and gains else told


def _sign(value: object) -> bool | None:
    return value > 0 if isinstance(value, Decimal | float) and value else None


def _change(row: Moved, *, color: bool) -> str:
    if row.difference is None:
        told = "" if row.unit != "check" else str(row.new)
    elif row.unit == Unit.SECONDS:
        told = ("+" if row.difference > 0 else shown.MINUS) + shown.length(abs(row.difference))
    else:
        told = shown.told(row.difference, row.unit)
        if row.unit == Unit.SHARE:
            told = told.replace("%", "pp")  # percentage points
        told = told if row.difference < 0 else f"+{told}"
    word = "" if row.better is None else "  better" if row.better else "  worse"
    return _colored(told + word, good=row.better) if color else told + word


def _colored(told: str, *, good: bool | None) -> str:
    return told if good is None else f"\x1b[{32 if good else 31}m{told}\x1b[0m"


def _column(rows: Sequence[tuple[str, str]]) -> list[str]:
    names = max((len(name) for name, _ in rows), default=0)
    values = max((_wide(told) for _, told in rows), default=0)
    return [f"{name:<{names}}  {_pad(told, values, right=True)}" for name, told in rows]


def _pad(told: str, width: int, *, right: bool = False) -> str:
    room = " " * max(width - _wide(told), 0)
    return room + told if right else told + room


def _wide(told: str) -> int:
    """Return the columns that a text takes up, colours aside."""
    plain = told.replace("\x1b[0m", "").replace("\x1b[32m", "").replace("\x1b[31m", "")
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in plain)
