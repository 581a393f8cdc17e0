"""What a limit keeps from being opened, and what passes it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ntp.contract.launch import Trading
from ntp.contract.messages import MarketData, SignalType, TradingSignal
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.engine.orders import Order
from ntp.engine.portfolio import Portfolio
from ntp.engine.risk import Limits, Pace

D = Decimal
START = datetime(2026, 1, 2, tzinfo=UTC)
BUY, SELL = SignalType.BUY, SignalType.SELL
FREE = Costs(D(0), D(0), D(0), D(0))


class Floor:
    """A desk without costs."""

    def __init__(self, risk: dict, portfolio: Portfolio | None = None, name: str = "st", **trading):
        self.desk = Desk("paper", name, Trading(risk=risk, **trading), FREE, portfolio=portfolio)
        self.time = START
        self.signals = 0

    def wish(self, kind, size=1.0, symbol="BTC"):
        self.signals += 1
        signal = TradingSignal(symbol, kind, 0.5, 100.0, size)
        return self.desk.signal(f"{self.desk.strategy}{self.signals}", signal, self.time)

    def tick(self, price, symbol="BTC", *, later=1.0):
        self.time += timedelta(seconds=later)
        self.desk.tick(MarketData(self.time, symbol, price, 1.0, id=str(self.time)))


def test_what_would_be_held_is_limited_by_its_worth_at_the_last_price():
    floor = Floor({"max_position": "5000"}, pyramid=9)
    floor.tick(1800.0)
    assert isinstance(floor.wish(BUY, 2.0), Order)
    words = "refused: max_position is 5,000 and 7,200 of BTC would be held"
    assert floor.wish(BUY, 2.0) == words, "what waits counts"
    floor.tick(1800.0)
    assert floor.wish(BUY, 2.0) == words
    assert isinstance(floor.wish(BUY, 0.5, "ETH"), Order), "of one symbol"
    floor.tick(1000.0)
    assert isinstance(floor.wish(BUY, 3.0), Order), "exactly so much may be held"
    assert (floor.desk.refused, floor.desk.limited) == (2, "")


def test_what_closes_passes_every_limit_and_the_half_of_a_turn_that_opens_does_not():
    floor = Floor({"max_position": "100", "max_orders_per_minute": 1}, short=True)
    floor.tick(100.0)
    floor.wish(BUY)
    floor.tick(100.0)
    order = floor.wish(SELL, 2.0)
    assert (order.quantity, order.layers) == (1, 0)
    assert order.why == "max_position is 100 and 200 of BTC would be held"
    floor.tick(100.0)
    assert floor.desk.book.positions == {}


@pytest.mark.parametrize(
    ("limit", "said"), [("2%", "2% (200)"), ("200", "200"), (200, "200"), ("1.99%", "1.99% (199)")]
)
def test_after_the_loss_of_a_day_nothing_is_opened_until_the_next(limit, said):
    floor = Floor({"max_daily_loss": limit}, pyramid=9)
    floor.tick(1000.0)
    floor.wish(BUY)
    floor.tick(1000.0)
    floor.tick(801.01)
    assert isinstance(floor.wish(BUY, symbol="ETH"), Order)
    floor.tick(800.0)
    words = f"refused: max_daily_loss is {said} and 200 were lost on 2026-01-02 (UTC)"
    assert floor.wish(BUY) == words
    floor.tick(500.0, later=86_400)
    assert isinstance(floor.wish(BUY), Order), "the new day begins with what is there"
    floor.tick(500.0)
    floor.tick(300.0)
    assert floor.wish(BUY).endswith("were lost on 2026-01-03 (UTC)")


def test_capital_that_is_put_in_or_taken_out_is_no_loss_of_the_day():
    floor = Floor({"max_daily_loss": "100"})
    floor.tick(100.0)
    floor.desk.put_in(D(-500))
    assert isinstance(floor.wish(BUY), Order)


def test_orders_of_the_last_minute_of_event_time_are_counted():
    floor = Floor({"max_orders_per_minute": 2}, pyramid=99)
    floor.tick(100.0)
    assert isinstance(floor.wish(BUY), Order)
    floor.tick(100.0, later=30)
    assert isinstance(floor.wish(BUY), Order)
    floor.tick(100.0, later=29.999)
    words = "refused: max_orders_per_minute is 2 and 2 were made in the minute before"
    assert floor.wish(BUY) == words
    floor.tick(100.0, later=0.001)
    assert isinstance(floor.wish(BUY), Order), "the first is a whole minute ago"
    assert floor.wish(BUY) == words


def test_a_pace_remembers_two_minutes_whenever_it_forgets():
    eager, lazy = Pace(), Pace()
    times = [START + timedelta(seconds=0.1 * each) for each in range(5_000)]
    for time in times:
        lazy.note(time)
    for time in times[-1200:]:
        eager.note(time)
    assert len(lazy._times) < 4_000
    for back in (0, 30, 90, 119, 150):
        asked = times[-1] - timedelta(seconds=back)
        assert (
            lazy.before(asked)
            == eager.before(asked)
            == (600 if back <= 60 else {90: 300, 119: 10, 150: 0}[back])
        )
    lazy.note(times[-1] - timedelta(seconds=30))
    assert lazy.before(times[-1]) == 601


def test_the_limits_of_an_executor_are_on_the_sum_over_its_strategies():
    portfolio = Portfolio(
        "paper_executor", Limits.of({"max_position": 1000, "max_orders_per_minute": 3})
    )
    one, two = (
        Floor({}, portfolio, "a", pyramid=9),
        Floor({}, portfolio, "b", pyramid=9, short=True),
    )
    for floor in (one, two):
        floor.tick(100.0)
    assert isinstance(one.wish(BUY, 6.0), Order)
    words = "refused: all strategies of paper_executor: max_position is 1,000 and 1,100 of BTC would be held"
    assert two.wish(SELL, 5.0) == words, "a short one is a position as well"
    assert isinstance(two.wish(SELL, 4.0), Order)
    assert isinstance(two.wish(BUY, 0.1, "ETH"), Order)
    assert one.wish(BUY, 0.1, "ETH").endswith("is 3 and 3 were made in the minute before")


def test_the_loss_of_an_executor_is_that_of_all_its_strategies_today():
    portfolio = Portfolio("paper", Limits.of({"max_daily_loss": "1%"}))
    one, two = Floor({}, portfolio, "a", pyramid=9), Floor({}, portfolio, "b", pyramid=9)
    for floor in (one, two):
        floor.tick(100.0)
        floor.wish(BUY, 2.0)
        floor.tick(100.0)
        floor.tick(50.0)
    assert one.wish(BUY).endswith("is 1% (200) and 200 were lost on 2026-01-02 (UTC)")
    one.tick(50.0, later=86_400)
    assert isinstance(one.wish(BUY), Order), "what was lost yesterday is not today's loss"


@pytest.mark.parametrize(
    "risk",
    [{"max_drawdown": 1}, {"max_position": -1}, {"max_daily_loss": "x%"}, {"max_position": 0}],
)
def test_what_is_no_limit_is_refused(risk):
    with pytest.raises(ValueError, match=r"max_|number"):
        Limits.of(risk)
