"""Each O(1) indicator against its formula over the whole window, by numpy."""

from fractions import Fraction
from math import sqrt
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ntp.indicators import ATR, EMA, RSI, SMA, Bollinger, Deviation, Momentum

PRICE = st.one_of(st.floats(1e-6, 1e9), st.sampled_from([1.0, 100.0, 61837.63]))
PRICES = st.lists(PRICE, max_size=120)
PERIOD = st.integers(1, 25)


def windows(prices, period):
    return [
        None if i + 1 < period else np.array(prices[i + 1 - period : i + 1])
        for i in range(len(prices))
    ]


def close(actual, expected, scale):
    """Equal up to a few units in the last place of the largest price in the window."""
    return actual == pytest.approx(expected, rel=1e-9, abs=1e-12 * scale)


@given(PRICES, PERIOD)
def test_sma_is_the_mean_of_the_window(prices, period):
    sma = SMA(period)
    for price, window in zip(prices, windows(prices, period), strict=True):
        value = sma.update(price)
        assert value == sma.value
        assert (value is None) == (window is None)
        if window is not None:
            assert value == pytest.approx(window.mean(), rel=1e-12)


@given(PRICES, PERIOD)
def test_deviation_is_numpys_std_of_the_window(prices, period):
    deviation = Deviation(period)
    for price, window in zip(prices, windows(prices, period), strict=True):
        std = deviation.update(price)
        assert (std is None) == (window is None)
        if window is not None:
            assert deviation.mean == pytest.approx(window.mean(), rel=1e-12)
            # numpy itself is off by some ulps of the largest price, which is all that a window of
            # nearly equal prices has.
            assert close(std, window.std(), window.max())


@given(st.floats(1, 1e6), st.lists(st.integers(-50, 50), max_size=80), PERIOD)
def test_deviation_is_exact_where_prices_are_large_and_hardly_move(level, cents, period):
    deviation = Deviation(period)
    prices = [level + each / 100 for each in cents]
    for count, price in enumerate(prices, 1):
        std = deviation.update(price)
        if std is None:
            continue
        window = [Fraction(each) for each in prices[count - period : count]]
        mean = sum(window) / period
        exact = sqrt(sum((each - mean) ** 2 for each in window) / period)
        assert std == pytest.approx(exact, rel=1e-12, abs=0)


@settings(max_examples=30)
@given(
    period=st.sampled_from([20, 100, 1000]),
    height=st.integers(-(10**9), 10**9),
    place=st.integers(-2, 1),
    length=st.one_of(st.integers(1, 3), st.just(10**6)),
    seed=st.integers(0, 9),
)
@example(period=5000, height=25_600_000, place=-1, length=10**6, seed=0)
@example(period=5000, height=25_600_000, place=-1, length=1, seed=0)
def test_deviation_is_exact_where_prices_leap_between_blocks(period, height, place, length, seed):
    scatter, deviation, leap = Random(seed), Deviation(period), period + place
    prices = [
        25_600 + scatter.randint(-256, 256) + height * (leap <= i < leap + length)
        for i in range(3 * period)
    ]
    total = squares = 0
    worst = 0.0
    for i, price in enumerate(prices):
        total += price
        squares += price * price
        if i >= period:
            total -= prices[i - period]
            squares -= prices[i - period] ** 2
        std = deviation.update(price / 256)
        if std is not None:
            exact = sqrt(Fraction(period * squares - total * total, (256 * period) ** 2))
            worst = max(worst, abs(std - exact) / exact)
    assert worst < period * 1.5e-15


@given(PRICE, PERIOD, PRICES)
def test_a_window_of_equal_prices_has_no_deviation_at_all(price, period, before):
    deviation = Deviation(period)
    for other in before:
        deviation.update(other)
    for _ in range(period):
        deviation.update(price)
    assert deviation.std == 0.0
    assert deviation.mean == price


def test_a_spike_leaves_nothing_behind():
    deviation, sma = Deviation(5), SMA(5)
    for price in [1.0, 2.0, 1e15, *[1.0, 2.0, 3.0, 4.0, 5.0]]:
        deviation.update(price)
        sma.update(price)
    assert sma.value == 3.0
    assert deviation.std == np.std([1, 2, 3, 4, 5])


@given(PRICES, PERIOD, st.floats(0.5, 4))
def test_bollinger_is_mean_and_width_times_std(prices, period, width):
    bollinger = Bollinger(period, width)
    for price, window in zip(prices, windows(prices, period), strict=True):
        bands = bollinger.update(price)
        assert (bands is None) == (window is None)
        if window is not None and bands is not None:
            mean, std, scale = window.mean(), window.std(), window.max() * width
            assert close(bands.lower, mean - width * std, scale)
            assert close(bands.middle, mean, scale)
            assert close(bands.upper, mean + width * std, scale)


@given(PRICES, PERIOD)
def test_ema_is_the_recursion_begun_with_the_sma(prices, period):
    ema, weight = EMA(period), 2 / (period + 1)
    for count, price in enumerate(prices, 1):
        value = ema.update(price)
        if count < period:
            assert value is None
            continue
        expected = np.mean(prices[:period])
        for later in prices[period:count]:
            expected = weight * later + (1 - weight) * expected
        assert close(value, expected, max(prices[:count]))


def wilder(values, period):
    smooth = np.mean(values[:period])
    for value in values[period:]:
        smooth = (smooth * (period - 1) + value) / period
    return smooth


@given(PRICES, PERIOD)
def test_rsi_is_wilders(prices, period):
    rsi = RSI(period)
    for count, price in enumerate(prices, 1):
        value = rsi.update(price)
        if count < period + 1:
            assert value is None
            continue
        change = np.diff(prices[:count])
        gain, loss = wilder(np.maximum(change, 0), period), wilder(np.maximum(-change, 0), period)
        expected = 50.0 if gain + loss == 0 else 100 * gain / (gain + loss)
        assert 0 <= value <= 100
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-6)


BARS = st.lists(st.tuples(PRICE, PRICE, PRICE).map(sorted), max_size=60)


@given(BARS, PERIOD)
def test_atr_is_wilders(bars, period):
    atr, ranges, last = ATR(period), [], None
    for low, close_, high in bars:
        value = atr.update(high, low, close_)
        ranges.append(high - low if last is None else max(high, last) - min(low, last))
        last = close_
        assert value == atr.value
        if len(ranges) < period:
            assert value is None
        else:
            assert value == pytest.approx(wilder(ranges, period), rel=1e-9, abs=1e-9)


@given(PRICES, PERIOD)
def test_momentum_is_the_difference_over_period(prices, period):
    momentum = Momentum(period)
    for i, price in enumerate(prices):
        value = momentum.update(price)
        if i < period:
            assert value is None
        else:
            assert value == price - prices[i - period]
            assert momentum.rate == value / prices[i - period]


@pytest.mark.parametrize("kind", [SMA, EMA, Deviation, Bollinger, RSI, ATR, Momentum])
def test_a_period_below_one_is_refused(kind):
    with pytest.raises(ValueError, match="period was 0"):
        kind(0)
