import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ntp import MarketData, SignalType, StrategyPlugin, TradingSignal
from ntp.contract.launch import Listen, Trading
from ntp.contract.messages import DataBatch, Fill, FillReason, Side
from ntp.contract.names import Kind
from ntp.runner.core.border import Refusals
from ntp.runner.core.edge import new_incarnation
from ntp.runner.core.intake import Intake
from ntp.runner.core.objects import ConfigRefusedError, Maker
from ntp.runner.core.strategy import StrategyWork

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
LIFE = new_incarnation(2000, "a")


def tick(second, symbol="BTC", price=100.0, **more):
    at = NOON + timedelta(seconds=second)
    return MarketData(at, symbol, price, 1.0, id=f"src:{second}", **more)


class Noting(StrategyPlugin):
    """Notes what it is shown; signals what `config["says"]` returns."""

    def __init__(self, config):
        super().__init__(config)
        self.shown = []
        self.filled = []

    def analyze(self, data, history):
        self.shown.append((data.symbol, data.id, len(history), history[-1].id if history else None))
        return self.config["says"](data, self) if "says" in self.config else None

    def on_fill(self, fill):
        self.filled.append((fill.id, self.position(fill.symbol)))


class Across(Noting):
    per_symbol = False


class Desk:
    """A strategy with its intake, without a bus."""

    def __init__(self, plugin=Noting, config=None, *, bars=None, clock=lambda: 0.0, **trading):
        listens = [Listen("src", Kind.DATA_SOURCE, bars=bars)]
        self.intake = Intake(listens)
        self.refusals = Refusals()
        self.work = StrategyWork(
            Maker(plugin, config or {}, instance="test"),
            incarnation="life",
            history=3,
            trading=Trading(**trading),
            refusals=self.refusals,
            clock=clock,
        )

    async def show(self, *ticks, until=math.inf, end=False, source="src"):
        if not self.work.objects:
            self.work.prepare()
            await self.work.start()
        runs = []
        for one in ticks:
            lead = self.intake.leads.get((source, one.symbol))
            seq = lead.edge.through + 1 if lead else 1
            runs += self.intake.data(DataBatch(source, LIFE, one.symbol, seq, [one]), 0.0)
        if end:
            for key, lead in list(self.intake.leads.items()):
                seq = lead.edge.through + 1
                runs += self.intake.data(DataBatch(*key[:1], LIFE, key[1], seq, [], True), 0.0)
        for run in runs:
            if run.lead.work is None:
                await self.work.open(run.lead)
            self.work.feed(run, 0, until)
            run.over()

    def shown(self):
        return {symbol: one.shown for symbol, one in self.work.objects.items()}


def buy(data, _plugin, **change):
    fields = {"symbol": data.symbol, "signal_type": "BUY", "confidence": 1.0, "price": data.price}
    return TradingSignal(**fields | change)


async def test_what_is_forgotten_was_never_counted():
    desk = Desk(config={"says": buy})
    await desk.show(tick(0), tick(1))
    assert [message.tick.id for message in desk.work.forget()] == ["src:0", "src:1"]
    await desk.show(tick(2))
    assert [(made.message.number, made.message.tick.id) for made in desk.work.made] == [
        (1, "src:2")
    ]
    assert [message.number for message in desk.work.progress(desk.intake)] == [1]
    assert len(desk.shown()["BTC"]) == 3


async def test_history_is_what_came_before_for_this_symbol_and_bounded():
    desk = Desk()
    await desk.show(tick(1), tick(2, "ETH"), tick(3), tick(4), tick(5), tick(6))
    assert desk.shown() == {
        "BTC": [
            ("BTC", "src:1", 0, None),
            ("BTC", "src:3", 1, "src:1"),
            ("BTC", "src:4", 2, "src:3"),
            ("BTC", "src:5", 3, "src:4"),
            ("BTC", "src:6", 3, "src:5"),
        ],
        "ETH": [("ETH", "src:2", 0, None)],
    }


async def test_one_object_sees_all_symbols_where_its_class_says_so():
    desk = Desk(Across)
    await desk.show(tick(1), tick(2, "ETH"), tick(3))
    assert [(symbol, count) for symbol, _, count, _ in desk.shown()[""]] == [
        ("BTC", 0),
        ("ETH", 0),
        ("BTC", 1),
    ]


async def test_update_state_comes_before_analyze():
    order = []

    class Both(Noting):
        def update_state(self, data):
            order.append(("update_state", data.id))

        def analyze(self, data, _history):
            order.append(("analyze", data.id))

    await Desk(Both).show(tick(1), tick(2))
    assert order == [
        ("update_state", "src:1"),
        ("analyze", "src:1"),
        ("update_state", "src:2"),
        ("analyze", "src:2"),
    ]


async def test_a_signal_without_size_is_sized_from_capital_and_price():
    desk = Desk(config={"says": buy, "position_size": 0.1}, capital="5000")
    await desk.show(tick(1, price=50.0))
    assert desk.work.made[0].message.signal.size == 5000 * 0.1 / 50


async def test_a_signal_with_size_keeps_it_and_a_hold_needs_none():
    says = lambda data, plugin: [  # noqa: E731
        buy(data, plugin, size=7.0),
        buy(data, plugin, signal_type=SignalType.HOLD),
    ]
    desk = Desk(config={"says": says})
    await desk.show(tick(1))
    sizes = [(m.message.signal.signal_type, m.message.signal.size) for m in desk.work.made]
    assert sizes == [("BUY", 7.0), ("HOLD", None)]


async def test_ids_are_of_the_tick_and_numbers_of_this_life():
    def says(data, plugin):
        return [buy(data, plugin), buy(data, plugin, confidence=9), buy(data, plugin)]

    desk = Desk(config={"says": says})
    await desk.show(tick(1), tick(2))
    made = [(m.message.id, m.message.number, m.message.tick.seq) for m in desk.work.made]
    assert made == [
        ("test:BTC:src:1:0", 1, 1),
        ("test:BTC:src:1:2", 2, 1),
        ("test:BTC:src:2:0", 3, 2),
        ("test:BTC:src:2:2", 4, 2),
    ]
    assert desk.refusals.count == 2
    assert "confidence was 9" in desk.refusals.last


async def test_equal_ids_of_two_exchanges_make_different_signals():
    desk = Desk(Across, {"says": buy})
    desk.intake = Intake([Listen("one", Kind.DATA_SOURCE), Listen("two", Kind.DATA_SOURCE)])
    same = MarketData(NOON, "BTC", 1.0, 1.0, id="17")
    await desk.show(same, source="one")
    await desk.show(same, source="two")
    assert [m.message.id for m in desk.work.made] == ["test:BTC:one:17:0", "test:BTC:two:17:0"]


@pytest.mark.parametrize(
    "wrong", ["BUY", 1, {"symbol": "BTC"}, [None], buy(tick(1), None, symbol="ETH")]
)
async def test_a_wrong_result_is_refused_and_counted_and_the_next_one_goes_out(wrong):
    desk = Desk(
        config={"says": lambda data, plugin: buy(data, plugin) if data.id == "src:2" else wrong}
    )
    await desk.show(tick(1), tick(2))
    assert [m.message.tick.id for m in desk.work.made] == ["src:2"]
    assert desk.refusals.count == 1


async def test_what_a_plugin_raises_goes_through():
    desk = Desk(config={"says": lambda data, _: 1 / (data.price - 100)})
    with pytest.raises(ZeroDivisionError):
        await desk.show(tick(1))


async def test_bars_are_closed_by_the_next_tick_and_signals_name_that_tick():
    desk = Desk(config={"says": buy}, bars="1m")
    await desk.show(tick(0, price=5.0), tick(59, price=7.0), tick(60, price=6.0))
    (made,) = desk.work.made
    assert desk.shown() == {"BTC": [("BTC", "1m@2024-08-08T12:00:00Z", 0, None)]}
    assert (made.message.signal.price, made.message.tick.id, made.message.tick.seq) == (
        7.0,
        "src:60",
        3,
    )
    assert made.message.id == "test:BTC:src:1m@2024-08-08T12:00:00Z:0"


async def test_the_end_closes_the_open_bar():
    desk = Desk(config={"says": buy}, bars="1m")
    await desk.show(tick(0, price=5.0), tick(1, price=6.0), end=True)
    (made,) = desk.work.made
    assert (made.message.signal.price, made.message.tick.id) == (6.0, "src:1")


async def test_progress_tells_each_input_once_and_the_end_last():
    desk = Desk(config={"says": buy})
    await desk.show(tick(1), tick(2), tick(3, "ETH"))
    told = desk.work.progress(desk.intake)
    assert [(p.tick.symbol, p.tick.seq, p.number, p.end) for p in told] == [
        ("BTC", 2, 3, False),
        ("ETH", 1, 3, False),
    ]
    assert desk.work.progress(desk.intake) == []
    await desk.show(tick(4), end=True)
    told = desk.work.progress(desk.intake)
    assert [(p.tick.symbol, p.tick.seq, p.number, p.end) for p in told] == [
        ("BTC", 3, 4, False),
        ("BTC", 3, 4, True),
    ]
    assert desk.work.progress(desk.intake) == []


async def test_a_long_batch_stops_when_its_time_is_up_and_goes_on_where_it_was():
    moment = iter(range(1000))
    desk = Desk(clock=lambda: float(next(moment)))
    desk.work.prepare()
    (run,) = desk.intake.data(DataBatch("src", LIFE, "BTC", 1, [tick(i) for i in range(10)]), 0.0)
    await desk.work.open(run.lead)
    assert desk.work.feed(run, 0, 3.0) == 4
    assert run.lead.analysed == 4
    assert desk.work.feed(run, 4, math.inf) == 10
    assert [shown[1] for shown in desk.shown()["BTC"]] == [f"src:{i}" for i in range(10)]


def fill(number, side, quantity):
    return Fill(
        id=str(number), signal_id="s", executor="paper", strategy="test", symbol="BTC", side=side,
        quantity=Decimal(quantity), price=Decimal(1), fee=Decimal(0), realised=Decimal(0),
        reason=FillReason.SIGNAL, time=NOON, tick_id="1",
    )  # fmt: skip


async def test_fills_move_the_position_once_and_reach_the_object_of_their_symbol():
    desk = Desk()
    await desk.show(tick(1), tick(2, "ETH"))
    assert await desk.work.fill(fill(1, Side.BUY, "0.3"))
    assert await desk.work.fill(fill(2, Side.SELL, "0.1"))
    assert not await desk.work.fill(fill(1, Side.BUY, "0.3")), "known, and counted, already"
    assert desk.work.objects["BTC"].filled == [("1", 0.3), ("2", 0.2)]
    assert desk.work.objects["ETH"].filled == []
    assert desk.work.objects["ETH"].position("BTC") == 0.2
    assert desk.work.objects["BTC"].position("ETH") == 0.0


@pytest.mark.parametrize("quantity", ["NaN", "sNaN", "Infinity", "1E+15", "1E+999999999"])
async def test_a_fill_of_no_usable_quantity_moves_nothing(quantity):
    desk = Desk()
    for side in (Side.BUY, Side.SELL):
        assert not await desk.work.fill(fill(1, side, quantity))
    assert desk.work.holdings.position("BTC") == 0.0


async def test_each_object_has_a_config_of_its_own():
    desk = Desk(config={"window": []})
    await desk.show(tick(1), tick(2, "ETH"))
    desk.work.objects["BTC"].config["window"].append(1)
    assert desk.work.objects["ETH"].config["window"] == []


class Refusing(Noting):
    def validate_config(self):
        return self.config["answer"]()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: False, "validate_config() returned False"),
        (lambda: 1 / 0, "validate_config() raised ZeroDivisionError"),
    ],
)
def test_a_config_that_is_refused_is_known_before_any_data(answer, words):
    with pytest.raises(ConfigRefusedError) as refused:
        Desk(Refusing, {"answer": answer}).work.prepare()
    assert words in str(refused.value)


def test_a_constructor_that_misses_a_key_refuses_the_config():
    class Needing(Noting):
        def __init__(self, config):
            super().__init__(config)
            self.period = config["period"]

    with pytest.raises(ConfigRefusedError, match="its constructor raised KeyError: 'period'"):
        Desk(Needing).work.prepare()


async def test_an_object_that_never_called_super_has_its_config_all_the_same():
    class Careless(Noting):
        def __init__(self, _config):
            self.shown, self.filled = [], []

    desk = Desk(Careless, {"says": buy})
    await desk.show(tick(1))
    assert len(desk.work.made) == 1
