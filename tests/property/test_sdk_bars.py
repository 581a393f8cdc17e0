"""Bars against a plain grouping of the ticks by event time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp.bars import Bars, length
from ntp.contract.messages import MarketData

MIDNIGHT = datetime(2024, 8, 8, tzinfo=UTC)

TICKS = st.lists(
    st.tuples(st.integers(0, 3600), st.floats(0.01, 1e6), st.floats(0, 1e3)), max_size=80
)
PERIODS = st.sampled_from(["1s", "5s", "1m", "5m", "1h", "1d"])


def ticks_of(rows):
    return [
        MarketData(MIDNIGHT + timedelta(seconds=second), "ETH", price, volume, bid=price - 1)
        for second, price, volume in rows
    ]


def by_hand(ticks, period):
    groups = {}
    for tick in ticks:
        start = MIDNIGHT + (tick.timestamp - MIDNIGHT) // period * period
        groups.setdefault(start, []).append(tick)
    for start in sorted(groups):
        ordered = sorted(groups[start], key=lambda t: t.timestamp)  # stable: ties as they came
        prices = [t.price for t in ordered]
        yield start + period, prices[0], max(prices), min(prices), prices[-1], len(ordered)


@given(TICKS, PERIODS)
def test_bars_of_ticks_in_order_are_the_groups_by_event_time(rows, period):
    ticks = sorted(ticks_of(rows), key=lambda t: t.timestamp)
    bars = Bars(period)
    closed = [bar for tick in ticks if (bar := bars.add(tick)) is not None]
    last = bars.end()
    closed += [last] if last else []
    assert [
        (b.timestamp, b.metadata["open"], b.metadata["high"], b.metadata["low"], b.price,
         b.metadata["count"]) for b in closed
    ] == list(by_hand(ticks, length(period)))  # fmt: skip
    assert sum(b.volume for b in closed) == pytest.approx(sum(t.volume for t in ticks))
    assert len({b.id for b in closed}) == len(closed)
    assert bars.late == 0


@given(TICKS, PERIODS)
def test_no_bar_is_reopened_and_every_tick_is_counted(rows, period):
    ticks = ticks_of(rows)
    bars = Bars(period)
    closed = [bar for tick in ticks if (bar := bars.add(tick)) is not None]
    last = bars.end()
    closed += [last] if last else []
    ends = [b.timestamp for b in closed]
    assert ends == sorted(set(ends))
    assert sum(b.metadata["count"] for b in closed) + bars.late == len(ticks)


@given(TICKS, PERIODS)
def test_a_tick_of_a_closed_bar_is_left_out_of_every_bar(rows, period):
    ticks = ticks_of(rows)
    bars = Bars(period)
    closed = [bar for tick in ticks if (bar := bars.add(tick)) is not None]
    last = bars.end()
    closed += [last] if last else []
    span, newest, in_time = length(period), MIDNIGHT, []
    for tick in ticks:
        start = MIDNIGHT + (tick.timestamp - MIDNIGHT) // span * span
        if start >= newest:
            newest = start
            in_time.append(tick)
    assert [
        (b.timestamp, b.metadata["open"], b.metadata["high"], b.metadata["low"], b.price,
         b.metadata["count"]) for b in closed
    ] == list(by_hand(in_time, span))  # fmt: skip
    assert bars.late == len(ticks) - len(in_time)


@given(TICKS)
def test_disorder_inside_an_open_bar_changes_nothing_but_ties(rows):
    """Open and close follow event time, not arrival."""
    ticks = ticks_of({second % 60: (second % 60, p, v) for second, p, v in rows}.values())
    in_order, as_came = Bars("1m"), Bars("1m")
    for tick in sorted(ticks, key=lambda t: t.timestamp):
        in_order.add(tick)
    for tick in ticks:
        as_came.add(tick)
    one, other = in_order.end(), as_came.end()
    if one is None or other is None:
        assert one is other
        return
    assert one.metadata == other.metadata
    assert (one.price, one.timestamp, one.id) == (other.price, other.timestamp, other.id)


def test_a_bar_closes_only_when_a_later_tick_comes():
    bars = Bars("1m")
    first, second = ticks_of([(0, 10.0, 1.0), (59, 11.0, 2.0)])
    assert bars.add(first) is None
    assert bars.add(second) is None
    (third,) = ticks_of([(60, 12.0, 4.0)])
    bar = bars.add(third)
    assert bar == MarketData(
        MIDNIGHT + timedelta(minutes=1), "ETH", 11.0, 3.0, bid=10.0,
        metadata={"open": 10.0, "high": 11.0, "low": 10.0, "count": 2, "bars": "1m"},
        id="1m@2024-08-08T00:00:00Z",
    )  # fmt: skip


def test_after_the_end_a_tick_of_the_ended_bar_is_late():
    bars = Bars("1m")
    bars.add(ticks_of([(5, 10.0, 1.0)])[0])
    assert bars.end() is not None
    assert bars.end() is None
    assert bars.add(ticks_of([(6, 10.0, 1.0)])[0]) is None
    assert (bars.late, bars.end()) == (1, None)
    bars.add(ticks_of([(66, 10.0, 1.0)])[0])
    assert bars.end() is not None


@pytest.mark.parametrize(
    "text", ["", "5", "0m", "7m", "2d", "25h", "5 m", "m5", "5M", "-5m", "5m\n"]
)
def test_a_length_that_makes_no_grid_is_refused_with_what_to_write(text):
    with pytest.raises(ValueError, match="such as"):
        length(text)
