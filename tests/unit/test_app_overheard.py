"""What is heard on the bus is taken once each, however often it comes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from ntp.contract.messages import (
    DataBatch,
    Fill,
    FillReason,
    MarketData,
    ProgressMessage,
    Side,
    SignalMessage,
    SignalType,
    TickRef,
    TradingSignal,
)
from orchestrator.app.overheard import Transcript

START = datetime(2024, 8, 8, tzinfo=UTC)
TICK = TickRef("feed", "BTC", 1, "1", START)


def batch(seq, *prices, life="1"):
    ticks = [
        MarketData(START + timedelta(seconds=seq + at), "BTC", price, 1.0)
        for at, price in enumerate(prices)
    ]
    return DataBatch("feed", life, "BTC", seq, ticks)


def heard(*said):
    found = Transcript()
    for name, subject, message in said:
        payload = message if isinstance(message, bytes) else msgspec.json.encode(message)
        found.take(name, subject, payload)
    return found


def prices(found):
    return [tick.price for tick in found.ticks[("feed", "BTC")]]


def test_ticks_are_taken_in_order_and_none_twice():
    batches = [batch(1, 10.0, 11.0), batch(2, 11.0, 12.0), batch(1, 10.0), batch(4), batch(4, 13.0)]

    assert prices(heard(*(("feed", "data.BTC", one) for one in batches))) == [10, 11, 12, 13]


def test_another_life_of_a_source_counts_anew():
    batches = [batch(1, 10.0, 11.0), batch(1, 12.0, life="2")]

    assert prices(heard(*(("feed", "data.BTC", one) for one in batches))) == [10, 11, 12]


def test_signals_and_fills_count_once_by_their_id():
    wish = TradingSignal("BTC", SignalType.BUY, 0.5, 10.0)
    signals = [SignalMessage(name, "alpha", "1", 1, TICK, wish) for name in ("a", "b", "a")]
    fill = Fill("f", "a", "paper", "alpha", "BTC", Side.BUY, Decimal(1), Decimal(10), Decimal(0), Decimal(0), FillReason.SIGNAL, START, "1")  # fmt: skip
    found = heard(
        *(("alpha", "sig.BTC", one) for one in signals),
        ("alpha", "sig._progress", ProgressMessage("alpha", "1", 1, TICK)),
        ("paper", "fill.alpha.BTC", fill),
        ("paper", "fill.alpha.BTC", fill),
    )

    assert [message.id for message in found.signals] == ["a", "b"]
    assert found.fills == [fill]


def test_what_cannot_be_read_is_counted_and_passed_over():
    found = heard(("feed", "data.BTC", b"{"), ("alpha", "sig.BTC", b"1"), ("feed", "beat", b"?"))

    assert found.unreadable == 2
    assert (found.ticks, found.signals) == ({}, [])
