"""Reading again what the bus has captured: all of it, once, from the oldest on."""

import asyncio
from typing import Any

import msgspec

from ntp.contract import subjects
from ntp.pull import Message, Wire

FLEETING = {"Nats-TTL": "5s"}
"""Header of a message that a capture need not keep: no watermark pushes out the ticks before it."""
DEADLINE = 3.0
"""Seconds for each answer."""
BATCH = 1000
BATCH_BYTES = 2 * 1024 * 1024
"""Of one request: the server cuts off who has 16 MiB waiting."""
_NOTHING = "404"
_NOBODY = "503"
_OLDEST = msgspec.json.encode({"seq": 1})
_NEXT = msgspec.json.encode({"batch": BATCH, "max_bytes": BATCH_BYTES, "no_wait": True})


class _Reading:
    """One reading, on an inbox of its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.inbox = wire.new_inbox()
        self.messages: list[Message] = []
        self._answered = asyncio.Event()
        self._status = ""
        self._count = 0

    async def ask(self, subject: str, body: bytes) -> str:
        """Ask and wait for the end of the answer; return its status, empty for a batch that is full.

        Raises:
            TimeoutError: no answer.
        """
        self._answered.clear()
        self._status, self._count = "", 0
        async with asyncio.timeout(DEADLINE):
            await self._wire.send(subject, body, f"{self.inbox}.a")
            await self._answered.wait()
        return self._status

    def receive(
        self, subject: str, reply: str, payload: bytes, headers: dict[str, str] | None
    ) -> None:
        if reply:
            self.messages.append(Message(subject, payload, reply))
            self._count += 1
            if self._count < BATCH:
                return
        self._status = (headers or {}).get("Status", "")
        self._answered.set()


async def captured(wire: Wire) -> list[Message]:
    """Return every message; none is acknowledged, the next reading brings them again.

    Raises:
        TimeoutError: nobody answers, or nobody may be asked.
    """
    reading = _Reading(wire)
    subscription: Any = await wire.receive(f"{reading.inbox}.*", reading.receive)
    try:
        status = await reading.ask(subjects.reset(subjects.CAPTURED), _OLDEST)
        while status not in {_NOTHING, _NOBODY}:
            status = await reading.ask(subjects.pull(subjects.CAPTURED), _NEXT)
    finally:
        await wire.release(subscription)
    if status == _NOBODY:
        raise TimeoutError("nobody captures for this plugin")
    return reading.messages
