"""Sample data for a new plugin: made up, and the same for everyone.

A random walk in whole cents, whose drift changes every minute, so that strategies of any kind find something to do.
It is no market, and says nothing about profit.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

SEED = 7
TICKS = 600
"""One a second."""
START = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
FIRST_CENTS = 10_000
_STEP, _DRIFT = 12, 4
"""Cents: a step is at most so far from the minute's drift, which is at most so far from 0."""
_MINUTE = 60
HEADER = "timestamp,symbol,price,volume,bid,ask"


def sample(symbol: str) -> str:
    """Return the text of a CSV file; times in UTC, prices with a spread of two cents."""
    return "\n".join([HEADER, *_rows(symbol)]) + "\n"


def _rows(symbol: str) -> Iterator[str]:
    chance = Random(SEED)  # noqa: S311 - prices, no secret
    cents, drift = FIRST_CENTS, 0
    for second in range(TICKS):
        if second % _MINUTE == 0:
            drift = chance.randint(-_DRIFT, _DRIFT)
        # The farther from where it began, the more it is drawn back: it stays far above 0.
        home = (FIRST_CENTS - cents) // 200
        cents += drift + home + chance.randint(-_STEP, _STEP)
        at = (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
        hundredths = chance.randint(1, 500)
        yield (
            f"{at},{symbol},{cents / 100:.2f},{hundredths / 100:.2f},"
            f"{(cents - 1) / 100:.2f},{(cents + 1) / 100:.2f}"
        )
