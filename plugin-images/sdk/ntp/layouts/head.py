"""The first lines of a file: what separates the cells, and whether there is a header."""

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ntp.layouts.exact import split
from ntp.layouts.fault import problem
from ntp.layouts.lines import Lines

_SAMPLE = 1000
"""Rows that are looked at."""
_BEFORE = 6
"""Lines among which the header is looked for: some vendors write their address first."""
_BOM = b"\xef\xbb\xbf"
_WIDE = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_VALUE = re.compile(r"\s*[-+.]?\d")


@dataclass(frozen=True, slots=True)
class Head:
    """What the first lines show.

    Attributes:
        header: the columns' names; None: there is no header.
        rows: (line number, cells) of the first rows.
        lines: (line number, line) of the same.
        skipped: lines before them.
        symbol: where the lines before them name one.
    """

    header: tuple[str, ...] | None
    rows: list[tuple[int, list[str]]]
    lines: list[tuple[int, bytes]]
    delimiter: str
    skipped: int
    symbol: str | None = None


def head_of(path: Path) -> Head:
    """Read the first lines of a file.

    Raises:
        LayoutError: it is empty, or no text in lines.
        OSError: it cannot be read.
    """
    with Lines(path, lambda _: None) as lines:
        first, block = next(iter(lines), (1, b""))
    block = block.removeprefix(_BOM)
    if not block.strip():
        raise problem(f"{path.name}:1", "the file is empty", "name one with a row a line")
    if block[:2] in _WIDE:
        raise problem(
            f"{path.name}:1",
            f"the file is {_WIDE[block[:2]]}",
            "save it as UTF-8: iconv -f UTF-16 -t UTF-8",
        )
    if b"\r" in block and block.count(b"\n") <= 1:
        raise problem(
            f"{path.name}:1", "lines end in CR alone", "write it anew: tr '\\r' '\\n' < OLD > NEW"
        )
    texts = [
        (number, line.removesuffix(b"\r"))
        for number, line in enumerate(block.split(b"\n")[:-1], first)
        if line.strip()
    ][:_SAMPLE]
    delimiter = _delimiter([line.decode("utf-8", "replace") for _, line in texts])
    rows = [(number, _cells(line, delimiter)) for number, line in texts]
    return _head(rows, texts, delimiter)


def is_value(cell: str) -> bool:
    """Tell a number or time from a name."""
    return _VALUE.match(cell) is not None or cell.strip().lower() in {"nan", "inf", "-inf"}


def _head(
    rows: list[tuple[int, list[str]]], lines: list[tuple[int, bytes]], delimiter: str
) -> Head:
    if (found := _yfinance(rows)) is not None:
        header, symbol = found
        return Head(header, rows[3:], lines[3:], delimiter, rows[2][0], symbol)
    for at, (number, cells) in enumerate(rows[:_BEFORE]):
        named = [cell for cell in cells if cell.strip()]
        if len(named) >= 2 and not any(map(is_value, cells)):
            header = tuple(map(_name, cells))
            return Head(header, rows[at + 1 :], lines[at + 1 :], delimiter, number)
    return Head(None, rows, lines, delimiter, 0)


def _name(cell: str) -> str:
    """Return a column's name as it may be shown on a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in cell.strip())[:80]


def _yfinance(rows: list[tuple[int, list[str]]]) -> tuple[tuple[str, ...], str] | None:
    """Know yfinance's three lines: Price,Close,… then Ticker,SPY,… then Date,,,."""
    if len(rows) < 3:
        return None
    (_, names), (_, tickers), (_, dates) = rows[:3]
    if [each[0].lower() for each in (names, tickers)] != ["price", "ticker"] or any(dates[1:]):
        return None
    if len(set(tickers[1:])) != 1 or dates[0].lower() not in {"date", "datetime"}:
        return None
    return (dates[0], *names[1:]), tickers[1]


def _delimiter(lines: list[str]) -> str:
    """Return what most lines have, the same number of times in each."""
    best, most = ",", 0
    for sign in ",;\t|":
        count, lines_with = Counter(line.count(sign) for line in lines).most_common(1)[0]
        if count and lines_with * count > most:
            best, most = sign, lines_with * count
    return best


def _cells(line: bytes, delimiter: str) -> list[str]:
    text = line.decode("utf-8", "replace")
    try:
        return split(text, delimiter)
    except csv.Error:
        return text.split(delimiter)
