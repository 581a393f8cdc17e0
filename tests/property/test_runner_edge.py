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


def new(pieces):
    return [tick for piece in pieces for tick in piece.ticks]


def given_up(edge):
    """What is in order once every gap was given up."""
    pieces = []
    while edge.ahead:
        pieces += edge.skip()
    return new(pieces)


SIZES = st.lists(st.integers(0, 7), max_size=12)
LIFE = new_incarnation(2000, "a")
NEXT = new_incarnation(3000, "b")


@given(st.integers(0, 60), SIZES, st.data())
def test_every_tick_is_either_given_out_or_counted_as_lost(count, sizes, data):
    batches = sent(LIFE, ticks(count), sizes)
    kept = [b for b in batches[:-1] if data.draw(st.booleans(), "arrives")] + batches[-1:]
    edge, given_out, expected = Edge("src", "BTC", listening_ms=1000), [], 1
    gone = {
        batch.seq + i for batch in batches if batch not in kept for i in range(len(batch.ticks))
    }
    for batch in kept:
        for piece in edge.accept(batch):
            assert not piece.ticks or piece.seq == expected, "nothing overtakes a gap"
            expected += len(piece.ticks)
            given_out += piece.ticks
    assert bool(edge.ahead) == bool(gone)
    given_out += given_up(edge)
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
        given_out += new(edge.accept(batch))
        if data.draw(st.booleans(), "again"):
            again = batches[data.draw(st.integers(0, at), "which")]
            assert new(edge.accept(again)) == []
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
        given_out += new(edge.accept(batch))
    for batch in sent(NEXT, ticks(count), later):
        given_out += new(edge.accept(batch))
    assert given_out == ticks(count)
    assert (edge.count, edge.lost, edge.incarnation) == (count, 0, NEXT)


@given(st.integers(1, 30), st.integers(1, 30))
def test_the_echo_of_a_replaced_process_is_not_heard(count, other):
    edge = Edge("src", "BTC", listening_ms=1000)
    edge.accept(DataBatch("src", LIFE, "BTC", 1, ticks(count)))
    edge.accept(DataBatch("src", NEXT, "BTC", 1, ticks(count)))
    echo = DataBatch("src", LIFE, "BTC", count + 1, ticks(count + other)[count:])
    assert edge.accept(echo) == []
    assert (edge.incarnation, edge.through) == (NEXT, count)


def test_of_a_source_that_was_there_before_us_the_beginning_is_not_lost():
    edge = Edge("src", "BTC", listening_ms=5000)
    edge.accept(DataBatch("src", LIFE, "BTC", 101, ticks(3)))
    assert (edge.count, edge.lost) == (3, 0)


def test_of_a_source_that_began_after_us_the_beginning_is_lost():
    edge = Edge("src", "BTC", listening_ms=1000)
    edge.accept(DataBatch("src", LIFE, "BTC", 101, ticks(3)))
    assert (edge.count, edge.lost) == (0, 0), "it may come yet"
    assert given_up(edge) == ticks(3)
    assert (edge.count, edge.lost) == (3, 100)


def test_a_lost_tail_is_noticed_by_the_watermark():
    edge = Edge("src", "BTC", listening_ms=1000)
    edge.accept(DataBatch("src", LIFE, "BTC", 1, ticks(3)))
    edge.accept(DataBatch("src", LIFE, "BTC", 6, []))
    assert edge.ahead
    given_up(edge)
    assert (edge.count, edge.lost) == (3, 2)


@given(st.integers(1, 60), SIZES, SIZES, st.data())
def test_what_is_sent_or_read_again_fills_gaps(count, sizes, others, data):
    """Some batches never come; later all come again, cut otherwise, some of them more than once."""
    batches = sent(LIFE, ticks(count), sizes)
    edge, given_out = Edge("src", "BTC", listening_ms=1000), []
    for batch in batches:
        if data.draw(st.booleans(), "arrives"):
            given_out += new(edge.accept(batch))
    again = sent(LIFE, ticks(count), others)
    for batch in again[data.draw(st.integers(0, len(again) - 1)) :] + again:
        take = edge.fill if edge.ahead and data.draw(st.booleans(), "read") else edge.accept
        given_out += new(take(batch))
    assert given_out == ticks(count)
    assert (edge.count, edge.lost, edge.through) == (count, 0, count)
    assert not edge.ahead
    assert edge.ended


@given(st.integers(2, 40), SIZES, SIZES, st.data())
def test_a_gap_that_the_next_life_fills_loses_nothing(count, sizes, others, data):
    """The source dies while something of it is missing; its next life sends all from the start."""
    edge, given_out = Edge("src", "BTC", listening_ms=1000), []
    for batch in sent(LIFE, ticks(count), sizes)[:-1]:
        if data.draw(st.booleans(), "arrives"):
            given_out += new(edge.accept(batch))
    whole = sent(LIFE, ticks(count), [])[0]
    for batch in sent(NEXT, ticks(count), others):
        given_out += new(edge.accept(batch))
    if edge.ahead:  # read again while it waits
        given_out += new(edge.fill(whole))
    given_out += given_up(edge)
    assert given_out == ticks(count)
    assert (edge.lost, edge.incarnation, edge.ended) == (0, NEXT, True)


def test_who_waits_too_long_gives_the_gap_up():
    edge = Edge("src", "BTC", listening_ms=1000, most_ahead=5)
    assert edge.accept(DataBatch("src", LIFE, "BTC", 11, ticks(5))) == []
    assert new(edge.accept(DataBatch("src", LIFE, "BTC", 16, ticks(8)[5:]))) == ticks(8)
    assert (edge.lost, edge.through) == (10, 18)


def test_an_incarnation_tells_when_it_began():
    assert began_ms(new_incarnation(1_723_161_255_342, "x")) == 1_723_161_255_342
    assert began_ms("anything") is None
    assert began_ms("not-twelve-digits") is None
    assert new_incarnation(999, "z") < new_incarnation(1000, "a")
