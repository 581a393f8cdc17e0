"""Whatever comes, and whatever is halted meanwhile: no more is filled than was ordered, than a tick has
volume for, and than was there to close; nothing before its latency; and the books balance.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from ntp.contract.launch import Trading
from ntp.contract.messages import Fill, FillReason, MarketData, Side, SignalType, TradingSignal
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.engine.orders import Order, OrderState

D = Decimal
START = datetime(2026, 1, 2, 23, 59, tzinfo=UTC)
SYMBOLS = st.sampled_from(["BTC", "BTC", "BTC", "ETH"])
SIZES = st.sampled_from([0.3, 1.0, 2.5])
LEVELS = st.sampled_from([None, 80.0, 95.0, 105.0, 120.0])
TICKS = st.tuples(
    st.just("tick"), SYMBOLS, st.sampled_from([70.0, 90.0, 100.0, 110.0, 130.0]),
    st.sampled_from([0.0, 0.5, 1.0, 7.0]), st.sampled_from([0.0, 0.5, 3.0, 40.0]),
)  # fmt: skip
SIGNALS = st.tuples(st.just("signal"), SYMBOLS, st.sampled_from(SignalType), SIZES, LEVELS, LEVELS)
HALTS = st.sampled_from([("halt", False), ("halt", True), ("resume",)])
EVENTS = st.lists(TICKS | TICKS | SIGNALS | HALTS, max_size=60)
COSTS = st.builds(
    Costs,
    fee_rate=st.just(D("0.001")),
    slippage=st.just(D("0.0001")),
    latency_s=st.sampled_from([D(0), D("0.5"), D(3)]),
    volume_share=st.sampled_from([None, D("0.25"), D(1)]),
)
RISKS = st.fixed_dictionaries(
    {},
    optional={
        "max_position": st.sampled_from(["150", "1000"]),
        "max_daily_loss": st.sampled_from(["0.5%", "20"]),
        "max_orders_per_minute": st.sampled_from([1, 4]),
    },
)
TRADINGS = st.builds(Trading, short=st.booleans(), pyramid=st.integers(1, 3), risk=RISKS)


class Recorder:
    """Plays events to a desk and keeps what a ledger would."""

    def __init__(self, trading: Trading, costs: Costs) -> None:
        self.desk = Desk("paper", "st", trading, costs)
        self.time = START
        self.orders: dict[tuple[str, FillReason], Order] = {}
        self.fills: list[Fill] = []
        self.number = 0

    def play(self, event: tuple) -> list[Fill]:
        self.number += 1
        match event:
            case ("tick", symbol, price, volume, later):
                self.time += timedelta(seconds=later)
                tick = MarketData(self.time, symbol, price, volume, id=f"t{self.number}")
                change = self.desk.tick(tick)
            case ("signal", symbol, kind, size, stop_loss, take_profit):
                signal = TradingSignal(symbol, kind, 0.5, 100.0, size, stop_loss, take_profit)
                outcome = self.desk.signal(f"s{self.number}", signal, self.time)
                if isinstance(outcome, Order):
                    self._keep(outcome)
                return []
            case ("halt", flatten):
                change = self.desk.halt("by hand", flatten=flatten)
            case _:
                self.desk.resume()
                return []
        if change is None:
            return []
        for order in change.orders:
            self._keep(order)
        self.fills += change.fills
        return list(change.fills)

    def _keep(self, order: Order) -> None:
        self.orders[order.signal_id, order.reason] = order


@settings(max_examples=300, deadline=None)
@given(TRADINGS, COSTS, EVENTS)
def test_no_more_than_ordered_no_earlier_than_due_and_the_books_balance(trading, costs, events):
    played = Recorder(trading, costs)
    book = played.desk.book
    held = defaultdict(Decimal)
    for event in events:
        before = dict(held)
        fills = played.play(event)
        most = costs.most(event[3]) if event[0] == "tick" else None
        assert most is None or sum(fill.quantity for fill in fills) <= most
        for fill in fills:
            order = played.orders.get((fill.signal_id, fill.reason))
            assert order is None or order.due is None or fill.time >= order.due
            held[fill.symbol] += fill.quantity if fill.side is Side.BUY else -fill.quantity
            assert trading.short or held[fill.symbol] >= 0
            if fill.reason is not FillReason.SIGNAL or played.desk.halted:
                was, now = before[fill.symbol], held[fill.symbol]
                assert abs(now) < abs(was), "what leaves a position opens none"
                assert was * now >= 0
        assert book.equity == book.capital + book.realised + book.unrealised - book.fees
        assert {s: p.quantity for s, p in book.positions.items()} == {
            s: q for s, q in held.items() if q
        }
        assert all(each.rest > 0 for orders in played.desk.orders.values() for each in orders)
    assert len({fill.id for fill in played.fills}) == len(played.fills)
    filled = defaultdict(Decimal)
    for fill in played.fills:
        filled[fill.signal_id, fill.reason] += fill.quantity
    waiting = {
        (each.signal_id, each.reason): each
        for orders in played.desk.orders.values()
        for each in orders
    }
    for key, order in played.orders.items():
        assert filled[key] == order.filled <= order.quantity
        assert (order.state is OrderState.FILLED) == (order.filled == order.quantity)
        assert (order.state is OrderState.WAITING) == (key in waiting)


@settings(max_examples=100, deadline=None)
@given(TRADINGS, EVENTS)
def test_without_a_share_and_latency_everything_is_filled_at_once(trading, events):
    played = Recorder(trading, Costs())
    for event in events:
        for fill in played.play(event):
            assert not fill.id.rpartition(":")[2].isdigit(), "there are no parts"
            order = played.orders.get((fill.signal_id, fill.reason))
            assert order is None or fill.quantity == order.quantity


def test_the_worlds_of_these_tests_are_full_of_traps():
    """By a fixed sequence: parts, a stop with a rest, and a refusal of each limit do occur."""
    risk = {"max_position": "1000", "max_orders_per_minute": 2}
    played = Recorder(
        Trading(short=True, pyramid=3, risk=risk), Costs(volume_share=D("0.25"), latency_s=D("0.5"))
    )
    events = [
        ("tick", "BTC", 100.0, 1.0, 1.0),
        ("signal", "BTC", SignalType.BUY, 2.5, 95.0, None),
        ("tick", "BTC", 100.0, 7.0, 0.5),
        ("tick", "BTC", 100.0, 7.0, 0.5),
        ("tick", "BTC", 90.0, 1.0, 1.0),
        ("signal", "BTC", SignalType.SELL, 50.0, None, None),
    ]
    for event in events:
        played.play(event)
    assert {fill.id.removeprefix("paper:") for fill in played.fills} == {
        "s2:signal", "s2:signal:2", "s2:stop_loss",
    }  # fmt: skip
    assert played.desk.orders["BTC"][0].rest == D("2.25")
    assert played.desk.limited.startswith("max_position is 1,000")
