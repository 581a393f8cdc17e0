"""Returns of months and years, and how returns are distributed."""

from collections.abc import Mapping, Sequence
from datetime import date
from math import ceil

from ntp.statistics.assessment import Bin, Month

_MOST_BINS = 41
_FEWEST_BINS = 7
_EPOCH = date(1970, 1, 1).toordinal()


def months(capital: float, days: Sequence[tuple[int, float]]) -> list[Month]:
    """Return each month in which ticks came: its last equity by the last one before it, less 1.

    Args:
        capital: what the first month began with.
        days: days since 1970-01-01 and the equity at the end of each, in order.
    """
    ends: dict[tuple[int, int], float] = {}
    for day, equity in days:
        on = date.fromordinal(day + _EPOCH)
        ends[on.year, on.month] = equity
    found, before = [], capital
    for (year, month), equity in ends.items():
        if before <= 0:
            break  # nothing is left that a return could be of
        found.append(Month(year, month, equity / before - 1))
        before = equity
    return found


def years(found: Sequence[Month]) -> Mapping[int, float]:
    """Return each year: its months' returns compounded."""
    grown: dict[int, float] = {}
    for month in found:
        grown[month.year] = grown.get(month.year, 1.0) * (1 + month.share)
    return {year: growth - 1 for year, growth in grown.items()}


def distribution(returns: Sequence[float]) -> list[Bin]:
    """Return equal bins from the lowest return to the highest.

    Their width is 2 * IQR / n^(1/3) (Freedman and Diaconis, On the histogram as a density estimator, 1981),
    within 7 to 41 bins; a bin has 0 as an edge where both signs occur.
    """
    if not returns:
        return []
    ordered = sorted(returns)
    low, high, n = ordered[0], ordered[-1], len(ordered)
    if low == high:
        return [Bin(low, high, n)]
    middle = ordered[3 * n // 4] - ordered[n // 4]
    width = 2 * middle / n ** (1 / 3)
    count = ceil((high - low) / width) if width > 0 else _MOST_BINS
    width = (high - low) / min(max(count, _FEWEST_BINS), _MOST_BINS)
    if low < 0 < high:
        first, last = -ceil(-low / width), ceil(high / width)
    else:
        width = width or high - low
        first, last = 0, round((high - low) / width)
    origin = 0.0 if low < 0 < high else low
    counts = [0] * (last - first)
    for value in ordered:
        counts[min(max(int((value - origin) / width - first), 0), len(counts) - 1)] += 1
    return [
        Bin(origin + (first + number) * width, origin + (first + number + 1) * width, count)
        for number, count in enumerate(counts)
    ]
