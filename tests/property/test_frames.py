"""However the network cuts what the server writes, the same messages come out of it."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError

from ntp.bell import Bell
from ntp.frames import Frames

SUBJECTS = st.binary(min_size=1, max_size=6).filter(lambda name: not set(name) & set(b" \t\r\n"))
MESSAGES = st.lists(
    st.tuples(
        st.integers(1, 99),
        SUBJECTS,
        st.just(b"") | SUBJECTS,
        st.just(b"") | st.binary(min_size=1, max_size=12),
        st.binary(max_size=30) | st.just(b"MSG a 1 2\r\nPING\r\n"),
    ),
    max_size=6,
)


class Client:
    """What a parser needs of its client."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, bytes, bytes, bytes, bytes]] = []
        self.pings = 0
        self.news = Bell()

    def take(self, number: int, subject: bytes, reply: bytes, payload: bytes) -> None:
        self.taken.append((number, subject, reply, b"", payload))

    async def take_headed(
        self, number: int, subject: bytes, reply: bytes, headers: bytes, payload: bytes
    ) -> None:
        self.taken.append((number, subject, reply, headers, payload))

    async def _process_ping(self) -> None:
        self.pings += 1


def written(number: int, subject: bytes, reply: bytes, headers: bytes, payload: bytes) -> bytes:
    words = [b"HMSG" if headers else b"MSG", subject, b"%d" % number]
    words += [reply] * bool(reply)
    words += [b"%d" % len(headers)] * bool(headers)
    words.append(b"%d" % len(headers + payload))
    return b" ".join(words) + b"\r\n" + headers + payload + b"\r\n"


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 400)))
def test_messages_come_out_as_they_were_written(messages, cuts):
    data = b"".join(written(*each) + b"PING\r\n" for each in messages)
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]

    async def read() -> Client:
        client = Client()
        frames = Frames(client)
        for begin, end in pairwise(places):
            await frames.parse(data[begin:end])
        return client

    client = asyncio.run(read())
    assert client.taken == messages
    assert client.pings == len(messages)


@pytest.mark.parametrize("line", [b"MSG\r\n", b"HMSG a 1 x 3\r\n", b"HELLO\r\n"])
def test_what_no_server_writes_is_refused(line):
    async def read() -> None:
        with pytest.raises(ProtocolError):
            await Frames(Client()).parse(line)

    asyncio.run(read())
