from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from ntp import MarketData, SignalType, TradingSignal
from ntp.contract.messages import (
    DataBatch,
    Fill,
    FillReason,
    IndicatorBatch,
    Side,
    SignalMessage,
    TickRef,
)
from ntp.runner.core import border
from ntp.runner.core.border import Refusals, RefusedError
from ntp.runner.core.tick_ids import Identify

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))
NAN, INF = float("nan"), float("inf")


def tick(**change):
    fields = {"timestamp": NOON, "symbol": "BTC", "price": 100.0, "volume": 1.0} | change
    return MarketData(**fields)


def signal(**change):
    fields = {"symbol": "BTC", "signal_type": SignalType.BUY, "confidence": 0.5, "price": 1.0}
    return TradingSignal(**fields | change)


def taken(item, *, finite=True):
    return border.tick(item, Identify("src", finite=finite))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price": NAN}, "price of BTC was nan; it must be finite"),
        ({"price": INF}, "price of BTC was inf"),
        ({"price": np.float32("nan")}, "price of BTC was nan"),
        ({"price": "100"}, "must be a number"),
        ({"price": np.str_("100")}, "must be a number"),
        ({"price": np.bytes_(b"100")}, "must be a number"),
        ({"price": 10**400}, "which is no number"),
        ({"price": True}, "must be a number"),
        ({"price": None}, "must be a number"),
        ({"volume": NAN}, "volume of BTC was nan"),
        ({"volume": -1.0}, "must not be negative"),
        ({"bid": NAN}, "bid of BTC was nan"),
        ({"ask": INF}, "ask of BTC was inf"),
        ({"symbol": 7}, "symbol was 7 (int)"),
        ({"symbol": ""}, "give 1 to 64 characters"),
        ({"symbol": "B" * 65}, "give 1 to 64 characters"),
        ({"symbol": "BTC\r\nX: 1"}, "control characters"),
        ({"timestamp": "noon"}, "give a datetime"),
        ({"timestamp": 1.0}, "give a datetime"),
        ({"timestamp": datetime.max.replace(tzinfo=UTC)}, "no time of a market"),
        ({"timestamp": datetime.min.replace(tzinfo=UTC)}, "no time of a market"),
        ({"timestamp": datetime.min.replace(tzinfo=TOKYO)}, "which is no time in UTC"),
        ({"metadata": []}, "give a dict"),
        ({"id": "1\r\nNats-Rollup: all"}, "plain characters"),
        ({"id": "x" * 200}, "plain characters"),
    ],
)
def test_a_tick_that_cannot_be_meant_is_refused_in_words(change, words):
    with pytest.raises(RefusedError) as refused:
        taken(tick(**change))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"symbol": "ETH"}, "a tick of 'ETH' came among those of 'BTC'"),
        ({"id": "1\r\nNats-Rollup: all"}, "plain characters"),
        ({"timestamp": datetime.max.replace(tzinfo=UTC)}, "no time of a market"),
    ],
)
def test_what_another_plugin_sends_is_held_to_the_border_again(change, words):
    good = tick(id="src:1")
    border.heard(DataBatch("src", "life", "BTC", 1, [good, good]))
    with pytest.raises(RefusedError) as refused:
        border.heard(
            DataBatch("src", "life", "BTC", 1, [good, msgspec.structs.replace(good, **change)])
        )
    assert words in str(refused.value)


@pytest.mark.parametrize("change", [{"symbol": "B" * 65}, {"incarnation": "x" * 200}])
def test_a_batch_names_itself_in_few_words(change):
    for kind, given in (
        (DataBatch, ("src", "life", "BTC", 1, [])),
        (IndicatorBatch, ("rsi", "life", "src", "life", "BTC", 1, [])),
    ):
        with pytest.raises(RefusedError):
            border.heard(msgspec.structs.replace(kind(*given), **change))


def test_the_least_and_the_most_that_can_be_meant_pass():
    longest = "B" * 64
    assert taken(tick(symbol=longest, volume=0.0)).symbol == longest
    for confidence in (0, 1, 0.0, 1.0):
        assert border.signal(signal(confidence=confidence), "BTC").confidence == confidence
    assert border.signal(signal(size=0.0), "BTC").size == 0.0, "no size is another thing"


def test_what_is_no_tick_is_refused():
    with pytest.raises(RefusedError, match="yielded dict"):
        taken({"price": 1.0})


def test_numpy_numbers_become_plain_ones():
    made = taken(tick(price=np.float64(1.5), volume=np.int64(3), bid=np.float32(1.0)))
    assert (made.price, made.volume, made.bid) == (1.5, 3.0, 1.0)
    assert {type(made.price), type(made.volume), type(made.bid)} == {float}
    assert taken(tick(price=Decimal("1.25"))).price == 1.25
    assert type(taken(tick(symbol=np.str_("BTC"))).symbol) is str


def test_a_naive_time_is_local_time_and_another_zone_becomes_utc():
    local = datetime(2024, 8, 8, 12)  # noqa: DTZ001 - as datetime.fromtimestamp() makes it
    assert taken(tick(timestamp=local)).timestamp == local.astimezone(UTC)
    made = taken(tick(timestamp=NOON.astimezone(TOKYO))).timestamp
    assert (made, made.tzinfo) == (NOON, UTC)


def test_ids_are_the_exchanges_own_or_made_of_source_and_position():
    identify = Identify("src", finite=True)
    made = [
        border.tick(item, identify).id
        for item in (
            tick(),
            tick(id="own"),
            tick(metadata={"id": 17}),
            tick(metadata={"trade_id": 0, "id": 18}),
            tick(metadata={"trade_id": 0}),
            tick(symbol="ETH"),
            tick(),
        )
    ]
    assert made == ["src:1", "own", "17", "18", "0", "src:1", "src:6"]


def test_a_refused_tick_keeps_its_position_so_that_ids_survive_replay():
    identify = Identify("src", finite=True)
    with pytest.raises(RefusedError):
        border.tick(tick(price=NAN), identify)
    assert border.tick(tick(), identify).id == "src:2"


def test_a_market_names_ticks_by_time_so_that_a_new_life_names_none_again():
    first, second = Identify("src", finite=False), Identify("src", finite=False)
    before = [border.tick(item, first).id for item in (tick(), tick(), tick(symbol="ETH"))]
    later = tick(timestamp=NOON + timedelta(microseconds=1))
    after = border.tick(later, second).id
    stamp = int(NOON.timestamp() * 1e6)
    assert before == [f"src:{stamp}", f"src:{stamp}.1", f"src:{stamp}"]
    assert after == f"src:{stamp + 1}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"confidence": 1.0000001}, "between 0 and 1"),
        ({"confidence": -0.1}, "between 0 and 1"),
        ({"confidence": NAN}, "confidence was nan"),
        ({"confidence": np.float64("nan")}, "confidence was nan"),
        ({"price": INF}, "signal price was inf"),
        ({"size": -1.0}, "must not be negative"),
        ({"size": NAN}, "size was nan"),
        ({"stop_loss": 0.0}, "must be above 0"),
        ({"take_profit": NAN}, "take_profit was nan"),
        ({"signal_type": "LONG"}, "give SignalType.BUY, SELL or HOLD"),
        ({"signal_type": 1}, "give SignalType.BUY, SELL or HOLD"),
        ({"symbol": None}, "must be text"),
        ({"symbol": "ETH"}, "per_symbol = False"),
        ({"metadata": None}, "give a dict"),
    ],
)
def test_a_signal_that_cannot_be_meant_is_refused_in_words(change, words):
    with pytest.raises(RefusedError) as refused:
        border.signal(signal(**change), "BTC")
    assert words in str(refused.value)


def test_what_is_no_signal_is_refused():
    with pytest.raises(RefusedError, match="returned str"):
        border.signal("BUY", "BTC")


@pytest.mark.parametrize("given", ["buy", "BUY", SignalType.BUY])
def test_a_signals_type_may_be_text(given):
    assert border.signal(signal(signal_type=given), "BTC").signal_type is SignalType.BUY


def test_a_strategy_across_symbols_may_signal_any():
    assert border.signal(signal(symbol="ETH"), None).symbol == "ETH"


def test_a_worth_in_quote_currency_becomes_base_units():
    assert border.base_units(np.float64(500), 50.0) == 10.0
    for worth, price in ((NAN, 1.0), (-1.0, 1.0), (1.0, 0.0), ("much", 1.0), (None, 1.0)):
        with pytest.raises(RefusedError):
            border.base_units(worth, price)


def test_a_signal_that_is_given_its_size_keeps_all_else():
    made = signal(stop_loss=0.5, take_profit=2.0, metadata={"why": "test"})
    sized = border.sized(made, 3.0)
    assert sized == msgspec.structs.replace(made, size=3.0)


def test_an_indicators_value_is_plain_numbers():
    assert border.value(np.float64(2.5)) == 2.5
    assert border.value({"low": np.int64(1), "high": 2.0}) == {"low": 1.0, "high": 2.0}
    assert border.value(None) is None
    for bad in (NAN, "7", {"x": INF}, {1: 2.0}, [1.0], True):
        with pytest.raises(RefusedError):
            border.value(bad)


ONE = Decimal(1)
FILL = Fill(
    "1", "2", "paper", "s", "BTC", Side.BUY, ONE, ONE, ONE, ONE, FillReason.SIGNAL, NOON, "src:1"
)


def test_an_executor_returns_fills_or_nothing():
    assert border.fills(None) == []
    assert border.fills(FILL) == [FILL]
    assert border.fills(one for one in (FILL, FILL)) == [FILL, FILL]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (0, "returned int"),
        (False, "returned bool"),
        ("filled", "returned str"),
        ({}, "returned dict"),
        ([FILL, None], "returned a NoneType among its fills"),
    ],
)
def test_what_is_no_fill_is_refused(made, words):
    with pytest.raises(RefusedError, match=words):
        border.fills(made)


def test_refusals_are_counted_and_the_last_is_told():
    refusals = Refusals()
    for reason in ("price was nan", RefusedError("size was nan")):
        refusals.note(reason)
    assert (refusals.count, refusals.last) == (2, "size was nan")


def message(**metadata):
    cause = TickRef("src", "BTC", 1, "1", NOON)
    return SignalMessage("id", "s", "i", 1, cause, signal(metadata=metadata))


def test_metadata_may_hold_what_numpy_has():
    payload = border.encoded(
        message(
            sma=np.float64(1.5), n=np.int32(2), window=np.array([1.0, 2.0]), kind=SignalType.BUY
        )
    )
    assert msgspec.json.decode(payload)["signal"]["metadata"] == {
        "sma": 1.5, "n": 2, "window": [1.0, 2.0], "kind": "BUY",
    }  # fmt: skip


def test_a_time_of_another_class_is_written_like_any_other():
    class Stamp(datetime):
        """As pandas has one."""

    at = Stamp.fromtimestamp(NOON.timestamp(), UTC)
    written = msgspec.json.decode(border.encoded(message(at=at)))
    assert written["signal"]["metadata"] == {"at": "2024-08-08T12:00:00+00:00"}


@pytest.mark.parametrize("bad", [object(), "\ud800", lambda: 1, np.longdouble(1)])
def test_metadata_that_json_cannot_say_is_refused(bad):
    with pytest.raises(RefusedError, match="metadata"):
        border.encoded(message(x=bad))


def test_a_message_has_a_longest_length():
    with pytest.raises(RefusedError, match="at most 102400"):
        border.encoded(message(x="x" * 102_400))
