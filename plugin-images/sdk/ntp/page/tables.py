"""The tables of a page. All text is escaped here: names come from whoever wrote a plugin."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from ntp.contract.messages import SignalMessage, SignalType
from ntp.page import figures
from ntp.page.account import ZERO, Account, Holding
from ntp.page.run import Run, Table
from ntp.page.shades import shade
from ntp.statistics import Unit

MOST_ROWS = 1_500
"""Of one table; the page says how many more there are."""

STRATEGIES = ("strategy", "#signals", "#fills", "#realised", "#unrealised", "#P&L before fees", "#fees", "#result", "#equity", "#largest drawdown")  # fmt: skip
SYMBOLS = ("strategy", "symbol", "#signals", "#fills", "#realised", "#unrealised", "#P&L before fees", "#fees", "#result", "#held at the end")  # fmt: skip
_SIGNED = {"#realised", "#unrealised", "#P&L before fees", "#result"}


def by_strategy(run: Run, accounts: Sequence[Account]) -> Table:
    """Return a row for each strategy, and what they come to."""
    rows = []
    for account in accounts:
        signals = sum(message.strategy == account.strategy for message in run.signals)
        rows.append(
            [
                account.strategy,
                figures.count(signals),
                figures.count(account.fills),
                *_money(account.realised, account.unrealised, account.fees),
                figures.amount(account.equity),
                figures.told(account.assessment["max_drawdown"], Unit.SHARE),
            ]
        )
    if len(accounts) > 1:
        rows.append(
            [
                "all",
                figures.count(len(run.signals)),
                figures.count(sum(account.fills for account in accounts)),
                *_money(*totals(accounts)),
                figures.amount(sum((account.equity for account in accounts), ZERO)),
                "",
            ]
        )
    words = "result = realised + unrealised \N{MINUS SIGN} fees; equity = capital + result"
    return Table("What each strategy did", STRATEGIES, rows, words)


def by_symbol(run: Run, accounts: Sequence[Account]) -> Table:
    """Return a row for each strategy and symbol that it signalled or traded."""
    signalled = _signalled(run.signals)
    notes = run.notes
    rows = []
    for account in accounts:
        symbols = {symbol for name, symbol in signalled if name == account.strategy}
        for symbol in sorted(symbols | set(account.holdings)):
            held = account.holdings.get(symbol) or Holding()
            unrealised = account.unrealised_of(symbol) if symbol in account.holdings else ZERO
            rows.append(
                [
                    account.strategy,
                    f"{symbol} ({notes[symbol]})" if symbol in notes else symbol,
                    _counts(signalled.get((account.strategy, symbol), {})),
                    figures.count(held.fills),
                    *_money(held.realised, unrealised, held.fees),
                    figures.quantity(held.quantity),
                ]
            )
    return Table("Symbol by symbol", SYMBOLS, rows)


def totals(accounts: Sequence[Account]) -> tuple[Decimal, Decimal, Decimal]:
    """Return realised, unrealised and fees of all."""
    return (
        sum((account.realised for account in accounts), ZERO),
        sum((account.unrealised for account in accounts), ZERO),
        sum((account.fees for account in accounts), ZERO),
    )


def table(given: Table) -> str:
    """Return a table as HTML."""
    shown = given.rows[:MOST_ROWS]
    words = given.words
    if len(shown) < len(given.rows):
        more = figures.count(len(given.rows) - len(shown))
        words = f"{words}; {more} further rows are left out".removeprefix("; ")
    head = "".join(_cell("th", column, column.removeprefix("#")) for column in given.columns)
    most = max(
        (abs(value) for row in given.heat for value in row if value is not None), default=0.0
    )
    heat = given.heat or [[None] * len(given.columns)] * len(shown)
    rows = "".join(
        f"<tr>{''.join(_cell('td', column, cell, '' if value is None else shade(value, most)) for column, cell, value in zip(given.columns, row, values, strict=True))}</tr>"
        for row, values in zip(shown, heat, strict=False)
    )
    return (
        f"<section><h2>{escape(given.title)}</h2>"
        + (f"<p>{escape(words)}</p>" if words else "")
        + f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _cell(tag: str, column: str, text: str, shaded: str = "") -> str:
    kinds = ["number"] if column.startswith("#") else []
    kinds += [shaded] if shaded else []
    if tag == "td" and column in _SIGNED:
        kinds += ["loss"] if text.startswith(figures.MINUS) else []
        kinds += ["gain"] if text.startswith("+") else []
    named = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<{tag}{named}>{escape(text)}</{tag}>"


def _money(realised: Decimal, unrealised: Decimal, fees: Decimal) -> list[str]:
    before = realised + unrealised
    return [
        figures.gain(realised),
        figures.gain(unrealised),
        figures.gain(before),
        figures.amount(fees),
        figures.gain(before - fees),
    ]


def _signalled(signals: Iterable[SignalMessage]) -> dict[tuple[str, str], dict[SignalType, int]]:
    found: dict[tuple[str, str], dict[SignalType, int]] = {}
    for message in signals:
        counts = found.setdefault((message.strategy, message.signal.symbol), {})
        kind = message.signal.signal_type
        counts[kind] = counts.get(kind, 0) + 1
    return found


def _counts(counts: dict[SignalType, int]) -> str:
    """Return `3 BUY, 2 SELL`."""
    told = [f"{figures.count(counts[kind])} {kind}" for kind in SignalType if kind in counts]
    return ", ".join(told) or "0"
