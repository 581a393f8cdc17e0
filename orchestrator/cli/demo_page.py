"""The page of a demo: what was overheard, and the counts of its edges."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from ntp.page import Run, Table, Track, render
from orchestrator.app.demonstration import SECONDS, Demonstration
from orchestrator.app.overheard import Transcript
from orchestrator.cli.demo_report import EXCHANGE, Book, Summary

_EDGES = ("from", "to", "channel", "symbol", "#sent", "#received", "#lost", "#late")


def page(
    demo: Demonstration, heard: Transcript, summary: Summary, failures: Sequence[str], speed: float
) -> str:
    """Return the page as HTML."""
    return render(
        Run(
            title="ntpctl demo: a local exchange, paper money",
            tracks=list(_tracks(demo, heard)),
            signals=heard.signals,
            fills=heard.fills,
            capital={book.strategy: _capital(book) for book in summary.books},
            words=[*_words(speed), *_missed(heard, summary)],
            tables=_tables(summary, failures),
        )
    )


def write(text: str, file: Path) -> None:
    """Put it in the place of what was there before, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}.half")
    half.write_text(text, encoding="utf-8")
    half.replace(file)


def _tracks(demo: Demonstration, heard: Transcript) -> Iterator[Track]:
    for source, symbols in demo.symbols.items():
        for symbol in symbols:
            track = Track(source, symbol, note="synthetic" if symbol in demo.synthetic else "")
            for tick in heard.ticks.get((source, symbol), ()):
                track.add(tick)
            yield track


def _capital(book: Book) -> Decimal:
    return book.equity - book.realised - book.unrealised + book.fees


def _words(speed: float) -> list[str]:
    played = f"{SECONDS} s of them, played {speed:g} times as fast"
    return [
        f"Binance's trades are recorded: {played}; times are those of the recording.",
        "Polygon's prices are synthetic: nobody ever paid them. The money is paper: no order left this machine.",
    ]


def _missed(heard: Transcript, summary: Summary) -> list[str]:
    """Say what this page does not know; it listened beside, so a broker that broke may have cost it."""
    sent = {
        "ticks": sum(edge.received for edge in summary.edges if edge.producer == EXCHANGE),
        "signals": sum(book.signals for book in summary.books),
        "fills": sum(book.fills for book in summary.books),
    }
    came = {
        "ticks": sum(map(len, heard.ticks.values())),
        "signals": len(heard.signals),
        "fills": len(heard.fills),
    }
    short = [
        f"{came[what]:,} of {count:,} {what}" for what, count in sent.items() if came[what] != count
    ]
    return (
        [f"This page heard only {', '.join(short)}; the tables of edges have all."] if short else []
    )


def _tables(summary: Summary, failures: Sequence[str]) -> list[Table]:
    edges = [
        [
            edge.producer,
            edge.consumer,
            edge.channel,
            f"{edge.symbol} ({edge.note})" if edge.note else edge.symbol,
            *(f"{count:,}" for count in (edge.sent, edge.received, edge.lost, edge.late)),
        ]
        for edge in summary.edges
    ]
    words = "What was sent equals what arrived, from the exchange to the fills."
    tables = [Table("Every edge", _EDGES, edges, "" if failures else words)]
    if failures:
        tables.insert(0, Table("What went wrong", ("",), [[words] for words in failures]))
    return tables
