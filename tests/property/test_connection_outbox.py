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
