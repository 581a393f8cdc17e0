"""What the demo prints at its end: every edge, every book, and what it came to after fees."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from orchestrator.cli.demo_report import Book, EdgeCount, Summary
from orchestrator.cli.output import Column, console, table


def show(summary: Summary) -> None:
    table(
        rows(summary.edges),
        [
            Column("EDGE", lambda row: row["edge"]),
            Column("CHANNEL", lambda row: row["channel"], rank=1),
            *(_count(name) for name in ("sent", "received", "lost", "late")),
            Column("SYMBOLS", lambda row: row["symbols"]),
        ],
    )
    console().print()
    books = [
        {"strategy": book.strategy, "signals": book.signals, "orders": book.orders,
         "fills": book.fills, "realised": book.realised, "unrealised": book.unrealised,
         "fees": book.fees, "equity": book.equity}
        for book in summary.books
    ]  # fmt: skip
    table(
        books,
        [
            Column("STRATEGY", lambda row: row["strategy"]),
            *(_count(name) for name in ("signals", "orders", "fills")),
            *(_amount(name) for name in ("realised", "unrealised", "fees", "equity")),
        ],
    )
    console().print(result(summary.books), soft_wrap=True)


def rows(edges: Sequence[EdgeCount]) -> list[dict[str, Any]]:
    """Return a row for each edge and channel, in the order of `edges`: its symbols added up."""
    found: dict[tuple[str, str, str], list[EdgeCount]] = {}
    for edge in edges:
        found.setdefault((edge.producer, edge.consumer, edge.channel), []).append(edge)
    return [
        {
            "edge": f"{producer} -> {consumer}",
            "channel": channel,
            "symbols": _symbols(several),
            **{
                name: sum(getattr(edge, name) for edge in several)
                for name in ("sent", "received", "lost", "late")
            },
        }
        for (producer, consumer, channel), several in found.items()
    ]


def _symbols(edges: Sequence[EdgeCount]) -> str:
    """Return `BTCUSDT, ETHUSDT; synthetic: AAPL`."""
    noted: dict[str, list[str]] = {}
    for edge in sorted(edges, key=lambda edge: (edge.note, edge.symbol)):
        noted.setdefault(edge.note, []).append(edge.symbol)
    return "; ".join(
        f"{note}: {', '.join(names)}" if note else ", ".join(names) for note, names in noted.items()
    )


def result(books: Sequence[Book]) -> str:
    """Return what all came to in one line, fees apart: trading and its price are two things."""
    gained = sum((book.realised + book.unrealised for book in books), Decimal(0))
    fees = sum((book.fees for book in books), Decimal(0))
    return (
        f"P&L before fees {gained:+,.2f}, fees {fees:,.2f}, result {gained - fees:+,.2f}; "
        "equity = capital + realised + unrealised - fees, on paper"
    )


def _count(name: str) -> Column:
    return Column(name.upper(), lambda row: f"{row[name]:,}", right=True)


def _amount(name: str) -> Column:
    return Column(name.upper(), lambda row: f"{row[name]:,.2f}", right=True)
