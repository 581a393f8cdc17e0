"""Synthetic stocks: there is no recording of Polygon's stream, so its frames are made up.

`polygon_synthetic_paths.csv.gz` holds one price a second, derived from ten years of SPY's daily
closes (data/ORIGIN.md). It is played forwards, then backwards: a loop without a jump.
"""

import csv
import gzip
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

SHIPPED = Path(__file__).parent / "data" / "polygon_synthetic_paths.csv.gz"
SLOTS = 10  # in one second of the path
# Trades and quotes of one symbol in those ten slots: 4 quotes, 3 trades.
_QUOTES, _TRADES = frozenset({0, 2, 5, 7}), frozenset({1, 4, 8})
_TAPES = {"SPY": 2, "AAPL": 3, "GOOGL": 3, "MSFT": 3}
_EXCHANGES = (4, 11, 12, 19)
HALF_SPREAD = 0.01


@dataclass(slots=True)
class Bar:
    """An aggregate that is still open; volumes in shares, times in Unix ms."""

    first_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: int = 0
    value: float = 0.0
    trades: int = 0

    def add(self, price: float, shares: int) -> None:
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close = price
        self.volume += shares
        self.value += price * shares
        self.trades += 1


@dataclass(slots=True)
class Stock:
    """One symbol's path and what has been traded of it today."""

    symbol: str
    path: Sequence[float]
    day_open: float | None = None
    day_volume: int = 0
    day_value: float = 0.0
    trades: int = 0
    sequence: int = 0
    bars: dict[str, Bar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StockEvent:
    """`kind` is T, Q, A or AM; its topic is `kind.symbol`."""

    kind: str
    symbol: str
    data: dict[str, Any]


class Stocks:
    """All symbols, a slot of 100 ms at a time. The draws are seeded: one run is as the other."""

    def __init__(self, paths: dict[str, Sequence[float]]) -> None:
        self.stocks = {symbol: Stock(symbol, path) for symbol, path in paths.items()}
        self._random = Random(2008)  # noqa: S311 - prices, no secret

    @property
    def slots(self) -> int:
        """Slots until the path is over, once forwards and once backwards."""
        return SLOTS * 2 * (min(len(stock.path) for stock in self.stocks.values()) - 1)

    def step(self, slot: int, time_ms: int) -> Iterator[StockEvent]:
        """Yield what happens in a slot; `time_ms` (Unix) may not go back."""
        for stock in self.stocks.values():
            yield from self._bars(stock, time_ms)
            price = price_at(stock.path, slot)
            place = slot % SLOTS
            if place in _QUOTES:
                yield self._quote(stock, price, time_ms)
            if place in _TRADES:
                yield self._trade(stock, price, time_ms)

    def _quote(self, stock: Stock, price: float, time_ms: int) -> StockEvent:
        stock.sequence += 1
        draw = self._random
        return StockEvent("Q", stock.symbol, {
            "ev": "Q", "sym": stock.symbol,
            "bx": draw.choice(_EXCHANGES), "bp": round(price - HALF_SPREAD, 2), "bs": draw.randint(1, 9),
            "ax": draw.choice(_EXCHANGES), "ap": round(price + HALF_SPREAD, 2), "as": draw.randint(1, 9),
            "c": 0, "i": [604], "t": time_ms, "q": stock.sequence, "z": _TAPES.get(stock.symbol, 1),
        })  # fmt: skip

    def _trade(self, stock: Stock, price: float, time_ms: int) -> StockEvent:
        draw = self._random
        stock.sequence += 1
        stock.trades += 1
        paid = round(price + draw.choice((-HALF_SPREAD, HALF_SPREAD)), 2)
        shares = draw.choice((1, 10, 25, 100, 100, 100, 200, 300))
        stock.day_open = paid if stock.day_open is None else stock.day_open
        stock.day_volume += shares
        stock.day_value += paid * shares
        for kind, length in (("A", 1_000), ("AM", 60_000)):
            if kind not in stock.bars:
                first = time_ms // length * length
                stock.bars[kind] = Bar(first, paid, paid, paid, paid)
            stock.bars[kind].add(paid, shares)
        return StockEvent("T", stock.symbol, {
            "ev": "T", "sym": stock.symbol, "x": draw.choice(_EXCHANGES), "i": str(stock.trades),
            "z": _TAPES.get(stock.symbol, 1), "p": paid, "s": shares,
            "c": [37] if shares < 100 else [], "t": time_ms, "q": stock.sequence,
        })  # fmt: skip

    def _bars(self, stock: Stock, time_ms: int) -> Iterator[StockEvent]:
        for kind, length in (("A", 1_000), ("AM", 60_000)):
            bar = stock.bars.get(kind)
            if bar is None or time_ms < bar.first_ms + length:
                continue
            del stock.bars[kind]
            yield StockEvent(kind, stock.symbol, {
                "ev": kind, "sym": stock.symbol, "v": bar.volume, "av": stock.day_volume,
                "op": stock.day_open, "vw": round(bar.value / bar.volume, 4),
                "o": bar.open, "c": bar.close, "h": bar.high, "l": bar.low,
                "a": round(stock.day_value / stock.day_volume, 4), "z": bar.volume // bar.trades,
                "s": bar.first_ms, "e": bar.first_ms + length,
            })  # fmt: skip


def price_at(path: Sequence[float], slot: int) -> float:
    """Return the price in quote currency: straight between seconds, back at the end of the path."""
    last = len(path) - 1
    second, place = divmod(slot, SLOTS)
    forwards = second // last % 2 == 0
    at = second % last
    here, there = (path[at], path[at + 1]) if forwards else (path[last - at], path[last - at - 1])
    return here + (there - here) * place / SLOTS


def read(path: Path = SHIPPED) -> dict[str, Sequence[float]]:
    """Read the paths: a column a symbol, a row a second."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return {name: [float(row[at]) for row in rows[1:]] for at, name in enumerate(rows[0])}


def derive(closes: Sequence[float]) -> str:
    """Make the CSV of synthetic paths from SPY's daily closes.

    A day's log return, divided by 20, becomes one second's; the other symbols follow it with a beta
    and a seeded noise of their own.
    """
    draw = Random(2017)  # noqa: S311 - prices, no secret
    shapes = {"SPY": (266.86, 1.0, 0.0), "AAPL": (189.9, 1.2, 4e-4), "GOOGL": (141.2, 1.1, 4e-4), "MSFT": (374.6, 1.05, 3e-4)}  # fmt: skip
    prices = {symbol: start for symbol, (start, _, _) in shapes.items()}
    rows = [",".join(shapes), ",".join(f"{price:.3f}" for price in prices.values())]
    for before, after in itertools.pairwise(closes):
        market = math.log(after / before) / 20
        for symbol, (_, beta, noise) in shapes.items():
            # Twelve uniform draws make a normal one, the same on every version of Python.
            own = noise * (sum(draw.random() for _ in range(12)) - 6) if noise else 0.0
            prices[symbol] *= math.exp(beta * market + own)
        rows.append(",".join(f"{price:.3f}" for price in prices.values()))
    return "\n".join(rows) + "\n"
