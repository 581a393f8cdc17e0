"""The table of trades, which a click sorts where there is JavaScript."""

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape

from ntp.contract.messages import Side
from ntp.page import figures
from ntp.statistics.assessment import Assessment
from ntp.statistics.trips import Trip

MOST_ROWS = 1_500
"""Of the table: a third the best, a third the worst, the rest the latest."""

_Cell = tuple[str, float | None]
"""What is shown, and by what it is sorted if not by that."""

_COLUMNS: Sequence[tuple[str, bool, Callable[[Trip], _Cell]]] = (
    ("no.", True, lambda trip: (f"{trip.number:,}", trip.number)),
    ("symbol", False, lambda trip: (trip.symbol, None)),
    ("side", False, lambda trip: ("long" if trip.side is Side.BUY else "short", None)),
    ("entered (UTC)", False, lambda trip: (_moment(trip.entered), None)),
    ("left (UTC)", False, lambda trip: (_moment(trip.exited) if trip.exited else "still open", None)),
    ("length", True, lambda trip: (figures.length(trip.length.total_seconds()), trip.length.total_seconds())),
    ("quantity", True, lambda trip: (figures.quantity(trip.quantity), float(trip.quantity))),
    ("entry", True, lambda trip: (_price(float(trip.entry_price)), float(trip.entry_price))),
    ("exit", True, lambda trip: (_price(float(trip.exit_price)), float(trip.exit_price))),
    ("before fees", True, lambda trip: (figures.gain(trip.profit), float(trip.profit))),
    ("fees", True, lambda trip: (figures.amount(trip.fees), float(trip.fees))),
    ("net", True, lambda trip: (figures.gain(trip.net), float(trip.net))),
    ("return", True, lambda trip: (figures.share(trip.share), trip.share)),
    ("left by", False, lambda trip: ("" if trip.reason is None else trip.reason.value.replace("_", " "), None)),
)  # fmt: skip
_SIGNED = {"before fees", "net", "return"}


def table(assessments: Sequence[Assessment]) -> str:
    """Return the table of all strategies' trades as HTML; empty where there is none."""
    trades = [(each.strategy, trip) for each in assessments for trip in each.trips]
    if not trades:
        return ""
    shown = _shown(trades)
    named = len(assessments) > 1
    words = "from flat to flat; prices are averages by quantity; a click on a heading sorts"
    made = sum(int(str(each[key])) for each in assessments for key in ("trades", "open_trades"))
    if len(shown) < made:
        words += (
            f"; {figures.count(len(shown))} of {figures.count(made)} are shown: the best and the worst"
            f" {figures.count(MOST_ROWS // 3)}, and the latest"
        )
    head = '<th scope="col">strategy</th>' if named else ""
    head += "".join(f'<th scope="col"{_kind(number)}>{name}</th>' for name, number, _ in _COLUMNS)
    rows = "".join(
        f"<tr>{f'<td>{escape(name)}</td>' if named else ''}{_row(trip)}</tr>"
        for name, trip in shown
    )
    if all(trip.entered.second == 0 and trip.until.second == 0 for _, trip in shown):
        rows = rows.replace(":00</td>", "</td>")  # of bars
    return (
        f'<section><h2>Trades</h2><p>{words}</p><div class="wide tall" tabindex="0" role="region" aria-label="Trades">'
        f'<table class="sortable"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>\n'
    )


def _shown(trades: Sequence[tuple[str, Trip]]) -> Sequence[tuple[str, Trip]]:
    if len(trades) <= MOST_ROWS:
        return trades
    order = sorted(range(len(trades)), key=lambda at: trades[at][1].net)
    third = MOST_ROWS // 3
    kept = {*order[:third], *order[-third:]}
    latest = sorted(set(range(len(trades))) - kept, key=lambda at: trades[at][1].until)
    kept.update(latest[-(MOST_ROWS - len(kept)) :])
    return [trades[at] for at in sorted(kept)]


def _row(trip: Trip) -> str:
    cells = []
    for name, number, make in _COLUMNS:
        text, key = make(trip)
        kinds = ["number"] if number else []
        if name in _SIGNED:
            kinds += ["loss"] if _sign(text) < 0 else ["gain"] if _sign(text) > 0 else []
        named = f' class="{" ".join(kinds)}"' if kinds else ""
        # A reader of the file needs no more digits than decide the order.
        sorts = "" if key is None else f' data-by="{key:.9g}"'
        # What we made of a number has nothing to escape, and most cells are numbers.
        cells.append(f"<td{named}{sorts}>{text if number else escape(text)}</td>")
    return "".join(cells)


def _moment(at: datetime) -> str:
    return at.isoformat(" ", "seconds").partition("+")[0]


def _sign(text: str) -> int:
    """Return whether a shown amount is a loss (-1), a gain (1) or neither."""
    if text.startswith(figures.MINUS):
        return -1
    return 1 if text.strip("+0.,%\u00a0") else 0


def _kind(number: bool) -> str:  # noqa: FBT001 - of one table
    return ' class="number"' if number else ""


def _price(value: float) -> str:
    """Return a price with as many decimals as its size asks for."""
    decimals = (
        2 if abs(value) >= 1000 else 4 if abs(value) >= 10 else 6 if abs(value) >= 0.01 else 8
    )
    return figures.price(value, decimals)
