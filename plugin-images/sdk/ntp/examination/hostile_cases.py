"""What data a market should not send and some day does."""

import math
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from ntp.contract.messages import MarketData

Ticks = list[MarketData]
_SEVENTH = 7


def _every(ticks: Ticks, **values: Any) -> Ticks:
    return [replace(t, **values) if at % _SEVENTH == 5 else t for at, t in enumerate(ticks)]


def _jump(ticks: Ticks) -> Ticks:
    return [replace(t, price=t.price * (1e6 if at % 50 == 25 else 1)) for at, t in enumerate(ticks)]


def _shuffled(ticks: Ticks) -> Ticks:
    mixed = list(ticks)
    random.Random(0).shuffle(mixed)  # noqa: S311 - repeatable chance
    return mixed


def _gap(ticks: Ticks) -> Ticks:
    half, days = len(ticks) // 2, timedelta(days=400)
    return [*ticks[:half], *(replace(t, timestamp=t.timestamp + days) for t in ticks[half:])]


CASES: dict[str, Callable[[Ticks], Ticks]] = {
    "no row": lambda _: [],
    "one row": lambda ticks: ticks[:1],
    "NaN prices": lambda ticks: _every(ticks, price=math.nan),
    "infinite prices": lambda ticks: _every(ticks, price=math.inf),
    "NaN volumes": lambda ticks: _every(ticks, volume=math.nan),
    "prices of 0": lambda ticks: _every(ticks, price=0.0),
    "negative prices": lambda ticks: _every(ticks, price=-1.0),
    "volumes of 0": lambda ticks: [replace(t, volume=0.0) for t in ticks],
    "one price throughout": lambda ticks: [replace(t, price=ticks[0].price) for t in ticks],
    "a price that jumps": _jump,
    "every row twice": lambda ticks: [t for one in ticks for t in (one, one)],
    "rows out of order": _shuffled,
    "one time throughout": lambda ticks: [replace(t, timestamp=ticks[0].timestamp) for t in ticks],
    "a gap of a year": _gap,
}
"""Each makes its ticks of good ones; rows that are no numbers end at the border, as live."""
UNSIZED = frozenset({"prices of 0", "negative prices"})
"""At such a price nobody can say how much an amount buys: a refused signal is nothing odd."""
