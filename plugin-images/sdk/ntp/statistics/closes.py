"""Equity at the ends of periods, in memory that does not grow with the number of ticks.

Which period returns are of: the UTC day where at least 20 days had ticks; else the longest of hour, minute
and second of which at least 20 lie between the first and the last tick. Days without a tick (weekends)
are left out, as is the custom; of shorter periods all count, those without a tick with a return of 0.

How many make a year: of days 365 where a market trades at weekends, else 252 (the rule of backtesting.py:
weekends have at least 60 % of the share that they have of a week); of shorter ones as many as 365 days hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

FEWEST = 20
"""Periods, for returns to be of that length."""
DAY = 86_400
_STEPS = (1, 60, 3_600)
_NAMES = {1: "second", 60: "minute", 3_600: "hour", DAY: "day"}
_WEEKEND = 2 / 7 * 0.6
_YEAR_DAYS = 365
_TRADING_DAYS = 252
_THURSDAY = 3
"""The weekday of 1970-01-01, Monday being 0."""


@dataclass(frozen=True, slots=True)
class Period:
    """What one return is of. `words`: the rule that chose it."""

    name: str
    seconds: int
    per_year: float
    words: str


@dataclass(frozen=True, slots=True)
class Series:
    """`times`: the end of each period, Unix seconds; `values`: equity there. `first`: ahead of the first."""

    period: Period
    first: float
    times: Sequence[float]
    values: Sequence[float]


class Closes:
    """Keeps the equity at the end of each UTC day, and of each shorter period as long as days are few."""

    def __init__(self) -> None:
        self._days: dict[int, float] = {}
        self._fine: dict[int, float] = {}
        self._step = _STEPS[0]

    def close(self, at: float, equity: float) -> None:
        """Take the equity at Unix seconds `at`, replacing an earlier one of its period."""
        day = floor(at / DAY)
        self._days[day] = equity
        if len(self._days) >= FEWEST:
            self._fine.clear()
            return
        self._fine[floor(at / self._step)] = equity
        while self._step != _STEPS[-1] and self._count(_STEPS[_STEPS.index(self._step) + 1]) >= FEWEST:  # fmt: skip
            coarse = _STEPS[_STEPS.index(self._step) + 1]
            self._fine = {
                number * self._step // coarse: value for number, value in self._fine.items()
            }
            self._step = coarse

    def after(self, at: float) -> float:
        """Return Unix seconds at which the period ends that `at` lies in."""
        step = DAY if len(self._days) >= FEWEST else self._step
        return (floor(at / step) + 1.0) * step

    def days(self) -> Sequence[tuple[int, float]]:
        """Return the days since 1970-01-01 that had ticks, and the equity at the end of each."""
        return list(self._days.items())

    def series(self, first: float, periods_per_year: float | None = None) -> Series:
        """Return the values of the period that the rule chooses; `first` is the capital."""
        if len(self._days) >= FEWEST:
            times = [(day + 1.0) * DAY for day in self._days]
            return Series(self._daily(periods_per_year), first, times, list(self._days.values()))
        step, times, values, last = self._step, [], [], first
        numbers = list(self._fine)
        for number in range(numbers[0], numbers[-1] + 1) if numbers else ():
            last = self._fine.get(number, last)
            times.append((number + 1.0) * step)
            values.append(last)
        return Series(self._shorter(step, periods_per_year), first, times, values)

    def _count(self, step: int) -> int:
        first, last = next(iter(self._fine)), next(reversed(self._fine))
        return last * self._step // step - first * self._step // step + 1

    def _daily(self, given: float | None) -> Period:
        weekend = sum((day + _THURSDAY) % 7 >= 5 for day in self._days) / len(self._days)
        always = weekend >= _WEEKEND
        year = _YEAR_DAYS if always else _TRADING_DAYS
        why = "trades at weekends" if always else "rests at weekends"
        words = "daily returns, by UTC day; " + (
            f"{year} a year, for this market {why}"
            if given is None
            else f"{given:g} a year, as given"
        )
        return Period("day", DAY, float(given or year), words)

    def _shorter(self, step: int, given: float | None) -> Period:
        year = _YEAR_DAYS * DAY / step
        name = _NAMES[step]
        words = f"returns of each {name}, for fewer than {FEWEST} days had ticks; " + (
            f"{year:,.0f} a year" if given is None else f"{given:g} a year, as given"
        )
        return Period(name, step, given or year, words)
