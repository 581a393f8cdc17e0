"""Which period returns are of, how many make a year, and what months and distributions are made of."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp.statistics.calendar import distribution, months, years
from ntp.statistics.closes import Closes

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


def closes(times):
    """Equity 1, 2, 3, … at these times."""
    made = Closes()
    for number, at in enumerate(times, start=1):
        made.close(at.timestamp(), float(number))
    return made


def every(step, count):
    return [MONDAY + number * step for number in range(count)]


def weekdays(count):
    return [day for day in every(timedelta(days=1), 2 * count) if day.weekday() < 5][:count]


@pytest.mark.parametrize(
    ("times", "name", "per_year", "count"),
    [
        pytest.param(every(timedelta(days=1), 20), "day", 365, 20, id="a market that never rests"),
        pytest.param(weekdays(20), "day", 252, 20, id="a market that rests at weekends"),
        pytest.param(every(timedelta(days=1), 19), "hour", 8760, 18 * 24 + 1, id="a day too few"),
        pytest.param(every(timedelta(minutes=10), 115), "hour", 8760, 20, id="twenty hours begun"),
        pytest.param(every(timedelta(minutes=10), 114), "minute", 525_600, 1131, id="an hour too few"),
        pytest.param(every(timedelta(seconds=30), 40), "minute", 525_600, 20, id="twenty minutes begun"),
        pytest.param(every(timedelta(seconds=1), 30), "second", 31_536_000, 30, id="seconds"),
        pytest.param(every(timedelta(seconds=1), 1), "second", 31_536_000, 1, id="one tick"),
        pytest.param([], "second", 31_536_000, 0, id="nothing"),
    ],
)  # fmt: skip
def test_returns_are_of_the_longest_period_that_there_are_enough_of(times, name, per_year, count):
    series = closes(times).series(0.5)

    assert (series.period.name, series.period.per_year) == (name, per_year)
    assert len(series.values) == len(series.times) == count
    assert list(series.values)[-1:] == ([len(times)] if times else [])


def test_the_last_equity_of_a_period_counts_and_one_without_a_tick_keeps_the_one_before():
    times = [MONDAY + timedelta(minutes=m, seconds=s) for m, s in [(0, 1), (0, 59), (2, 0), (25, 0)]]  # fmt: skip
    series = closes(times).series(0.5)

    assert list(series.values[:4]) == [2, 2, 3, 3]
    assert list(series.values[-2:]) == [3, 4]
    assert series.times[0] == (MONDAY + timedelta(minutes=1)).timestamp()


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=200).map(sorted))
def test_a_period_ends_with_what_came_last_in_it_whatever_came_before(seconds):
    times = [MONDAY + timedelta(seconds=each) for each in seconds]
    series = closes(times).series(0.0)

    length = series.period.seconds
    expected = {}
    for number, at in enumerate(times, start=1):
        expected[int(at.timestamp()) // length] = float(number)
    numbers = range(min(expected), max(expected) + 1)
    told = dict(zip(numbers, series.values, strict=True))
    assert {number: told[number] for number in expected} == expected
    # Memory is bounded: fewer than 20 of a longer period are kept as at most so many of a shorter one.
    assert len(series.values) < 60 * 20 * 3


def epoch(year, month, day):
    return date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()


def test_a_month_is_its_last_equity_by_the_one_before_it():
    days = [(epoch(2023, 12, 30), 110.0), (epoch(2024, 1, 2), 90.0), (epoch(2024, 1, 31), 99.0), (epoch(2024, 3, 1), 198.0)]  # fmt: skip

    found = months(100.0, days)

    assert [(m.year, m.month) for m in found] == [(2023, 12), (2024, 1), (2024, 3)]
    assert [m.share for m in found] == pytest.approx([0.1, -0.1, 1.0])
    assert years(found) == pytest.approx({2023: 0.1, 2024: 0.8})


def test_from_nothing_left_no_month_has_a_return():
    days = [(epoch(2024, 1, 2), -5.0), (epoch(2024, 2, 2), 10.0)]

    assert [m.share for m in months(100.0, days)] == pytest.approx([-1.05])


@given(st.lists(st.floats(-1, 1).map(lambda each: round(each, 5)), max_size=300))
def test_every_return_is_in_the_one_bin_that_it_belongs_to(values):
    bins = distribution(values)

    assert sum(each.count for each in bins) == len(values)
    assert len(bins) <= 43
    for number, each in enumerate(bins):
        last = number == len(bins) - 1
        # An edge is a sum of floats.
        low, high = each.low - 1e-12, each.high + 1e-12
        inside = sum(low <= value <= high for value in values)
        strictly = sum(low + 2e-12 <= value < high - 2e-12 for value in values)
        assert strictly <= each.count <= inside
        assert last or each.high == pytest.approx(bins[number + 1].low)
    if values and min(values) < 0 < max(values):
        assert 0.0 in [each.low for each in bins]
