"""Taking signals or fills out of a stream, in order, at the plugin's own pace."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from ntp.contract import subjects

_NOBODY = "503"
_GRACE = 1.0
"""Seconds that an answer may be late."""
_PAUSE = 0.2
"""Seconds between questions that nobody answers: the stream is not there yet, or JetStream starts."""


class Wire(Protocol):
    """What a Puller needs of the connection."""

    def new_inbox(self) -> str: ...
    async def send(self, subject: str, payload: bytes, reply: str) -> bool: ...
    async def receive(
        self, subject: str, receiver: Callable[[str, str, bytes, dict[str, str] | None], None]
    ) -> Any: ...
    def release(self, subscription: Any) -> Awaitable[None]: ...


class Message(msgspec.Struct, frozen=True):
    """One message of a stream. Unless acknowledged it comes again."""

    subject: str
    payload: bytes
    reply: str

    @property
    def delivered(self) -> int:
        """How often it was delivered, this time included."""
        return int(self.reply.split(".")[-5])

    @property
    def seq(self) -> int:
        """Its place in the stream."""
        return int(self.reply.split(".")[-4])


class Puller:
    """A standing request for the next messages of one producer.

    After each connect the consumer is set back to what was acknowledged: messages that died with
    the old connection, or with the plugin's last life, come again first, so order is kept.
    """

    def __init__(self, producer: str, wire: Wire) -> None:
        self._producer = producer
        self._wire = wire
        self._inbox = ""
        self._subscription: Any = None
        self._waiting: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._request = 0
        self._left = 0
        """Messages that the open request may still bring."""
        self._open_until = 0.0
        self._fresh = True
        self._reset_done = asyncio.Event()
        self._nobody = False

    def reconnected(self) -> None:
        """Forget what was not handed out: the server delivers it again."""
        self._waiting.clear()
        self._left = 0
        self._fresh = True
        self._arrived.set()

    async def pull(self, batch: int, expires: float) -> list[Message]:
        """Return what waits, at most `batch`, as soon as there is one; empty after `expires` seconds."""
        deadline = asyncio.get_running_loop().time() + expires
        try:
            async with asyncio.timeout_at(deadline):
                while not self._waiting:
                    await self._ask(batch, expires)
                    await self._arrived.wait()
                    if self._nobody:
                        self._nobody = False
                        await asyncio.sleep(_PAUSE)
        except TimeoutError:
            pass
        return [self._waiting.popleft() for _ in range(min(batch, len(self._waiting)))]

    def _receive(
        self, subject: str, reply: str, payload: bytes, headers: dict[str, str] | None
    ) -> None:
        if reply:
            self._left -= 1
            self._waiting.append(Message(subject, payload, reply))
        elif subject.endswith(".reset"):
            self._reset_done.set()
            return
        elif subject == f"{self._inbox}.{self._request}":  # else the end of an older request
            self._left = 0
            self._nobody = (headers or {}).get("Status") == _NOBODY
        self._arrived.set()

    async def _ask(self, batch: int, expires: float) -> None:
        if self._fresh:
            await self._begin()
        self._arrived.clear()
        now = asyncio.get_running_loop().time()
        if self._waiting or (self._left > 0 and now < self._open_until):
            return
        self._request += 1
        self._left = batch
        self._open_until = now + expires + _GRACE
        body = msgspec.json.encode({"batch": batch, "expires": int(expires * 1e9)})
        inbox = f"{self._inbox}.{self._request}"
        if not await self._wire.send(subjects.pull(self._producer), body, inbox):
            self._left = 0

    async def _begin(self) -> None:
        """Listen on an inbox of this connection's own, and set the consumer back.

        The inbox is new because requests of the old connection would go on to deliver to the old one.
        A server before 2.14 cannot reset: there what is unacknowledged comes again after ack_wait.
        """
        if self._subscription is not None:
            await self._wire.release(self._subscription)
        self._inbox = self._wire.new_inbox()
        self._subscription = await self._wire.receive(f"{self._inbox}.*", self._receive)
        self._reset_done.clear()
        await self._wire.send(subjects.reset(self._producer), b"", f"{self._inbox}.reset")
        try:
            async with asyncio.timeout(_GRACE):
                await self._reset_done.wait()
        except TimeoutError:
            pass
        self._fresh = False
