from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsi_indicator import RsiIndicator

from ntp import MarketData, PluginTester
from tests.worlds.manifests import defaults, manifest_of
from tests.worlds.market import recording


def expected(prices: np.ndarray, period: int) -> np.ndarray:
    """Wilder's smoothing written out: each average is a weighted sum of all moves so far."""
    moves = np.diff(prices)
    keep = (period - 1) / period
    result = []
    for end in range(period, len(moves) + 1):
        later = end - period
        weights = np.full(end, keep**later / period)
        weights[period:] = keep ** np.arange(later - 1, -1, -1) / period
        gain = weights @ np.maximum(moves[:end], 0)
        loss = weights @ np.maximum(-moves[:end], 0)
        result.append(100 * gain / (gain + loss) if gain + loss else 50.0)
    return np.array(result)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_on_the_recording_it_is_the_written_out_formula(symbol: str):
    data = [tick for tick in recording() if tick.symbol == symbol][:2500]
    result = PluginTester(RsiIndicator, {"period": 14}).run(data)
    assert len(result.values) == len(data)
    assert result.values[:14] == [None] * 14
    prices = np.array([tick.price for tick in data])
    # A weighted sum and a recursion round differently, and the averages can become tiny.
    np.testing.assert_allclose(result.values[14:], expected(prices, 14), atol=1e-6)


def test_two_symbols_do_not_mix():
    data = recording()[:4000]
    mixed = PluginTester(RsiIndicator).run(data)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        alone = PluginTester(RsiIndicator).run([t for t in data if t.symbol == symbol])
        assert alone.values == [
            value for tick, value in zip(data, mixed.values, strict=True) if tick.symbol == symbol
        ]


@given(st.lists(st.floats(1e-3, 1e6), max_size=100), st.integers(1, 20))
def test_it_lies_between_0_and_100(prices: list[float], period: int):
    indicator = RsiIndicator({"period": period})
    start = datetime(2026, 1, 2, tzinfo=UTC)
    values = [indicator.update(MarketData(start, "A", price, 1.0)) for price in prices]
    assert all(value is None or 0 <= value <= 100 for value in values)
    assert sum(value is None for value in values) == min(period, len(values))


@pytest.mark.parametrize("cut", [1, 14, 15, 500])
def test_a_life_that_goes_on_from_a_snapshot_values_as_if_it_never_ended(cut: int):
    data = [tick for tick in recording() if tick.symbol == "ETHUSDT"][:1000]
    whole, first, second = RsiIndicator({}), RsiIndicator({}), RsiIndicator({})
    before = [first.update(tick) for tick in data[:cut]]
    second.restore(msgspec.json.decode(msgspec.json.encode(first.snapshot())))
    after = [second.update(tick) for tick in data[cut:]]
    assert before + after == [whole.update(tick) for tick in data]
    other = RsiIndicator({"period": 3})
    other.restore(first.snapshot())
    assert other.update(data[0]) is None


@pytest.mark.parametrize("period", [0, -1, 1.5, "14", True])
def test_a_period_that_is_none_is_refused_by_name(period: object):
    with pytest.raises(ValueError, match="period was"):
        RsiIndicator({"period": period})


def test_the_manifest_says_what_the_code_does():
    manifest = manifest_of(RsiIndicator({}), Path(__file__).parents[1])
    assert defaults(manifest) == {"period": 14}
