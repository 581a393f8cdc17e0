from pathlib import Path

import numpy as np
import pytest
from bollinger_strategy import BollingerStrategy
from hypothesis import given
from hypothesis import strategies as st
from rsi_indicator import RsiIndicator

from ntp import PluginTester, SignalType
from tests.worlds.manifests import defaults, manifest_of
from tests.worlds.market import recording, ticks, told, told_in_two_lives

SHARED = Path(__file__).parents[4] / "shared" / "data"


def expected(
    prices: np.ndarray, grid: int, period: int, width: int
) -> list[tuple[int, SignalType]]:
    """Compute the same in whole numbers, where no tie is decided by rounding."""
    whole = np.round(prices * grid).astype(np.int64)
    whole -= whole.min()
    windows = np.lib.stride_tricks.sliding_window_view(whole, period)
    total = windows.sum(axis=1)
    away = period * whole[period - 1 :] - total
    spread = period * (windows**2).sum(axis=1) - total**2
    outside = away**2 > width**2 * spread
    made, last = [], None
    for i, (distance, out) in enumerate(zip(away.tolist(), outside.tolist(), strict=True)):
        if (last is SignalType.BUY and distance >= 0) or (
            last is SignalType.SELL and distance <= 0
        ):
            last = None
        side = SignalType.BUY if distance < 0 else SignalType.SELL
        if out and side is not last:
            made.append((i + period - 1, side))
            last = side
    return made


@pytest.mark.parametrize(("symbol", "count"), [("BTCUSDT", 132), ("ETHUSDT", 110)])
def test_on_the_recording_it_signals_what_whole_numbers_say(symbol: str, count: int):
    data = [tick for tick in recording() if tick.symbol == symbol]
    made = told(BollingerStrategy({}), data)
    prices = np.array([tick.price for tick in data])
    assert [(i, s.signal_type) for i, s in made] == expected(prices, 100, 20, 2)
    assert len(made) == count


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings in ../shared are not there")
@pytest.mark.parametrize(
    ("name", "grid"),
    [("fx_eurusd_ticks_20200101.csv", 1_000_000), ("crypto_btcperp_m1_202201.csv", 10)],
)
def test_on_other_markets_too(name: str, grid: int):
    prices = np.genfromtxt(SHARED / name, delimiter=",", skip_header=1, usecols=2)
    made = told(BollingerStrategy({}), ticks(prices.tolist()))
    assert [(i, s.signal_type) for i, s in made] == expected(prices, grid, 20, 2)
    assert 0 < len(made) < len(prices) / 20


def test_a_runner_gives_each_symbol_an_object_and_each_signal_a_size():
    result = PluginTester(BollingerStrategy, {"position_size": 0.02}).run(recording())
    assert len(result.signals) == 132 + 110
    assert result.refused == 0
    for signal in result.signals:
        assert signal.size is not None
        assert signal.size * signal.price == pytest.approx(10_000 * 0.02)


def test_the_rsi_has_to_agree_where_it_is_sent():
    alone = PluginTester(BollingerStrategy).run(recording())
    result = PluginTester(
        BollingerStrategy, indicators={"rsi_indicator": RsiIndicator({"period": 14})}
    ).run(recording())
    assert 0 < len(result.signals) < len(alone.signals)
    ignored = PluginTester(
        BollingerStrategy, {"rsi": ""}, indicators={"rsi_indicator": RsiIndicator({})}
    ).run(recording())
    assert len(ignored.signals) == len(alone.signals)


def test_it_signals_once_until_the_price_is_back_at_the_middle():
    calm = [100.0, 101.0] * 10
    data = ticks([*calm, 95.0, 94.0, 93.0, *calm, 90.0])
    assert [(i, s.signal_type) for i, s in told(BollingerStrategy({}), data)] == [
        (20, SignalType.BUY),
        (43, SignalType.BUY),
    ]


def test_a_signal_that_the_rsi_held_back_is_made_once_it_agrees():
    calm = [100.0, 101.0] * 10
    rsi = [50.0] * 20 + [31.0, 30.0, 10.0]
    made = told(BollingerStrategy({}), ticks([*calm, 95.0, 93.0, 90.0], rsi))
    assert [i for i, _ in made] == [21]


def test_equal_prices_are_never_outside():
    assert told(BollingerStrategy({}), ticks([0.1 + 0.2] * 500)) == []


@given(
    period=st.integers(6, 40),
    prices=st.lists(st.floats(1e-3, 1e6), min_size=50, max_size=200),
)
def test_confidence_lies_between_0_and_1(period: int, prices: list[float]):
    for _, signal in told(BollingerStrategy({"period": period, "std_dev": 1.0}), ticks(prices)):
        assert 0.0 <= signal.confidence <= 1.0


def test_confidence_is_how_far_beyond_the_band_it_could_be():
    seen = [s.confidence for _, s in told(BollingerStrategy({}), recording()[:5000])]
    assert len(set(seen)) > len(seen) / 3
    assert min(seen) < 0.1
    alone = [100.0] * 19 + [90.0]  # one price apart from all others: as far as any can be
    ((_, signal),) = told(BollingerStrategy({}), ticks(alone))
    assert signal.confidence == pytest.approx(1.0)


@pytest.mark.parametrize("cut", [1, 19, 20, 777, 4000])
def test_a_life_that_goes_on_from_a_snapshot_signals_as_if_it_never_ended(cut: int):
    data = [tick for tick in recording() if tick.symbol == "BTCUSDT"]
    assert told_in_two_lives(BollingerStrategy, data, cut) == told(BollingerStrategy({}), data)


def test_a_snapshot_of_another_config_is_left_aside():
    data = recording()[:3000]
    first, second = BollingerStrategy({}), BollingerStrategy({"period": 10})
    told(first, data)
    second.restore(first.snapshot())
    assert told(second, data) == told(BollingerStrategy({"period": 10}), data)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"period": 1}, "period was 1"),
        ({"period": 20.5}, "period was 20.5"),
        ({"std_dev": 0}, "std_dev was 0"),
        ({"std_dev": 4.3}, r"std_dev was 4\.3, and of 20 prices none is ever 4\.25 deviations"),
        ({"position_size": 2}, "position_size was 2"),
        ({"rsi_low": "low"}, "rsi_low was 'low'"),
    ],
)
def test_a_config_that_cannot_work_is_refused_by_name(config: dict, words: str):
    with pytest.raises(ValueError, match=words):
        BollingerStrategy(config)


def test_the_manifest_says_what_the_code_does():
    manifest = manifest_of(BollingerStrategy({}), Path(__file__).parents[1])
    strategy = BollingerStrategy(defaults(manifest))
    data = recording()[:3000]
    assert told(strategy, data) == told(BollingerStrategy({}), data)
