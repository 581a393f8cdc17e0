from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ntp import (
    DataSourcePlugin,
    ExecutorPlugin,
    Fill,
    IndicatorPlugin,
    MarketData,
    PluginTester,
    StrategyPlugin,
    TradingSignal,
)
from ntp.contract.messages import FillReason, Side
from ntp.runner.core.objects import ConfigRefusedError

HEADER = "timestamp,symbol,price\n"
NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def ticks(*prices, symbol="BTC"):
    return [
        MarketData(NOON + timedelta(seconds=i), symbol, price, 1.0)
        for i, price in enumerate(prices, 1)
    ]


class Rising(StrategyPlugin):
    """Buys when flat and the price rose, sells when it fell; notes what it knew."""

    def __init__(self, config):
        super().__init__(config)
        self.known = []

    def analyze(self, data, history):
        self.known.append((data.price, self.position(data.symbol)))
        if not history or data.price == history[-1].price:
            return None
        side = "BUY" if data.price > history[-1].price else "SELL"
        return TradingSignal(data.symbol, side, 0.5, data.price, size=2.0)

    def on_fill(self, fill):
        self.known.append((fill.side, self.position(fill.symbol)))

    def report(self):
        return {"known": list(self.known)}


class AtNextTick(ExecutorPlugin):
    def __init__(self, config):
        super().__init__(config)
        self.waiting = []
        self.finished = False

    async def process_signal(self, signal):
        self.waiting.append(signal)

    async def on_data(self, data):
        due, self.waiting = self.waiting, []
        return [
            Fill(
                id=signal.metadata["signal_id"], signal_id=signal.metadata["signal_id"],
                executor=self.instance, strategy=self.strategy, symbol=data.symbol,
                side=Side(signal.signal_type.lower()), quantity=Decimal(str(signal.size)),
                price=Decimal(str(data.price)), fee=Decimal(0), realised=Decimal(0),
                reason=FillReason.SIGNAL, time=data.timestamp, tick_id=data.id,
            )
            for signal in due
        ]  # fmt: skip

    async def finish(self):
        self.finished = True

    def report(self):
        capital = self.trading.capital
        return {"strategy": self.strategy, "capital": capital, "finished": self.finished}


def test_a_fill_moves_the_position_before_the_next_tick_is_seen():
    result = PluginTester(Rising({}), executor=AtNextTick({})).run(ticks(1.0, 2.0, 2.0, 1.0, 1.0))
    assert result.report == {
        "BTC": {
            "known": [
                (1.0, 0.0),
                (2.0, 0.0),
                (2.0, 0.0),
                ("buy", 2.0),
                (1.0, 2.0),
                (1.0, 2.0),
                ("sell", 0.0),
            ]
        },
        "executor": {"test": {"strategy": "test", "capital": "10000", "finished": True}},
    }
    assert [(fill.side, fill.price) for fill in result.fills] == [("buy", 2), ("sell", 1)]


def test_signals_stand_in_the_order_of_the_rows():
    rows = [
        tick
        for pair in zip(ticks(*range(1, 30)), ticks(*range(1, 30), symbol="ETH"), strict=True)
        for tick in pair
    ]
    alone = PluginTester(Rising, {}).run(rows)
    together = PluginTester(Rising, {}, executor=AtNextTick({})).run(rows)
    expected = [(row.symbol, row.price) for row in rows[2:]]
    assert [(s.symbol, s.price) for s in alone.signals] == expected
    assert [(s.symbol, s.price) for s in together.signals] == expected


class Twice(IndicatorPlugin):
    def update(self, data):
        return None if data.price < 2 else 2 * data.price


class Valued(StrategyPlugin):
    def analyze(self, data, _history):
        value = data.metadata["indicators"]["twice"]
        if value is not None:
            return TradingSignal(data.symbol, "BUY", 1.0, value, size=1.0)
        return None


def test_a_strategy_finds_the_values_of_its_indicators():
    result = PluginTester(Valued, {}, indicators={"twice": Twice({})}).run(ticks(1.0, 2.0, 3.0))
    assert [signal.price for signal in result.signals] == [4.0, 6.0]


def test_an_indicator_gives_a_value_for_each_row_in_order():
    rows = [*ticks(1.0, 2.0), *ticks(5.0, symbol="ETH"), *ticks(3.0)]
    assert PluginTester(Twice, {}).run(rows).values == [None, 4.0, 10.0, 6.0]


def test_bars_are_shown_where_they_are_asked_for():
    class Closes(StrategyPlugin):
        def analyze(self, data, history):
            return TradingSignal(data.symbol, "BUY", 1.0, data.price, size=float(len(history)))

    rows = [MarketData(NOON + timedelta(seconds=20 * i), "BTC", 1.0 + i, 1.0) for i in range(7)]
    result = PluginTester(Closes, {}, bars="1m").run([*rows, rows[0]])
    assert [(s.price, s.size) for s in result.signals] == [(3.0, 0.0), (6.0, 1.0), (7.0, 2.0)]
    assert result.late == 1


def test_rows_may_be_mappings_or_a_file_and_naive_times_in_it_are_utc(tmp_path):
    text = "timestamp,symbol,price,volume,bid,ask\n2024-08-08T12:00:01,BTC,5,1,,\n"
    file = tmp_path / "rows.csv"
    file.write_text(text + "2024-08-08T12:00:02Z,BTC,7.5,,7,8\n")

    class Says(StrategyPlugin):
        def analyze(self, data, _history):
            return TradingSignal(
                data.symbol, "HOLD", 1.0, data.price,
                metadata={"at": data.timestamp, "bid": data.bid, "id": data.id},
            )  # fmt: skip

    rows = [
        {"timestamp": "2024-08-08T12:00:01", "symbol": "BTC", "price": 5, "volume": 1},
        {"timestamp": NOON + timedelta(seconds=2), "symbol": "BTC", "price": "7.5", "bid": "7", "ask": 8},
    ]  # fmt: skip
    expected = [
        {"at": NOON + timedelta(seconds=1), "bid": None, "id": "recording:1"},
        {"at": NOON + timedelta(seconds=2), "bid": 7.0, "id": "recording:2"},
    ]
    for given in (rows, file, str(file)):
        result = PluginTester(Says, {}).run(given)
        assert [signal.metadata for signal in result.signals] == expected
        assert result.ticks == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "rows.csv:1: the file is empty"),
        ("when,what\n1,2\n", "rows.csv:1: no column is known to be the timestamp; .*: when, what"),
        (f"{HEADER}2024-08-08,BTC,1\n2024-08-08,BTC,dear\n", "rows.csv:3:16: price was 'dear'"),
        (f"{HEADER}\n2024-08-08,BTC\n", "rows.csv:3:1: 2 cells where there should be 3"),
        (f"{HEADER}noon,BTC,1\n", "rows.csv:2: timestamp: 'noon' is no time"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path, text, words):
    file = tmp_path / "rows.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        PluginTester(Rising, {}).run(file)


def test_bad_rows_are_refused_and_counted_as_live():
    result = PluginTester(Rising, {}).run(ticks(1.0, float("nan"), 2.0))
    assert (result.ticks, result.refused) == (2, 1)
    assert "price of BTC was nan" in result.last_refusal


class Counting(DataSourcePlugin):
    def __init__(self, config):
        super().__init__(config)
        self.calls = []

    async def initialize(self):
        self.calls.append("initialize")

    async def connect(self):
        self.calls.append("connect")
        return self.config.get("connects", True)

    async def subscribe(self, symbols):
        self.calls.append(symbols)
        return True

    async def disconnect(self):
        self.calls.append("disconnect")

    async def shutdown(self):
        self.calls.append("shutdown")

    async def stream(self):
        try:
            for i in range(10):
                yield self.transform(
                    {"timestamp": 1_723_161_255_342 + i, "symbol": "BTC", "price": str(i), "id": i}
                )
        finally:
            self.calls.append("closed")


def test_a_source_is_run_from_connect_to_shutdown_and_its_stream_closed():
    source = Counting({"symbols": ["BTC"]})
    result = PluginTester(source).run(limit=4)
    assert [(tick.id, tick.price) for tick in result.data] == [(str(i), float(i)) for i in range(4)]
    assert result.data[0].timestamp == datetime(2024, 8, 8, 23, 54, 15, 342000, tzinfo=UTC)
    assert source.calls == ["initialize", "connect", ["BTC"], "closed", "disconnect", "shutdown"]
    assert len(PluginTester(Counting({})).run().data) == 10


def test_a_source_that_cannot_connect_is_an_error_and_still_shut_down():
    source = Counting({"connects": False})
    with pytest.raises(ConnectionError, match="returned False"):
        PluginTester(source).run()
    assert source.calls == ["initialize", "connect", "disconnect", "shutdown"]


def test_a_config_that_is_refused_raises():
    class Picky(Rising):
        def validate_config(self):
            return "period" in self.config

    with pytest.raises(ConfigRefusedError, match="returned False"):
        PluginTester(Picky, {}).run(ticks(1.0))


def test_an_executor_alone_cannot_be_tested():
    with pytest.raises(TypeError, match="together with a strategy"):
        PluginTester(AtNextTick({})).run(ticks(1.0))


async def test_within_a_loop_it_is_awaited():
    result = await PluginTester(Rising, {}).run_async(ticks(1.0, 2.0))
    assert len(result.signals) == 1


def test_the_ticks_that_it_was_given_stay_as_they_are():
    rows = [MarketData(NOON, "BTC", 1.0, 1.0, metadata={"mine": 1}), *ticks(2.0, 3.0)]
    PluginTester(Valued, {}, indicators={"twice": Twice({})}).run(rows)
    assert [tick.metadata for tick in rows] == [{"mine": 1}, {}, {}]
