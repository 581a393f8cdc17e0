"""Figures of a small run, worked out by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ntp.contract.messages import Fill, FillReason, MarketData, Side
from ntp.statistics import EquityCurve, assess
from ntp.statistics.drawdown import Falls
from ntp.statistics.returns import UndefinedError
from ntp.statistics.trading import Profits

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def at(day):
    return START + day * DAY


def tick(day, price):
    return MarketData(at(day), "BTC", price, 1.0)


def fill(day, side, price, quantity="2", fee="1"):
    return Fill(str(day), "", "paper", "alpha", "BTC", side, Decimal(quantity), Decimal(price), Decimal(fee),
                Decimal(0), FillReason.SIGNAL, at(day), str(day))  # fmt: skip


@pytest.fixture
def found():
    """Bought 2 at 101 (last price 100), sold them at 119 (120); bought 1 at 90, which is worth 95 at the end."""
    curve, fills = EquityCurve(Decimal(1000)), []
    for day, price in enumerate([100.0, 120.0, 80.0, 120.0, 90.0, 95.0]):
        curve.add(tick(day, price))
        for one in {
            0: [fill(0, Side.BUY, "101")],
            3: [fill(3, Side.SELL, "119")],
            4: [fill(4, Side.BUY, "90", quantity="1", fee="0.5")],
        }.get(day, []):
            curve.fill(one)
            fills.append(one)
    return assess(fills, curve, strategy="alpha")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("equity", Decimal("1038.5")),  # 1000 + 36 + 5 - 2.5
        ("net_profit", Decimal("38.5")),
        ("realised", Decimal(36)),
        ("unrealised", Decimal(5)),
        ("fees", Decimal("2.5")),
        ("slippage", Decimal(4)),  # 2 * 1 at entry and 2 * 1 at exit
        ("costs", Decimal("6.5")),
        ("gross_profit", Decimal(45)),
        ("total_return", 0.0385),
        ("buy_and_hold", pytest.approx(-0.05)),
        ("trades", 1),
        ("open_trades", 1),
        ("win_rate", 1.0),
        ("expectancy", Decimal(34)),
        ("expectancy_share", 34 / 202),
        ("average_win", Decimal(34)),
        ("best_trade", Decimal(34)),
        ("average_length", 3 * 86_400.0),
        ("fills", 3),
        ("traded", Decimal(202 + 238 + 90)),
        ("turnover", 0.53),
        ("turnover_year", pytest.approx(0.53 * 365.25 / 5)),
        ("exposure", 4 / 5),
        # At the top 997 + 40, at the bottom 997 - 40.
        ("max_drawdown", pytest.approx(80 / 1037)),
        ("max_drawdown_peak", at(1)),
        ("max_drawdown_trough", at(2)),
        ("max_drawdown_length", 2 * 86_400.0),
        # The price of the peak comes again just before the sale.
        ("max_drawdown_recovered", at(3)),
    ],
)
def test_a_figure_is_what_a_hand_makes_of_it(found, key, expected):
    assert found[key] == expected


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("average_loss", "no closed trade lost"),
        ("profit_factor", "no closed trade lost"),
        ("sqn", "needs at least 2 closed trades; there was 1"),
        ("cagr", "too short for a growth a year: fewer than 20 days had ticks"),
    ],
)
def test_a_figure_without_a_value_says_why(found, key, why):
    assert (found[key], found.figure(key).why) == (None, why)


def test_exposure_goes_up_at_a_fill_and_down_at_the_next(found):
    steps = [(round((time - START.timestamp()) / 86_400, 3), round(value, 4)) for time, value in zip(found.exposure.times, found.exposure.values, strict=True)]  # fmt: skip

    assert steps[:2] == [(0, 0), (0, round(200 / 997, 4))]
    assert (3, 0) in steps
    assert steps[-1] == (5, round(95 / 1038.5, 4))


X = [Decimal(each) for each in (10, -5, 0, 20, -5)]


def test_figures_of_trades_are_by_their_formulae():
    profits = Profits.of(X)
    assert profits.win_rate() == 2 / 5
    assert profits.factor() == 3.0
    assert profits.payoff() == 3.0
    assert (profits.best(), profits.worst(), profits.average()) == (20, -5, 4)
    # Mean 4, deviation sqrt((36 + 81 + 16 + 256 + 81) / 4).
    assert profits.system_quality() == pytest.approx(5**0.5 * 4 / (470 / 4) ** 0.5)
    assert (profits.longest_wins, Profits.of(X[1:2] * 2 + X).longest_losses) == (1, 2)
    with pytest.raises(UndefinedError, match="all closed trades brought the same"):
        Profits.of([Decimal(3)] * 4).system_quality()


def test_the_longest_fall_need_not_be_the_deepest():
    falls = Falls(START, 100.0)
    for day, equity in enumerate([100, 50, 100, 100, 95, 96, 97, 98]):
        falls.note(at(day), equity, at(max(day - 1, 0)))

    deepest, longest = falls.deepest(at(7)), falls.longest(at(7))

    assert (deepest.depth, deepest.length, deepest.recovered_at) == (0.5, 2 * DAY, at(2))
    assert (longest.depth, longest.length, longest.recovered_at) == (0.05, 4 * DAY, None)
    assert Falls(START, 100.0).deepest(START) is None


def test_ticks_that_the_engine_ignores_change_nothing():
    curve = EquityCurve(Decimal(1000))
    curve.add(tick(1, 100.0))
    curve.fill(fill(1, Side.BUY, "100", fee="0"))
    curve.add(tick(0, 1.0))
    curve.add(tick(2, float("nan")))
    curve.add(tick(2, 1e300))
    curve.add(tick(2, 110.0))

    assert curve.equity == 1020
    assert (curve.ticks, curve.stale, curve.unusable) == (2, 1, 2)


def test_a_dip_and_a_spike_of_one_tick_stay_in_the_line_of_a_long_run():
    curve = EquityCurve(Decimal(1000), most=64)
    curve.add(MarketData(START, "BTC", 1000.0, 1.0))
    curve.fill(fill(0, Side.BUY, "1000", quantity="1", fee="0"))
    # Neither is the lowest or the highest of all: those came first.
    prices = {1: 500.0, 3_017: 700.0, 3_517: 950.0}
    for number in range(1, 5_000):
        moment = START + timedelta(seconds=number)
        curve.add(MarketData(moment, "BTC", prices.get(number, 900.0), 1.0))

    line = curve.line

    assert len(line) < 80
    assert {500.0, 700.0, 950.0, 1000.0} <= set(line.values)
    assert curve.deepest.depth == 0.5


def test_a_fall_begins_at_the_last_moment_at_the_peak():
    curve = EquityCurve(Decimal(1000))
    for day in range(8):
        curve.add(tick(day, 100.0 if day < 6 else 90.0))
        if day == 5:
            curve.fill(fill(5, Side.BUY, "100", fee="1"))

    assert (curve.deepest.peak_at, curve.deepest.trough_at) == (at(5), at(6))
