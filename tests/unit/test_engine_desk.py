from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ntp.contract.launch import Trading
from ntp.contract.messages import Fill, FillReason, MarketData, Side, SignalType, TradingSignal
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.engine.orders import Order

D = Decimal
START = datetime(2026, 1, 2, tzinfo=UTC)
BUY, SELL, HOLD = SignalType.BUY, SignalType.SELL, SignalType.HOLD


class Floor:
    """A desk without costs, and a clock that moves on a second a tick."""

    def __init__(self, **trading) -> None:
        self.desk = Desk("paper", "st", Trading(**trading), Costs(D(0), D(0), D(0), D(0)))
        self.ticks = 0
        self.signals = 0

    def wish(self, kind: SignalType, size: float | None = 1.0, symbol: str = "BTC", **levels):
        self.signals += 1
        signal = TradingSignal(symbol, kind, 0.5, 100.0, size, **levels)
        return self.desk.signal(f"s{self.signals}", signal, START + timedelta(seconds=self.ticks))

    def tick(self, price: float, symbol: str = "BTC") -> list[Fill]:
        self.ticks += 1
        time = START + timedelta(seconds=self.ticks)
        change = self.desk.tick(MarketData(time, symbol, price, 1.0, id=f"t{self.ticks}"))
        return list(change.fills) if change else []

    def held(self, symbol: str = "BTC") -> Decimal:
        position = self.desk.book.positions.get(symbol)
        return position.quantity if position else D(0)


def test_an_order_waits_for_the_next_tick_of_its_symbol():
    floor = Floor()
    assert floor.tick(100.0) == []
    assert isinstance(floor.wish(BUY), Order)
    assert floor.tick(50.0, "ETH") == []
    (fill,) = floor.tick(101.0)
    assert (fill.price, fill.quantity, fill.side, fill.tick_id) == (D(101), D(1), Side.BUY, "t3")
    assert (fill.id, fill.signal_id) == ("paper:s1:signal", "s1")
    assert floor.tick(102.0) == []


def test_a_repeat_does_nothing():
    floor = Floor()
    floor.wish(BUY)
    assert floor.wish(BUY) == "already long", "counting what waits"
    floor.tick(100.0)
    assert floor.wish(BUY) == "already long"
    assert floor.tick(100.0) == []


def test_selling_goes_flat_whatever_its_size():
    floor = Floor()
    floor.wish(BUY, 2.0)
    floor.tick(100.0)
    floor.wish(SELL, None)
    (fill,) = floor.tick(110.0)
    assert (fill.quantity, fill.realised) == (D(2), D(20))
    assert floor.held() == 0
    assert floor.wish(SELL) == "already flat"


def test_selling_goes_short_where_that_is_allowed():
    floor = Floor(short=True)
    floor.wish(BUY, 2.0)
    floor.tick(100.0)
    floor.wish(SELL, 3.0)
    (fill,) = floor.tick(110.0)
    assert (fill.quantity, fill.realised, floor.held()) == (D(5), D(20), D(-3))
    assert floor.wish(SELL) == "already short"
    floor.wish(BUY, 1.0)
    floor.tick(100.0)
    assert (floor.held(), floor.desk.book.realised) == (D(1), D(50))


def test_a_short_position_of_an_entry_that_no_longer_allows_it_can_only_be_left():
    floor = Floor(short=True, pyramid=2)
    floor.wish(SELL, 2.0)
    floor.tick(100.0)
    floor.desk.trading = Trading(short=False, pyramid=2)
    assert floor.wish(SELL) == "already short"
    floor.wish(BUY, 1.0)
    floor.tick(100.0)
    assert floor.held() == 1


def test_hold_orders_nothing():
    floor = Floor()
    assert floor.wish(HOLD) == "hold"
    assert floor.tick(100.0) == []


def test_a_pyramid_has_as_many_layers_as_are_allowed():
    floor = Floor(pyramid=3)
    for _ in range(5):
        floor.wish(BUY)
        floor.tick(100.0)
    assert floor.held() == 3
    floor.wish(SELL)
    floor.tick(100.0)
    assert floor.held() == 0


def test_a_buy_and_a_sell_of_one_tick_are_both_executed():
    floor = Floor()
    floor.wish(BUY, 2.0)
    floor.wish(SELL)
    fills = floor.tick(100.0)
    assert [(f.side, f.quantity) for f in fills] == [(Side.BUY, D(2)), (Side.SELL, D(2))]
    assert floor.held() == 0


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, "size was None"),
        (0.0, "size was 0.0"),
        (-1.0, "size was -1.0"),
        (float("nan"), "size was nan"),
        (1e300, r"size was 1e\+300"),
        (1e-9, "size 1e-09 is below 1e-8"),
    ],
)
def test_a_size_that_is_none_is_refused_in_words(size, words):
    floor = Floor()
    outcome = floor.wish(BUY, size)
    assert isinstance(outcome, str)
    assert outcome.startswith("refused: ")
    assert words.replace("\\", "") in outcome
    assert floor.tick(100.0) == []


def test_a_level_that_is_no_price_is_refused():
    assert "no price" in str(Floor().wish(BUY, stop_loss=float("nan")))


def test_a_stop_is_looked_at_from_the_tick_after_the_entry_on():
    floor = Floor()
    floor.wish(BUY, stop_loss=95.0)
    (entry,) = floor.tick(94.0)
    assert entry.reason is FillReason.SIGNAL
    (left,) = floor.tick(93.0)
    assert (left.reason, left.price, left.realised) == (FillReason.STOP_LOSS, D(93), D(-1))
    assert (left.id, left.signal_id) == ("paper:s1:stop_loss", "s1")
    assert floor.held() == 0
    assert floor.tick(80.0) == []


def test_a_profit_is_taken_at_its_level():
    floor = Floor()
    floor.wish(BUY, take_profit=110.1)
    floor.tick(100.0)
    assert floor.tick(110.0) == []
    (left,) = floor.tick(110.1)
    assert (left.reason, left.price) == (FillReason.TAKE_PROFIT, D("110.1"))


def test_a_short_position_is_protected_the_other_way_round():
    floor = Floor(short=True)
    floor.wish(SELL, stop_loss=105.0, take_profit=90.0)
    floor.tick(100.0)
    (left,) = floor.tick(120.0)
    assert (left.reason, left.side, left.price) == (FillReason.STOP_LOSS, Side.BUY, D(120))


def test_levels_belong_to_the_position_that_its_signal_opened():
    floor = Floor()
    floor.wish(BUY, stop_loss=95.0)
    floor.tick(100.0)
    floor.wish(SELL)
    floor.tick(100.0)
    floor.wish(BUY)
    floor.tick(100.0)
    assert floor.tick(50.0) == []


def test_a_further_layer_moves_the_levels_that_it_names():
    floor = Floor(pyramid=2)
    floor.wish(BUY, stop_loss=95.0, take_profit=120.0)
    floor.tick(100.0)
    floor.wish(BUY, stop_loss=98.0)
    floor.tick(100.0)
    (left,) = floor.tick(97.0)
    assert (left.signal_id, left.quantity) == ("s2", D(2))
    floor.wish(BUY, take_profit=120.0)
    floor.tick(100.0)
    floor.wish(BUY)
    floor.tick(100.0)
    (left,) = floor.tick(125.0)
    assert left.price == D(120)


def test_an_order_that_leaves_goes_before_a_stop_of_the_same_tick():
    floor = Floor()
    floor.wish(BUY, stop_loss=95.0)
    floor.tick(100.0)
    floor.wish(SELL)
    (fill,) = floor.tick(90.0)
    assert fill.reason is FillReason.SIGNAL


def test_ticks_that_are_old_or_were_seen_change_nothing():
    floor = Floor()
    floor.tick(100.0)
    floor.wish(BUY)
    again = MarketData(START + timedelta(seconds=1), "BTC", 1.0, 1.0, id="t1")
    older = MarketData(START, "BTC", 1.0, 1.0, id="t0")
    assert floor.desk.tick(again) is None
    assert floor.desk.tick(older) is None
    assert floor.desk.stale == 2
    same_time = MarketData(START + timedelta(seconds=1), "BTC", 101.0, 1.0, id="t1b")
    change = floor.desk.tick(same_time)
    assert change is not None
    assert change.fills[0].price == D(101)


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 1e300])
def test_a_price_that_is_none_is_passed_over(price: float):
    floor = Floor()
    floor.wish(BUY)
    assert floor.tick(price) == []
    assert floor.desk.unusable == 1
    assert len(floor.tick(100.0)) == 1


def test_the_equity_curve_has_a_point_a_minute_and_one_at_each_fill():
    floor = Floor()
    points = []
    for second in range(1, 301):
        if second == 70:
            floor.wish(BUY)
        change = floor.desk.tick(
            MarketData(
                START + timedelta(seconds=second), "BTC", 100.0 + second, 1.0, id=str(second)
            )
        )
        if change is not None:
            points.append((second, change.sample.equity))
    # Nothing is held before 70, so the curve is flat and needs no point.
    assert points == [(s, D(10_000) + s - 70) for s in (70, 120, 180, 240, 300)]


def test_orders_of_symbols_that_nobody_trades_are_bounded():
    floor = Floor(pyramid=2)
    for number in range(10_000):
        assert isinstance(floor.wish(BUY, symbol=f"X{number}"), Order)
    assert floor.wish(BUY, symbol="BTC") == "refused: orders of 10,000 symbols wait for a tick"
    assert isinstance(floor.wish(BUY, symbol="X5"), Order), "it waits in the same place"
    assert len(floor.tick(1.0, "X5")) == 2
    assert isinstance(floor.wish(BUY, symbol="BTC"), Order)
