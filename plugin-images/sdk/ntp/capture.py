"""Reading again what the bus has captured of a source or an indicator.

A capture is a stream that nobody acknowledges: each reading sets its consumer to where it wants to
begin. Everything is asked for as the producer's (`next.<producer>`, `reset.<producer>`).
"""

import asyncio
from typing import Any

import msgspec

from ntp.contract import subjects
from ntp.pull import Message, Wire

FLEETING = {"Nats-TTL": "5s"}
"""Header of a message that no capture keeps: the stream refuses what has a time to live of its own, so
no watermark pushes out ticks."""
DEADLINE = 3.0
"""Seconds for each answer."""
BATCH = 1000
BATCH_BYTES = 2 * 1024 * 1024
"""Of one request: the server cuts off who has 16 MiB waiting."""
_SEARCH = 2000
"""Messages that are read rather than searched for where to begin."""
_NOTHING = "404"
_NOBODY = "503"
_NEXT = msgspec.json.encode({"batch": BATCH, "max_bytes": BATCH_BYTES, "no_wait": True})
_ONE = msgspec.json.encode({"batch": 1, "no_wait": True})


async def captured(wire: Wire, producer: str, since_ms: int = 0, before: int = 0) -> list[Message]:
    """Return what is kept, oldest first; nothing that was stored after `since_ms` is left out.

    It begins `before` numbers further back; other symbols than ours have numbers too.

    Raises:
        TimeoutError: nobody answers, or nobody may be asked.
    """
    reading = _Reading(wire, producer)
    subscription: Any = await wire.receive(f"{reading.inbox}.*", reading.receive)
    try:
        return await reading.read(since_ms, before)
    finally:
        await wire.release(subscription)


class _Reading:
    """One reading, on an inbox of its own."""

    def __init__(self, wire: Wire, producer: str) -> None:
        self._wire = wire
        self._producer = producer
        self.inbox = wire.new_inbox()
        self._number = 0
        self._messages: list[Message] = []
        self._answered = asyncio.Event()
        self._status = ""
        self._left = 0

    async def read(self, since_ms: int, before: int) -> list[Message]:
        first = await self._first_since(since_ms) if since_ms else 1
        await self._begin_at(max(1, first - before))
        found: list[Message] = []
        while messages := await self._ask(_NEXT, BATCH):
            found += messages
        return found

    async def _first_since(self, since_ms: int) -> int:
        """Return the number of a message before which none was stored after `since_ms`."""
        low = await self._at(1)
        if low is None or low.behind < _SEARCH or low.stored_ms >= since_ms:
            return 1
        # The first that is too late, or that is not there; beside filters numbers have holes.
        step, high = low.behind, low.seq
        while (found := await self._at(high := high + step)) is not None:
            if found.stored_ms >= since_ms:
                break
            low, high, step = found, found.seq, 2 * step
        begin = low.seq
        while high - begin > _SEARCH:
            middle = (begin + high) // 2
            found = await self._at(middle)
            if found is None or found.stored_ms >= since_ms:
                high = middle
            else:
                begin = found.seq
        return begin

    async def _at(self, seq: int) -> Message | None:
        """Return the first message from this number on."""
        await self._begin_at(seq)
        messages = await self._ask(_ONE, 1)
        return messages[0] if messages else None

    async def _begin_at(self, seq: int) -> None:
        await self._ask(msgspec.json.encode({"seq": seq}), 0, subjects.reset(self._producer))

    async def _ask(self, body: bytes, most: int, subject: str = "") -> list[Message]:
        """Ask and wait for the end of the answer; return the messages in it, at most `most`."""
        self._number += 1
        self._answered.clear()
        self._status, self._left, self._messages = "", most, []
        async with asyncio.timeout(DEADLINE):
            reply = f"{self.inbox}.{self._number}"
            await self._wire.send(subject or subjects.pull(self._producer), body, reply)
            await self._answered.wait()
        if self._status == _NOBODY:
            raise TimeoutError(f"nothing of {self._producer} is captured for this plugin")
        return self._messages

    def receive(
        self, subject: str, reply: str, payload: bytes, headers: dict[str, str] | None
    ) -> None:
        if reply:
            self._messages.append(Message(subject, payload, reply))
            self._left -= 1
            if self._left:
                return
        elif subject != f"{self.inbox}.{self._number}":
            return  # the end of an earlier question
        self._status = (headers or {}).get("Status", "")
        self._answered.set()
