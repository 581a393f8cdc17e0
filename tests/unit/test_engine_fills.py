from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ntp.contract.messages import FillReason, MarketData, Side
from ntp.engine.fills import Costs, market_price, protective_price, triggered

D = Decimal
NOW = datetime(2026, 1, 2, tzinfo=UTC)
FREE = Costs(D(0), D(0), D(0), D(0))


def tick(price: float, bid: float | None = None, ask: float | None = None) -> MarketData:
    return MarketData(NOW, "BTC", price, 1.0, bid, ask)


def test_a_market_order_meets_the_other_side_of_the_spread():
    quoted = tick(100.0, bid=99.5, ask=100.25)
    assert market_price(Side.BUY, quoted, FREE) == D("100.25")
    assert market_price(Side.SELL, quoted, FREE) == D("99.5")


def test_without_a_quote_half_the_stated_spread_is_paid():
    costs = Costs(D(0), D(0), D(0), half_spread=D("0.001"))
    assert market_price(Side.BUY, tick(200.0), costs) == D("200.2")
    assert market_price(Side.SELL, tick(200.0), costs) == D("199.8")


@pytest.mark.parametrize("quote", [0.0, -1.0, float("nan"), float("inf")])
def test_a_quote_that_is_none_counts_as_missing(quote: float):
    assert market_price(Side.SELL, tick(200.0, bid=quote, ask=quote), FREE) == D(200)


def test_slippage_is_a_share_and_an_amount_a_unit():
    costs = Costs(D(0), slippage=D("0.01"), slippage_fixed=D("0.5"), half_spread=D(0))
    assert market_price(Side.BUY, tick(100.0), costs) == D("101.5")
    assert market_price(Side.SELL, tick(100.0), costs) == D("98.5")


def test_a_negative_price_still_costs_the_trader():
    costs = Costs(D(0), slippage=D("0.01"), slippage_fixed=D(0), half_spread=D("0.02"))
    assert market_price(Side.BUY, tick(-50.0), costs) > D(-50)
    assert market_price(Side.SELL, tick(-50.0), costs) < D(-50)
    slipping = Costs(D(0), slippage=D("0.01"), slippage_fixed=D(0), half_spread=D(0))
    assert market_price(Side.BUY, tick(-50.0), slipping) == D("-49.5")
    assert market_price(Side.SELL, tick(-50.0), slipping) == D("-50.5")


def test_a_fill_is_rounded_against_the_trader():
    costs = Costs(D(0), slippage=D("1e-12"), slippage_fixed=D(0), half_spread=D(0))
    assert market_price(Side.BUY, tick(0.3), costs) == D("0.300000000001")
    assert market_price(Side.SELL, tick(0.3), costs) == D("0.299999999999")


@pytest.mark.parametrize(
    ("side", "level", "price", "filled"),
    [
        (Side.SELL, "95", 95.0, "95"),
        (Side.SELL, "95", 90.0, "90"),  # a gap through the stop of a long position
        (Side.SELL, "105", 110.0, "105"),  # a gap beyond its take-profit is no gift
        (Side.BUY, "105", 111.0, "111"),
        (Side.BUY, "95", 90.0, "95"),
    ],
)
def test_a_protective_order_is_filled_at_the_worse_of_level_and_tick(side, level, price, filled):
    assert protective_price(side, D(level), tick(price), FREE) == D(filled)


def test_a_protective_order_pays_spread_and_slippage_too():
    costs = Costs(D(0), slippage=D("0.01"), slippage_fixed=D(0), half_spread=D(0))
    assert protective_price(Side.SELL, D(95), tick(94.0, bid=90.0), costs) == D("89.1")


@pytest.mark.parametrize(
    ("side", "price", "reason"),
    [
        (Side.SELL, 95.0, FillReason.STOP_LOSS),
        (Side.SELL, 95.1, None),
        (Side.SELL, 105.1, FillReason.TAKE_PROFIT),
    ],
)
def test_a_long_position_is_left_below_its_stop_or_above_its_profit(side, price, reason):
    assert triggered(side, price, D(95), D("105.1")) == reason


@pytest.mark.parametrize(
    ("price", "reason"),
    [(105.0, FillReason.STOP_LOSS), (100.0, None), (95.0, FillReason.TAKE_PROFIT)],
)
def test_a_short_position_is_left_the_other_way_round(price, reason):
    assert triggered(Side.BUY, price, D(105), D(95)) == reason


@pytest.mark.parametrize("level", ["0.1", "0.3"])  # as a double: above it, and below
@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
def test_a_price_that_reads_like_the_level_is_at_it(side, level):
    at = float(level)
    assert triggered(side, at, D(level), None) is FillReason.STOP_LOSS
    assert triggered(side, at, None, D(level)) is FillReason.TAKE_PROFIT


def test_the_stop_is_asked_before_the_profit():
    assert triggered(Side.SELL, 100.0, D(101), D(99)) is FillReason.STOP_LOSS
    assert triggered(Side.SELL, 100.0, None, None) is None


def test_the_fee_is_a_share_of_what_was_traded_rounded_up():
    assert Costs(fee_rate=D("0.001")).fee(D("0.00000123")) == D("0.00000001")
    assert Costs(fee_rate=D("0.001")).fee(D(-5000)) == D(5)


def test_costs_are_read_as_a_person_wrote_them():
    costs = Costs.of({"fee_rate": 0.00075, "slippage_fixed": 2, "period": 20})
    assert costs == Costs(fee_rate=D("0.00075"), slippage_fixed=D(2))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fee_rate", -0.1),
        ("fee_rate", 1),
        ("slippage", "much"),
        ("half_spread", float("nan")),
        ("slippage_fixed", -1),
        ("fee_rate", True),
    ],
)
def test_costs_that_cannot_be_are_refused_by_name(name: str, value: object):
    with pytest.raises(ValueError, match=f"{name} was .*; give a number from 0"):
        Costs.of({name: value})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"latency_s": -1}, "latency_s was -1; give seconds from 0 to 86400"),
        ({"latency_s": 1e6}, "latency_s was 1000000.0; give seconds"),
        ({"volume_share": 0}, "volume_share was 0; give a number above 0 and up to 1, or leave it"),
        ({"volume_share": 1.5}, "volume_share was 1.5; give a number above 0"),
        ({"volume_share": "much"}, "volume_share was 'much'; give a number"),
    ],
)
def test_what_is_no_latency_and_no_share_is_refused(config, words):
    with pytest.raises(ValueError, match=words):
        Costs.of(config)


def test_a_share_of_a_volume_is_rounded_down_and_of_none_there_is_nothing():
    costs = Costs.of({"volume_share": 0.1})
    assert costs.most(0.12345678912) == D("0.01234567")
    assert [costs.most(volume) for volume in (0.0, -1.0, float("nan"), 1e-9)] == [0, 0, 0, 0]
    assert Costs().most(0.0) is None
