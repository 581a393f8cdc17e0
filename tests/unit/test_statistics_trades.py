"""Trades without number: figures of all of them, and a list that does not grow."""

import random
import statistics
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sqrt

import pytest

from ntp.contract.messages import Fill, FillReason, MarketData, Side
from ntp.statistics import EquityCurve, assess, round_trips
from ntp.statistics.trades import MOST, Trades

START = datetime(2024, 1, 1, tzinfo=UTC)
QUARTER = MOST // 4


def fills(trades):
    """Buy and sell by turns, at prices of chance; the last one is not left."""
    choose = random.Random(1)
    for number in range(2 * trades + 1):
        side = Side.SELL if number % 2 else Side.BUY
        price = Decimal(choose.randint(9_000, 11_000)) / 100
        at = START + number * timedelta(seconds=choose.randint(1, 60))
        yield Fill(str(number), "", "paper", "alpha", "BTC", side, Decimal(1), price, Decimal("0.01"),
                   Decimal(0), FillReason.SIGNAL, at, str(number))  # fmt: skip


@pytest.fixture(scope="module")
def every():
    return round_trips(fills(8_000), {})


@pytest.fixture(scope="module")
def found():
    curve = EquityCurve(Decimal(100_000))
    curve.add(MarketData(START, "BTC", 100.0, 1.0))
    trades = Trades()
    for fill in fills(8_000):
        curve.fill(fill)
        trades.take(fill)
    return assess(trades, curve)


def test_figures_are_of_all(found, every):
    closed = [trip for trip in every if not trip.open]
    nets = [trip.net for trip in closed]
    assert (found["trades"], found["open_trades"]) == (8_000, 1)
    assert (found["best_trade"], found["worst_trade"]) == (max(nets), min(nets))
    assert found["expectancy"] == pytest.approx(sum(nets) / len(nets), abs=Decimal("1e-8"))
    assert found["expectancy_share"] == statistics.fmean(trip.share for trip in closed)
    seconds = statistics.fmean(trip.length.total_seconds() for trip in closed)
    assert found["average_length"] == pytest.approx(seconds, rel=1e-12)
    floats = [float(net) for net in nets]
    quality = sqrt(len(nets)) * statistics.fmean(floats) / statistics.stdev(floats)
    assert found["sqn"] == pytest.approx(quality, rel=1e-9)


def test_the_first_the_latest_the_best_and_the_worst_are_listed(found, every):
    closed = [trip for trip in every if not trip.open]
    ranked = sorted(closed, key=lambda trip: trip.net)
    chosen = closed[:QUARTER] + closed[-QUARTER:] + ranked[:QUARTER] + ranked[-QUARTER:]
    numbers = {trip.number for trip in chosen} | {every[-1].number}
    assert [trip.number for trip in found.trips] == sorted(numbers)
    assert len(found.trips) <= MOST + 1


def test_it_says_that_not_all_are_listed(found):
    assert f"{len(found.trips):,} of 8,001 trades are listed one by one" in found.cautions[-1]


def test_of_few_all_are_listed_and_nothing_is_said():
    curve = EquityCurve(Decimal(100_000))
    curve.add(MarketData(START, "BTC", 100.0, 1.0))
    found = assess(fills(100), curve)
    assert found.trips == round_trips(fills(100), curve.marks, curve.end)
    assert not any("listed" in each for each in found.cautions)
