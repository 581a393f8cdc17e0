"""Whatever happens on the way, the stream holds each message once, in the order of submission."""

import asyncio
import json
from collections.abc import Iterator
from enum import Enum

from hypothesis import given, settings
from hypothesis import strategies as st

from ntp.outbox import Ack, Outbox


class Fate(Enum):
    """What becomes of one message that was sent."""

    STORED = "stored and acknowledged"
    ACK_LOST = "stored, the acknowledgement lost"
    LOST = "lost on the way"
    REFUSED = "refused for a while"
    UNSERVED = "nobody serves the subject"
    CUT = "the connection breaks, and comes back"


class Stream:
    """JetStream as far as it matters: duplicates first, then the expected last id, then storing."""

    def __init__(self, fates: Iterator[Fate]) -> None:
        self._fates = fates
        self.outbox: Outbox | None = None
        self.stored: list[str] = []
        self.last: str | None = None
        self.connected = True

    async def send(self, _: str, payload: bytes, reply: str, headers: dict[str, str]) -> None:
        assert self.outbox is not None
        assert self.connected, "sent into a broken connection"
        fate = next(self._fates, Fate.STORED)
        token = reply.removeprefix("inbox.")
        if fate is Fate.LOST:
            return
        if fate is Fate.CUT:
            self.connected = False
            self.outbox.online(connected=False)
            asyncio.get_running_loop().call_soon(self._back)
            return
        if fate is Fate.UNSERVED:
            answer = b""
        elif fate is Fate.REFUSED:
            answer = json.dumps({"error": {"code": 503, "err_code": 10077}}).encode()
        else:
            answer = self._store(payload.decode(), headers)
        if fate is not Fate.ACK_LOST:
            # Answers come later, as from a socket, and in order.
            asyncio.get_running_loop().call_soon(self.outbox.answer, token, answer)

    def _store(self, msg_id: str, headers: dict[str, str]) -> bytes:
        assert headers["Nats-Msg-Id"] == msg_id
        if msg_id in self.stored:
            seq = self.stored.index(msg_id) + 1
            return json.dumps({"stream": "S", "seq": seq, "duplicate": True}).encode()
        expected = headers.get("Nats-Expected-Last-Msg-Id")
        if expected is not None and expected != self.last:
            return json.dumps({"error": {"code": 400, "err_code": 10070}, "seq": 0}).encode()
        self.stored.append(msg_id)
        self.last = msg_id
        return json.dumps({"stream": "S", "seq": len(self.stored)}).encode()

    def _back(self) -> None:
        assert self.outbox is not None
        self.connected = True
        self.outbox.online(connected=True)


async def run(fates: list[Fate], count: int) -> tuple[Stream, list[Ack]]:
    stream = Stream(iter(fates))
    outbox = stream.outbox = Outbox(
        stream.send, "inbox", lambda _: None, patience=0.02, first_pause=0.001
    )
    outbox.online(connected=True)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(outbox.run())
        futures = [await outbox.submit("s", b"%d" % n, str(n)) for n in range(count)]
        await outbox.settle()
        running.cancel()
    assert outbox.unacked == 0
    return stream, [future.result() for future in futures]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(Fate), max_size=25), st.integers(1, 12))
def test_each_message_is_stored_once_and_in_order(fates, count):
    stream, acks = asyncio.run(run(fates, count))
    assert stream.stored == [str(n) for n in range(count)]
    assert [ack.seq for ack in acks] == list(range(1, count + 1))


def test_the_window_bounds_what_is_under_way_and_loses_nothing():
    stream, _ = asyncio.run(run([Fate.LOST] * 10, 1000))
    assert stream.stored == [str(n) for n in range(1000)]


def test_an_answer_that_got_lost_is_asked_for_long_before_the_patience_ends():
    """Alone, after what answers take; before one that came, at once."""

    async def scenario(fates: list[Fate], window: int) -> tuple[Stream, list[str]]:
        told: list[str] = []
        stream = Stream(iter(fates))
        outbox = stream.outbox = Outbox(
            stream.send, "inbox", told.append, patience=3600, window=window
        )
        outbox.online(connected=True)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(outbox.run())
            for number in range(3):
                await outbox.submit("s", b"%d" % number, str(number))
            await outbox.settle()
            running.cancel()
        return stream, told

    for fates, window in (
        ([Fate.STORED, Fate.ACK_LOST], 1),
        ([Fate.STORED, Fate.LOST], 1),
        ([Fate.ACK_LOST, Fate.STORED], 256),
    ):
        stream, told = asyncio.run(scenario(fates, window))
        assert (stream.stored, told) == (["0", "1", "2"], [])
        assert stream.outbox is not None
        assert stream.outbox.repeats == 1


def test_nothing_is_sent_while_the_connection_is_away():
    async def scenario() -> None:
        sent: list[bytes] = []

        async def send(_: str, payload: bytes, __: str, ___: dict[str, str]) -> None:
            sent.append(payload)

        outbox = Outbox(send, "inbox", lambda _: None, patience=0.01)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(outbox.run())
            await outbox.submit("s", b"1", "1")
            for _ in range(50):
                await asyncio.sleep(0)
            assert sent == []
            outbox.online(connected=True)
            while not sent:
                await asyncio.sleep(0)
            running.cancel()

    asyncio.run(scenario())


def test_an_acknowledgement_that_comes_during_a_pause_makes_room_and_settles():
    async def scenario() -> None:
        rounds: list[str] = []

        async def send(_: str, __: bytes, reply: str, ___: dict[str, str]) -> None:
            rounds.append(reply.removeprefix("inbox."))

        outbox = Outbox(send, "inbox", lambda _: None, first_pause=0.2, window=1)
        outbox.online(connected=True)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(outbox.run())
            await outbox.submit("s", b"", "1")
            waits = [
                tasks.create_task(each) for each in (outbox.settle(), outbox.submit("s", b"", "2"))
            ]
            while not rounds:
                await asyncio.sleep(0)
            outbox.answer(rounds[0], b"")  # nobody serves the subject: again, after a pause
            for _ in range(10):
                await asyncio.sleep(0)  # the pause has begun
            outbox.answer(rounds[0], b'{"stream": "S", "seq": 1}')
            await asyncio.wait(waits[1:])
            while len(rounds) < 2:
                await asyncio.sleep(0)
            outbox.answer(rounds[1], b'{"stream": "S", "seq": 2}')
            await asyncio.wait(waits)
            running.cancel()

    asyncio.run(scenario())


def test_what_need_not_be_in_order_names_nobody_and_is_given_up_where_it_is_full():
    async def scenario() -> tuple[list[Ack], list[dict[str, str]]]:
        told: list[dict[str, str]] = []

        async def send(_: str, payload: bytes, reply: str, headers: dict[str, str]) -> None:
            told.append(headers)
            error = {"code": 503, "err_code": 10077, "description": "maximum bytes exceeded"}
            answer = {"error": error} if payload == b"b" else {"stream": "S", "seq": 7}
            token = reply.removeprefix("inbox.")
            loop = asyncio.get_running_loop()
            loop.call_soon(outbox.answer, token, json.dumps(answer).encode())

        outbox = Outbox(send, "inbox", lambda _: None, window=2, ordered=False)
        outbox.online(connected=True)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(outbox.run())
            first = await outbox.submit("s", b"a", "a", {"X": "1"})
            second = await outbox.submit("s", b"b", "b", {"X": "1"})
            found = [await first, await second]
            running.cancel()
        return found, told

    acks, told = asyncio.run(scenario())
    assert acks == [Ack("S", 7), Ack("", 0)]
    assert told == [{"Nats-Msg-Id": "a", "X": "1"}, {"Nats-Msg-Id": "b", "X": "1"}]
