from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from momentum_strategy import MomentumStrategy

from ntp import PluginTester, SignalType
from tests.worlds.manifests import defaults, manifest_of
from tests.worlds.market import recording, ticks, told, told_in_two_lives

SHARED = Path(__file__).parents[4] / "shared" / "data"


def expected(prices: np.ndarray, grid: int) -> list[tuple[int, SignalType]]:
    """Compute the same for 14 and 0.7 in whole numbers, where no tie is decided by rounding."""
    whole = np.round(prices * grid).astype(np.int64)
    moved = np.flatnonzero(np.diff(whole, prepend=whole[0] - 1))
    steps = np.diff(whole[moved])
    windows = np.lib.stride_tricks.sliding_window_view(steps, 14)
    net, path = windows.sum(axis=1), np.abs(windows).sum(axis=1)
    made, last = [], 0
    for at, n, p in zip(moved[14:].tolist(), net.tolist(), path.tolist(), strict=True):
        if n * last <= 0:
            last = 0
        side = (n > 0) - (n < 0)
        if 10 * abs(n) >= 7 * p and side != last:
            made.append((at, SignalType.BUY if side > 0 else SignalType.SELL))
            last = side
    return made


@pytest.mark.parametrize(("symbol", "count"), [("BTCUSDT", 85), ("ETHUSDT", 52)])
def test_on_the_recording_it_signals_what_whole_numbers_say(symbol: str, count: int):
    data = [tick for tick in recording() if tick.symbol == symbol]
    made = told(MomentumStrategy({}), data)
    prices = np.array([tick.price for tick in data])
    assert [(i, s.signal_type) for i, s in made] == expected(prices, 100)
    assert len(made) == count


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings in ../shared are not there")
@pytest.mark.parametrize(
    ("name", "grid"),
    [("fx_eurusd_ticks_20200101.csv", 1_000_000), ("crypto_btcperp_m1_202201.csv", 10)],
)
def test_on_other_markets_too(name: str, grid: int):
    prices = np.genfromtxt(SHARED / name, delimiter=",", skip_header=1, usecols=2)
    made = told(MomentumStrategy({}), ticks(prices.tolist()))
    assert [(i, s.signal_type) for i, s in made] == expected(prices, grid)
    assert 0 < len(made) < len(prices) / 100


def test_a_runner_gives_each_symbol_an_object_and_each_signal_a_size():
    result = PluginTester(MomentumStrategy, {"position_size": 0.5}).run(recording())
    assert len(result.signals) == 85 + 52
    assert result.refused == 0
    for signal in result.signals:
        assert signal.size is not None
        assert signal.size * signal.price == pytest.approx(5_000)


def test_a_straight_line_is_1_and_is_told_once():
    strategy = MomentumStrategy({})
    made = told(strategy, ticks([100.0 + i for i in range(50)]))
    assert [(i, s.signal_type, s.confidence) for i, s in made] == [(14, SignalType.BUY, 1.0)]
    assert strategy.get_indicators() == {"momentum": 1.0}


def test_a_turn_is_told_in_its_turn():
    up, down = [100.0 + i for i in range(20)], [119.0 - i for i in range(40)]
    made = told(MomentumStrategy({}), ticks(up + down))
    assert [s.signal_type for _, s in made] == [SignalType.BUY, SignalType.SELL]


def test_ticks_that_repeat_the_price_are_no_moves():
    once = told(MomentumStrategy({}), ticks([100.0 + i for i in range(20)]))
    repeated = told(MomentumStrategy({}), ticks([100.0 + i // 5 for i in range(100)]))
    assert [s.price for _, s in once] == [s.price for _, s in repeated]


def test_going_back_and_forth_is_no_momentum():
    assert told(MomentumStrategy({}), ticks([100.0, 101.0] * 200)) == []


@given(prices=st.lists(st.floats(1e-3, 1e6), max_size=200), lookback=st.integers(2, 20))
def test_confidence_and_momentum_keep_their_bounds(prices: list[float], lookback: int):
    strategy = MomentumStrategy({"lookback": lookback, "threshold": 0.1})
    for _, signal in told(strategy, ticks(prices)):
        assert 0.0 <= signal.confidence <= 1.0
    assert all(-1.0 <= value <= 1.0 for value in strategy.get_indicators().values())


@given(
    st.lists(st.floats(1.0, 1e6), min_size=20, max_size=100), st.sampled_from([0.5, 2.0, 1024.0])
)
def test_the_unit_of_the_price_does_not_matter(prices: list[float], factor: float):
    one = told(MomentumStrategy({}), ticks(prices))
    other = told(MomentumStrategy({}), ticks([price * factor for price in prices]))
    assert [(i, s.signal_type) for i, s in one] == [(i, s.signal_type) for i, s in other]


@pytest.mark.parametrize("cut", [1, 19, 20, 777, 4000])
def test_a_life_that_goes_on_from_a_snapshot_signals_as_if_it_never_ended(cut: int):
    data = [tick for tick in recording() if tick.symbol == "BTCUSDT"]
    assert told_in_two_lives(MomentumStrategy, data, cut) == told(MomentumStrategy({}), data)


def test_a_snapshot_of_another_config_is_left_aside():
    data = recording()[:3000]
    first, second = MomentumStrategy({}), MomentumStrategy({"lookback": 10})
    told(first, data)
    second.restore(first.snapshot())
    assert told(second, data) == told(MomentumStrategy({"lookback": 10}), data)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"lookback": 1}, "lookback was 1"),
        ({"lookback": "14"}, "lookback was '14'"),
        ({"threshold": 0}, "threshold was 0"),
        ({"threshold": 1}, "threshold was 1"),
        ({"threshold": 70}, "threshold was 70"),
        ({"position_size": True}, "position_size was True"),
    ],
)
def test_a_config_that_cannot_work_is_refused_by_name(config: dict, words: str):
    with pytest.raises(ValueError, match=words):
        MomentumStrategy(config)


def test_the_manifest_says_what_the_code_does():
    manifest = manifest_of(MomentumStrategy({}), Path(__file__).parents[1])
    strategy = MomentumStrategy(defaults(manifest))
    data = recording()[:3000]
    assert told(strategy, data) == told(MomentumStrategy({}), data)
