"""Orders that wait: for their latency, for volume, and when what they were for is gone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ntp.contract.launch import Trading
from ntp.contract.messages import Fill, FillReason, MarketData, SignalType, TradingSignal
from ntp.engine.changes import Change
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.engine.orders import Order, OrderState

D = Decimal
START = datetime(2026, 1, 2, tzinfo=UTC)
BUY, SELL = SignalType.BUY, SignalType.SELL


class Floor:
    """A desk without fees, and a clock that moves on a second a tick."""

    def __init__(self, *, latency: str = "0", share: str | None = None, **trading) -> None:
        costs = Costs(D(0), D(0), D(0), D(0), D(latency), None if share is None else D(share))
        self.desk = Desk("paper", "st", Trading(**trading), costs)
        self.ticks = self.signals = 0
        self.change: Change | None = None

    def wish(self, kind: SignalType, size: float = 1.0, **levels) -> Order | str:
        self.signals += 1
        signal = TradingSignal("BTC", kind, 0.5, 100.0, size, **levels)
        return self.desk.signal(f"s{self.signals}", signal, START + timedelta(seconds=self.ticks))

    def tick(self, price: float = 100.0, volume: float = 1.0) -> list[Fill]:
        self.ticks += 1
        time = START + timedelta(seconds=self.ticks)
        self.change = self.desk.tick(MarketData(time, "BTC", price, volume, id=f"t{self.ticks}"))
        return list(self.change.fills) if self.change else []

    @property
    def held(self) -> Decimal:
        position = self.desk.book.positions.get("BTC")
        return position.quantity if position else D(0)

    @property
    def waiting(self) -> list[tuple[str, Decimal, int]]:
        orders = self.desk.orders.get("BTC", [])
        return [(each.signal_id, each.rest, each.layers) for each in orders]


def test_an_order_is_filled_by_the_first_tick_at_or_after_its_latency():
    floor = Floor(latency="2.5")
    floor.tick()
    floor.wish(BUY)
    assert [floor.tick(), floor.tick()] == [[], []]
    (fill,) = floor.tick(101.0)
    assert (fill.tick_id, fill.price) == ("t4", 101)
    floor = Floor(latency="2")
    floor.tick()
    floor.wish(BUY)
    assert floor.tick() == []
    assert [fill.tick_id for fill in floor.tick()] == ["t3"], "exactly then will do"


def test_what_a_tick_has_no_volume_for_waits_for_the_next():
    floor = Floor(share="0.5")
    floor.wish(BUY, 2.0)
    fills = [*floor.tick(volume=1.0), *floor.tick(volume=0.0), *floor.tick(volume=2.0)]
    assert [(fill.id, fill.quantity) for fill in fills] == [
        ("paper:s1:signal", D("0.5")),
        ("paper:s1:signal:2", 1),
    ]
    (order,) = floor.change.orders
    assert (order.filled, order.parts, order.state) == (D("1.5"), 2, OrderState.WAITING)
    (last,) = floor.tick(volume=100.0)
    assert (last.id, last.quantity) == ("paper:s1:signal:3", D("0.5"))
    assert floor.change.orders[0].state is OrderState.FILLED
    assert (floor.held, floor.waiting) == (2, [])


def test_orders_share_the_volume_of_a_tick_in_their_order():
    floor = Floor(share="1", pyramid=2)
    floor.wish(BUY, 1.0)
    floor.wish(BUY, 1.0)
    assert [(fill.signal_id, fill.quantity) for fill in floor.tick(volume=1.5)] == [
        ("s1", 1),
        ("s2", D("0.5")),
    ]
    assert floor.wish(BUY) == "already long", "the rest counts as if it were filled"


def test_a_stop_that_finds_too_little_volume_goes_on_as_a_market_order():
    floor = Floor(share="1")
    floor.wish(BUY, 3.0, stop_loss=90.0)
    floor.tick(100.0, volume=3.0)
    (first,) = floor.tick(85.0, volume=1.0)
    assert (first.id, first.price, first.quantity) == ("paper:s1:stop_loss", 85, 1)
    assert floor.change.orders[0].state is OrderState.WAITING
    (second,) = floor.tick(95.0, volume=1.0)
    assert (second.id, second.price) == ("paper:s1:stop_loss:2", 95), "above the stop by now"
    floor.tick(80.0, volume=5.0)
    assert (floor.held, floor.waiting) == (0, [])


def test_a_stop_without_any_volume_is_not_forgotten():
    floor = Floor(share="1")
    floor.wish(BUY, stop_loss=90.0)
    floor.tick(100.0)
    assert floor.tick(85.0, volume=0.0) == []
    assert [order.reason for order in floor.change.orders] == [FillReason.STOP_LOSS]
    assert [fill.reason for fill in floor.tick(99.0)] == [FillReason.STOP_LOSS]


def test_a_stop_takes_what_would_have_closed_its_position_with_it():
    floor = Floor(latency="5")
    floor.wish(BUY, stop_loss=90.0)
    for _ in range(5):
        floor.tick(100.0)
    assert floor.held == 1
    floor.wish(SELL)
    assert [fill.reason for fill in floor.tick(80.0)] == [FillReason.STOP_LOSS]
    (order,) = floor.change.orders
    assert (order.state, order.why) == (
        OrderState.CANCELLED,
        "its position was left by the stop loss of s1",
    )
    for _ in range(9):
        assert floor.tick(100.0) == []
    assert floor.held == 0, "and nothing was sold that was not there"


def test_a_stop_leaves_the_half_of_a_turn_that_opens():
    floor = Floor(latency="5", short=True)
    floor.wish(BUY, stop_loss=90.0)
    for _ in range(5):
        floor.tick(100.0)
    floor.wish(SELL, 2.0)
    assert floor.waiting == [("s2", 3, 1)]
    floor.tick(80.0)
    assert floor.waiting == [("s2", 2, 1)]
    for _ in range(5):
        floor.tick(100.0)
    assert floor.held == -2


def test_a_stop_ends_the_order_that_still_builds_its_position():
    floor = Floor(share="1")
    floor.wish(BUY, 3.0, stop_loss=90.0)
    floor.tick(100.0, volume=1.0)
    assert floor.waiting == [("s1", 2, 1)]
    # No volume: nothing of the order is filled, so the stop is looked at.
    assert floor.tick(80.0, volume=0.0) == []
    assert [order.state for order in floor.change.orders] == ["cancelled", "waiting"]
    assert [fill.id for fill in floor.tick(80.0)] == ["paper:s1:stop_loss"]
    assert (floor.held, floor.waiting) == (0, [])


def test_a_halt_leaves_of_what_waits_only_what_closes():
    floor = Floor(latency="9", short=True, pyramid=3)
    floor.wish(BUY, 1.0)
    for _ in range(9):
        floor.tick()
    floor.wish(BUY, 2.0)
    floor.wish(SELL, 4.0)
    assert floor.waiting == [("s2", 2, 2), ("s3", 7, 1)]
    change = floor.desk.halt("halted by hand")
    assert floor.waiting == [("s3", 1, 0)]
    assert [(order.state, order.why) for order in change.orders] == [
        (OrderState.CANCELLED, "halted by hand"),
        (OrderState.WAITING, "halted by hand"),
    ]
    assert floor.wish(BUY) == "refused: halted by hand"
    assert floor.desk.halt("halted by hand").orders == (), "to be told again changes nothing"
    for _ in range(9):
        floor.tick()
    assert floor.held == 0
    floor.desk.resume()
    assert isinstance(floor.wish(BUY), Order)


def test_what_is_flattened_is_closed_by_the_next_tick_whatever_waits():
    floor = Floor(latency="9")
    floor.wish(BUY, 2.0, stop_loss=50.0)
    for _ in range(9):
        floor.tick()
    floor.wish(SELL)
    change = floor.desk.halt("halted by hand", flatten=True)
    assert [(each.reason, each.state) for each in change.orders] == [
        (FillReason.SIGNAL, OrderState.CANCELLED),
        (FillReason.FLATTEN, OrderState.WAITING),
    ]
    assert floor.desk.halt("halted by hand", flatten=True).orders == ()
    floor.desk.resume()
    (fill,) = floor.tick(40.0)
    assert (fill.id, fill.reason, fill.quantity) == ("paper:s1:flatten", FillReason.FLATTEN, 2)
    assert (floor.held, floor.waiting) == (0, [])
