import threading

import msgspec
import pytest

from ntp.contract.messages import DataBatch, IndicatorBatch, MarketData
from orchestrator.app.backlog import Backlog
from orchestrator.errors import UnreachableError
from tests.worlds.specs import NOON

encode = msgspec.json.encode


def ticks(count):
    return encode(DataBatch("alpha", "life", "A", 1, [MarketData(NOON, "A", 1.0, 2.0)] * count))


def values(count):
    return encode(IndicatorBatch("rsi", "life", "alpha", "life", "A", 1, [None] * count))


def taken(backlog):
    found = []
    while (heard := backlog.take(0)) is not None:
        found.append((heard.payload, heard.dropped))
    return found


def test_what_waits_comes_in_order_with_when_it_was_heard():
    backlog = Backlog()
    backlog.put("sig.A", b"1")
    backlog.put("sig.B", b"2")
    first, second = backlog.take(0), backlog.take(0)

    assert (first.subject, first.payload, second.subject) == ("sig.A", b"1", "sig.B")
    assert first.at <= second.at
    assert first.at.utcoffset().total_seconds() == 0
    assert backlog.take(0.01) is None


def test_where_there_is_no_room_the_oldest_goes_and_is_counted_once():
    backlog = Backlog(messages=3)
    for number in range(10):
        backlog.put("sig.A", b"%d" % number)
    assert len(backlog) == 3

    assert taken(backlog) == [(b"7", 7), (b"8", 0), (b"9", 0)]
    backlog.put("sig.A", b"10")
    assert taken(backlog) == [(b"10", 0)]


def test_bytes_are_bounded_too_also_by_one_message_that_is_too_large():
    backlog = Backlog(size=10)
    for payload in (b"aaaa", b"bbbb", b"cccc"):
        backlog.put("sig.A", payload)
    assert taken(backlog) == [(b"bbbb", 1), (b"cccc", 0)]
    backlog.put("sig.A", b"d" * 11)
    backlog.put("sig.A", b"e")
    assert taken(backlog) == [(b"e", 1)]


@pytest.mark.parametrize(
    ("subject", "payload", "held"),
    [
        ("data.A", ticks(5), 5),
        ("data.A", ticks(0), 0),  # a watermark
        ("ind.A", values(7), 7),
        ("sig.A", b"{}", 1),
        ("fill.beta.A", b"{}", 1),
        ("beat", b"{}", 1),
        ("data.A", b"\xff", 1),
        ("data.A", b'{"ticks": 3}', 1),
    ],
)
def test_what_a_message_held_is_what_is_counted(subject, payload, held):
    backlog = Backlog(messages=1)
    backlog.put(subject, payload)
    backlog.put("sig.A", b"last")

    assert taken(backlog) == [(b"last", held)]


def test_who_takes_waits_and_learns_last_why_nothing_more_comes():
    backlog = Backlog()
    later = threading.Timer(0.05, backlog.put, ("sig.A", b"1"))
    later.start()
    assert backlog.take(20).payload == b"1"
    later.join()

    backlog.put("sig.A", b"2")
    backlog.fail(UnreachableError("the broker went"))
    assert backlog.take(0).payload == b"2"
    with pytest.raises(UnreachableError, match="the broker went"):
        backlog.take(20)


def test_it_begins_or_says_why_not():
    backlog = Backlog()
    assert not backlog.begun(0.01)
    backlog.begin()
    backlog.fail(UnreachableError("later"))
    assert backlog.begun(0), "what came later is told where things are taken"
    never = Backlog()
    never.fail(UnreachableError("refused"))
    with pytest.raises(UnreachableError, match="refused"):
        never.begun(20)
