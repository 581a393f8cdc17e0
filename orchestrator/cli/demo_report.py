"""Does what was sent equal what arrived, edge by edge? Counts from the plugins' own last beats, and of
the exchange what it says itself.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from ntp.contract.beat import Beat
from ntp.contract.names import Channel, Kind

EXCHANGE = "exchange"
"""The producer of the edges that lead to the sources; no plugin."""


@dataclass(frozen=True, slots=True)
class EdgeCount:
    """One edge of the wiring; `lost` is what sequence numbers say never came.

    Of an edge from the exchange it is what the source never sent on. `note`: `synthetic`, or empty.
    """

    producer: str
    consumer: str
    channel: Channel
    symbol: str
    sent: int
    received: int
    lost: int
    late: int
    note: str = ""

    @property
    def adds_up(self) -> bool:
        if self.channel is Channel.INDICATOR:
            # A tick that the indicator never saw has no value; a value that never came is late.
            return self.sent <= self.received + self.lost + self.late
        return self.sent == self.received + self.lost


@dataclass(frozen=True, slots=True)
class Book:
    """An executor's book of one strategy; amounts in quote currency, fees apart from P&L."""

    executor: str
    strategy: str
    signals: int
    orders: int
    fills: int
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    equity: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    edges: Sequence[EdgeCount]
    books: Sequence[Book]
    refused: Mapping[str, int]
    failures: Sequence[str] = field(default_factory=tuple)
    """Why the demo did not do what it is for, in words; empty: it did."""


def summarise(
    beats: Mapping[str, Beat],
    *,
    played: Mapping[str, Mapping[str, int]] | None = None,
    synthetic: Collection[str] = (),
) -> Summary:
    """Add up the edges and the books; say what is missing from a good run.

    Args:
        beats: the last of each plugin.
        played: by source, how many ticks the exchange had of each of its symbols.
        synthetic: symbols whose prices were never paid.
    """
    counted = [*_first_edges(beats, played or {}), *_edges(beats)]
    edges = [
        replace(edge, note="synthetic" if edge.symbol in synthetic else "")
        for edge in sorted(counted, key=_order)
    ]
    books = [book for beat in beats.values() for book in _books(beat)]
    failures = [
        f"{edge.producer} -> {edge.consumer} ({edge.channel} {edge.symbol}): sent {edge.sent}, "
        f"received {edge.received}, lost {edge.lost}, late {edge.late}"
        for edge in edges
        if edge.lost or edge.late or not edge.adds_up
    ]
    for channel, what in (("data", "tick"), ("signal", "signal"), ("fill", "fill")):
        if not any(edge.channel == channel and edge.received for edge in edges):
            failures.append(f"no {what} arrived anywhere")
    if not any(book.fills for book in books):
        failures.append("no order was filled")
    refused = {name: beat.refused for name, beat in beats.items() if beat.refused}
    return Summary(edges=edges, books=books, refused=refused, failures=tuple(failures))


def document(summary: Summary, failures: Sequence[str], *, page: str) -> dict[str, Any]:
    """Return what `demo -o json` prints; docs/json.md has its shape."""
    told = {
        "edges": summary.edges,
        "books": summary.books,
        "refused": summary.refused,
        "failures": failures,
        "page": page,
    }
    return msgspec.to_builtins(told)  # type: ignore[no-any-return] # builtins of a mapping


def _order(edge: EdgeCount) -> tuple[int, str, str, str]:
    """As data flows: from the exchange on, channel by channel."""
    from_outside = edge.producer == EXCHANGE
    return (
        -1 if from_outside else list(Channel).index(edge.channel),
        edge.producer,
        edge.consumer,
        edge.symbol,
    )


def _first_edges(
    beats: Mapping[str, Beat], played: Mapping[str, Mapping[str, int]]
) -> Iterator[EdgeCount]:
    """Yield what led from the exchange to its sources."""
    for name, counts in played.items():
        beat = beats.get(name)
        sent = {flow.symbol: flow.count for flow in beat.sent} if beat else {}
        for symbol, count in counts.items():
            came = sent.get(symbol, 0)
            lost = max(count - came, 0)
            yield EdgeCount(EXCHANGE, name, Channel.DATA, symbol, count, came, lost, 0)


def _edges(beats: Mapping[str, Beat]) -> list[EdgeCount]:
    sent: dict[tuple[str, str, str, str], int] = {}
    for name, beat in beats.items():
        for flow in beat.sent:
            for key in {
                (name, flow.channel, flow.symbol, flow.peer),
                (name, flow.channel, flow.symbol, ""),
            }:
                sent[key] = sent.get(key, 0) + flow.count
    counted = []
    for name, beat in beats.items():
        for flow in beat.received:
            to_me = (flow.peer, flow.channel, flow.symbol, name)
            to_all = (flow.peer, flow.channel, flow.symbol, "")
            counted.append(
                EdgeCount(
                    producer=flow.peer,
                    consumer=name,
                    channel=flow.channel,
                    symbol=flow.symbol,
                    sent=sent.get(to_me, sent.get(to_all, 0)),
                    received=flow.count,
                    lost=flow.lost,
                    late=flow.late,
                )
            )
    return counted


def _books(beat: Beat) -> list[Book]:
    if beat.kind != Kind.EXECUTOR:
        return []
    return [
        Book(
            executor=beat.instance,
            strategy=strategy,
            signals=int(figures["signals"]),
            orders=int(figures["orders"]),
            fills=int(figures["fills"]),
            realised=Decimal(str(figures["realised"])),
            unrealised=Decimal(str(figures["unrealised"])),
            fees=Decimal(str(figures["fees"])),
            equity=Decimal(str(figures["equity"])),
        )
        for strategy, figures in beat.report.items()
        if isinstance(figures, Mapping) and "equity" in figures
    ]
