"""Batches of a source against what went in, and back through a listener's edge."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ntp.contract.messages import DataBatch, MarketData
from ntp.runner.core.border import LARGEST_MESSAGE, Refusals
from ntp.runner.core.edge import Edge, new_incarnation
from ntp.runner.core.feed import Feed

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
LIFE = new_incarnation(2000, "a")
decode = msgspec.json.Decoder(DataBatch).decode

ITEM = st.tuples(
    st.sampled_from(["BTC", "ETH/USD", "EUR.USD"]),
    st.sampled_from([1.0, 2.5, float("nan")]),
    st.sampled_from([0, 0, 0, 30, 5_000, 60_000, 120_000]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ITEM, max_size=30), max_size=6))
def test_each_symbol_arrives_whole_in_order_and_numbered(bursts):
    refusals = Refusals()
    feed, taken, arrived, edges = Feed("src", LIFE, refusals, finite=True), {}, {}, {}
    count = 0
    for burst in bursts:
        for symbol, price, extra in burst:
            count += 1
            item = MarketData(
                NOON + timedelta(seconds=count), symbol, price, 1.0, metadata={"x": "x" * extra}
            )
            if feed.take(item) is not None and extra < LARGEST_MESSAGE:
                taken.setdefault(symbol, []).append(item.timestamp)
        for batch, payload in feed.batches():
            assert len(payload) <= LARGEST_MESSAGE
            heard = decode(payload)
            assert heard.seq == batch.seq
            edge = edges.setdefault(heard.symbol, Edge("src", heard.symbol, 1000))
            ticks = [tick for piece in edge.accept(heard) for tick in piece.ticks]
            arrived.setdefault(heard.symbol, []).extend(t.timestamp for t in ticks)
        assert feed.waiting == 0
    assert arrived == taken
    assert all(edge.lost == 0 for edge in edges.values())
    assert refusals.count == count - sum(map(len, taken.values()))
    for flow in feed.flows():
        assert flow.count == len(taken.get(flow.symbol, []))


def test_a_batch_holds_whatever_waits():
    feed = Feed("src", LIFE, Refusals(), finite=True)
    for i in range(500):
        feed.take(MarketData(NOON, "BTC", 1.0 + i, 1.0))
    (batch, _), *others = feed.batches()
    assert (batch.seq, len(batch.ticks), others) == (1, 500, [])
    assert list(feed.batches()) == []


def test_a_watermark_follows_a_quiet_second_only():
    feed = Feed("src", LIFE, Refusals(), finite=True)
    feed.expect(["BTC", "ETH"])
    assert list(feed.watermarks(end=False)) == []
    feed.take(MarketData(NOON, "BTC", 1.0, 1.0))
    assert len(list(feed.batches())) == 1
    marks = [(batch.symbol, batch.seq, batch.end) for batch, _ in feed.watermarks(end=False)]
    assert marks == [("ETH", 1, False)]
    marks = [(batch.symbol, batch.seq, batch.end) for batch, _ in feed.watermarks(end=False)]
    assert marks == [("BTC", 2, False), ("ETH", 1, False)]
    marks = [(batch.symbol, batch.seq, batch.end) for batch, _ in feed.watermarks(end=True)]
    assert marks == [("BTC", 2, True), ("ETH", 1, True)]


def test_a_tick_that_json_cannot_say_is_refused_alone():
    refusals = Refusals()
    feed = Feed("src", LIFE, refusals, finite=True)
    for i in range(9):
        bad = {"x": object()} if i == 4 else {}
        feed.take(MarketData(NOON + timedelta(seconds=i), "BTC", 1.0, 1.0, metadata=bad))
    ticks = [tick for _, payload in feed.batches() for tick in decode(payload).ticks]
    assert [tick.id for tick in ticks] == [f"src:{i}" for i in (1, 2, 3, 4, 6, 7, 8, 9)]
    assert refusals.count == 1
    assert "JSON cannot say" in refusals.last
