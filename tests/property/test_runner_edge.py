"""What a listener counts, whatever the way did to the messages."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.messages import DataBatch, MarketData
from ntp.runner.core.edge import Edge, began_ms, new_incarnation

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def ticks(count, per_second=3):
    """Several ticks share each time, as trades do."""
    return [
        MarketData(
            NOON + timedelta(seconds=i // per_second), "BTC", 1.0 + i, 1.0, id=f"src:{i + 1}"
        )
        for i in range(count)
    ]


def sent(life, everything, sizes):
    """Cut into batches with watermarks between, the last of which is the end."""
    at, batches = 0, []
    for size in sizes:
        part = everything[at : at + size]
        batches.append(DataBatch("src", life, "BTC", at + 1, part))
        at += len(part)
    batches.append(DataBatch("src", life, "BTC", at + 1, everything[at:]))
    batches.append(DataBatch("src", life, "BTC", len(everything) + 1, [], end=True))
    return batches


SIZES = st.lists(st.integers(0, 7), max_size=12)
LIFE = new_incarnation(2000, "a")
NEXT = new_incarnation(3000, "b")


@given(st.integers(0, 60), SIZES, st.data())
def test_every_tick_is_either_given_out_or_counted_as_lost(count, sizes, data):
    batches = sent(LIFE, ticks(count), sizes)
    kept = [b for b in batches[:-1] if data.draw(st.booleans(), "arrives")] + batches[-1:]
    edge, given_out, expected = Edge("src", "BTC", listening_ms=1000), [], 1
    for batch in kept:
        seq, new = edge.accept(batch)
        if new:
            assert seq >= expected
            expected = seq + len(new)
        given_out += new
    arrived = [tick for batch in kept for tick in batch.ticks]
    assert given_out == arrived
    assert (edge.count, edge.lost) == (len(arrived), count - len(arrived))
    assert edge.through == count
    assert edge.ended


@given(st.integers(0, 60), SIZES, st.data())
def test_what_arrives_twice_counts_once(count, sizes, data):
    batches = sent(LIFE, ticks(count), sizes)
    edge, given_out = Edge("src", "BTC", listening_ms=1000), []
    for at, batch in enumerate(batches):
        given_out += edge.accept(batch)[1]
        if data.draw(st.booleans(), "again"):
            again = batches[data.draw(st.integers(0, at), "which")]
            assert edge.accept(again)[1] == []
    assert given_out == ticks(count)
    assert edge.lost == 0


@given(st.integers(1, 60), SIZES, st.integers(0, 60), SIZES)
def test_a_recording_that_begins_again_is_not_seen_again(count, sizes, cut, later):
    """The source dies after `cut` messages' worth of ticks, and its next life sends all from the start."""
    edge, given_out = Edge("src", "BTC", listening_ms=1000), []
    heard = 0
    for batch in sent(LIFE, ticks(count), sizes)[:-1]:
        if heard + len(batch.ticks) > cut:
            break
        heard += len(batch.ticks)
        given_out += edge.accept(batch)[1]
    for batch in sent(NEXT, ticks(count), later):
        given_out += edge.accept(batch)[1]
    assert given_out == ticks(count)
    assert (edge.count, edge.lost, edge.incarnation) == (count, 0, NEXT)


@given(st.integers(1, 30), st.integers(1, 30))
def test_the_echo_of_a_replaced_process_is_not_heard(count, other):
    edge = Edge("src", "BTC", listening_ms=1000)
    edge.accept(DataBatch("src", LIFE, "BTC", 1, ticks(count)))
    edge.accept(DataBatch("src", NEXT, "BTC", 1, ticks(count)))
    echo = DataBatch("src", LIFE, "BTC", count + 1, ticks(count + other)[count:])
    assert edge.accept(echo)[1] == ()
    assert (edge.incarnation, edge.through) == (NEXT, count)


def test_of_a_source_that_was_there_before_us_the_beginning_is_not_lost():
    edge = Edge("src", "BTC", listening_ms=5000)
    edge.accept(DataBatch("src", LIFE, "BTC", 101, ticks(3)))
    assert (edge.count, edge.lost) == (3, 0)


def test_of_a_source_that_began_after_us_the_beginning_is_lost():
    edge = Edge("src", "BTC", listening_ms=1000)
    edge.accept(DataBatch("src", LIFE, "BTC", 101, ticks(3)))
    assert (edge.count, edge.lost) == (3, 100)


def test_a_lost_tail_is_noticed_by_the_watermark():
    edge = Edge("src", "BTC", listening_ms=1000)
    edge.accept(DataBatch("src", LIFE, "BTC", 1, ticks(3)))
    edge.accept(DataBatch("src", LIFE, "BTC", 6, []))
    assert (edge.count, edge.lost) == (3, 2)


def test_an_incarnation_tells_when_it_began():
    assert began_ms(new_incarnation(1_723_161_255_342, "x")) == 1_723_161_255_342
    assert began_ms("anything") is None
    assert began_ms("not-twelve-digits") is None
    assert new_incarnation(999, "z") < new_incarnation(1000, "a")
