"""Fewer points, and the same picture: no extreme is lost."""

from collections.abc import Sequence
from typing import TypeVar

Thing = TypeVar("Thing")


def thin(values: Sequence[float], most: int) -> Sequence[int]:
    """Return which points to draw, in order.

    Of each of equal stretches the first, the lowest, the highest and the last are kept: a line through
    them covers the same ground as one through all.

    Args:
        values: one a point.
        most: points, 4 or more; all are kept where there are not more.
    """
    if len(values) <= most:
        return range(len(values))
    stretches = most // 4
    kept: list[int] = []
    for number in range(stretches):
        stretch = range(number * len(values) // stretches, (number + 1) * len(values) // stretches)
        low = min(stretch, key=values.__getitem__)
        high = max(stretch, key=values.__getitem__)
        kept += sorted({stretch[0], low, high, stretch[-1]})
    return kept


def spread(things: Sequence[Thing], most: int) -> Sequence[Thing]:
    """Return at most so many of them, evenly spread over all."""
    if len(things) <= most:
        return things
    return [things[number * len(things) // most] for number in range(most)]
