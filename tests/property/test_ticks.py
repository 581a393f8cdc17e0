"""What is known of ticks in a row is what looking at each of them would say."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ntp import MarketData
from ntp.examination.order import Data
from ntp.examination.rows import Rows, write
from ntp.ticks import SPAN, Ticks

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
PRICES = st.lists(st.integers(90, 110).map(float), min_size=1, max_size=5 * SPAN)
ODD = st.lists(st.sampled_from([1.0, 2.0, float("nan"), float("inf"), -1e308]), max_size=3 * SPAN)


def ticks(prices, later=1):
    return [
        MarketData(NOON + timedelta(seconds=at * later), "A", price, 1.0)
        for at, price in enumerate(prices)
    ]


@settings(max_examples=200, deadline=None)
@given(st.data(), PRICES | ODD)
def test_the_first_price_beyond_is_found(data, prices):
    row = Ticks(ticks(prices))
    start = data.draw(st.integers(0, len(prices)))
    stop = data.draw(st.integers(start, len(prices)))
    low, high = data.draw(st.integers(88, 112)), data.draw(st.integers(88, 112))
    careful = next((at for at in range(start, stop) if not low < prices[at] < high), stop)
    assert row.beyond(low, high, start, stop) == careful


@settings(max_examples=200, deadline=None)
@given(st.data(), PRICES)
def test_extremes_are_those_of_the_prices(data, prices):
    start = data.draw(st.integers(0, len(prices) - 1))
    stop = data.draw(st.integers(start + 1, len(prices)))
    some = prices[start:stop]
    assert Ticks(ticks(prices)).extremes(start, stop) == (min(some), max(some))


@given(st.lists(st.integers(0, 3), max_size=8), st.sampled_from(["A", "B"]))
def test_order_and_symbol_are_those_of_the_ticks(steps, other):
    row, at = Ticks(), NOON
    for step in steps:
        at += timedelta(seconds=step)
        row.append(MarketData(at, other if step == 2 else "A", 1.0, 1.0))
    assert row.rising == all(one.timestamp < next_.timestamp for one, next_ in pairwise(row))
    symbols = {tick.symbol for tick in row}
    assert row.symbol == (next(iter(symbols)) if len(symbols) == 1 else None)
    assert row.nameless


def test_what_is_such_a_list_stays_the_same_one():
    row = Ticks(ticks([1.0]))
    assert Ticks.of(row) is row
    assert Ticks.of(list(row)) == row


def test_ids_count_on_over_blocks_and_thousands(tmp_path):
    rows = Rows(Data([str(write(ticks([1.0] * 12_345), tmp_path / "x.ticks"))]))
    ids = [tick.id for block in rows.blocks() for tick in block]
    assert ids == [f"recording:{number}" for number in range(1, 12_346)]
