"""The author's own example runs as it is, for each symbol by itself."""

import importlib.util
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ntp import MarketData, PluginTester, SignalType
from ntp.contract.launch import Trading
from ntp.indicators import Bollinger
from ntp.layouts import open_files

FILE = Path(__file__).parents[1] / "fixtures" / "plugins" / "user_bollinger.py"
SHARED = Path(__file__).parents[3] / "shared" / "data"
TRADES = SHARED / "binance_spot_btcusdt_ethusdt_trades_20240808.csv"
CONFIG = {"period": 20, "std_dev": 2.0, "position_size": 0.02}
NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def strategy():
    spec = importlib.util.spec_from_file_location("user_bollinger", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BollingerBandsStrategy


def rows(count=400):
    """Two symbols in turn, 20,000 times apart in price, each a wave with jumps."""
    for i in range(count):
        for symbol, scale in (("BTCUSDT", 60_000.0), ("DOGEUSDT", 3.0)):
            jump = 0.05 if i % 37 == 0 else -0.05 if i % 41 == 0 else 0.0
            price = scale * (1 + 0.01 * math.sin(i / 7) + jump)
            yield MarketData(NOON + timedelta(seconds=i), symbol, price, 1.0)


def by_hand(ticks, period=20, width=2.0):
    """What the strategy means, computed from its definition over whole windows."""
    prices = {}
    for tick in ticks:
        window = prices.setdefault(tick.symbol, [])
        window.append(tick.price)
        if len(window) < period:
            continue
        mean, std = np.mean(window[-period:]), np.std(window[-period:])
        if tick.price < mean - width * std:
            yield tick.symbol, SignalType.BUY, tick.price, min(1.0, abs(tick.price - mean) / std)
        elif tick.price > mean + width * std:
            yield tick.symbol, SignalType.SELL, tick.price, min(1.0, abs(tick.price - mean) / std)


def test_each_symbol_is_seen_by_an_object_of_its_own():
    result = PluginTester(strategy(), CONFIG).run(rows())
    made = [(s.symbol, s.signal_type, s.price, s.confidence) for s in result.signals]
    assert made == list(by_hand(rows()))
    assert {symbol for symbol, *_ in made} == {"BTCUSDT", "DOGEUSDT"}
    assert (result.ticks, result.refused) == (800, 0)


def test_its_size_is_its_worth_in_quote_currency_divided_by_the_price():
    result = PluginTester(strategy()(CONFIG), trading=Trading(capital="50000")).run(rows())
    assert result.signals
    for signal in result.signals:
        worth = 50_000 * 0.25 * signal.confidence * 0.02
        assert signal.size == pytest.approx(worth / signal.price, rel=1e-12)
        assert type(signal.confidence) is float


def test_a_signals_id_names_strategy_symbol_tick_and_ordinal():
    result = PluginTester(strategy(), CONFIG, instance="bollinger").run(rows())
    first = result.messages[0]
    assert first.id == f"bollinger:{first.signal.symbol}:{first.tick.id}:0"
    assert first.tick.id == f"recording:{first.tick.seq}"
    assert [m.number for m in sorted(result.messages, key=lambda m: m.number)] == list(
        range(1, len(result.messages) + 1)
    )
    again = PluginTester(strategy(), CONFIG, instance="bollinger").run(rows())
    assert [m.id for m in again.messages] == [m.id for m in result.messages]


@pytest.mark.shared
@pytest.mark.skipif(not TRADES.exists(), reason="needs the recordings in ../shared")
def test_on_recorded_trades_it_agrees_with_the_incremental_bands():
    result = PluginTester(strategy(), CONFIG).run(TRADES)
    assert (result.ticks, result.refused) == (15_863, 0)
    bands, expected, ties = {}, [], 0
    for tick in open_files(TRADES):
        now = bands.setdefault(tick.symbol, Bollinger(20, 2.0)).update(tick.price)
        # Four of twenty prices at one value, sixteen at another: exactly two deviations off, where
        # only the rounding of the author's sums decides.
        tie = now and min(abs(tick.price - now.lower), abs(tick.price - now.upper)) < 1e-6
        ties += bool(tie)
        if now is not None and not tie and not now.lower <= tick.price <= now.upper:
            side = SignalType.BUY if tick.price < now.lower else SignalType.SELL
            expected.append((tick.symbol, side, tick.price))
    made = [(s.symbol, s.signal_type, s.price) for s in result.signals if not _tie(s)]
    assert made == expected
    assert len(expected) > 2000
    assert len(result.signals) - len(made) <= ties < 1000


def _tie(signal):
    bands = signal.metadata
    return min(abs(signal.price - bands["lower"]), abs(signal.price - bands["upper"])) < 1e-6
