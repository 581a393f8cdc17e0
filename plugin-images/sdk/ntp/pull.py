"""Taking signals or fills out of a stream, in order, at the plugin's own pace."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from ntp.contract import subjects

_NOBODY = "503"
_GRACE = 1.0
"""Seconds that the end of a request may be late."""
_RESET = 3.0
"""Seconds to wait for the answer of a server that can set a consumer back."""
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

    @property
    def delivery(self) -> int:
        """Its place among all that its consumer has handed out, repetitions included."""
        return int(self.reply.split(".")[-3])

    @property
    def stream(self) -> str:
        return self.reply.split(".")[-7]

    @property
    def stored_ns(self) -> int:
        """When the stream took it, nanoseconds since 1970: one that is made anew counts from 1 again."""
        return int(self.reply.split(".")[-2])

    @property
    def stored_ms(self) -> int:
        return self.stored_ns // 1_000_000

    @property
    def behind(self) -> int:
        """How many more of its consumer waited when it was delivered."""
        return int(self.reply.split(".")[-1])


class Puller:
    """A standing request for the next messages of one producer.

    With each connection it begins anew: on an inbox of its own, for requests of the last connection
    may go on to deliver to the last inbox; and with the consumer set back to what was acknowledged,
    so that messages that died with the connection, or with the plugin's last life, come first. So it
    does where a message is missing between two: a server of a cluster went, and took it with it.

    Args:
        producer: whose messages.
        wire: the connection.
        connected: as of now; from then on `online` says so.
        insist: whether a consumer that could not be set back is asked again: of a cluster, where it
            may be without a leader for a while. It may be changed before a connection is said to be made.
    """

    def __init__(self, producer: str, wire: Wire, *, connected: bool, insist: bool = False) -> None:
        self._producer = producer
        self.insist = insist
        self._last = 0
        """The last `Message.delivery` since the consumer was set back."""
        self._pause = False
        self._wire = wire
        self._inbox = ""
        self._subscription: Any = None
        self._waiting: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._request = 0
        self._left = 0
        """Messages that the open request may still bring."""
        self._open_until = 0.0
        self._connected = connected
        self._connection = 0
        """Counts connections and losses of them."""
        self._begun = False
        self._asked_on = -1
        """The connection on which the consumer was asked to be set back."""
        self._reset_until = 0.0
        self._reset_done = asyncio.Event()
        self._nobody = False

    def online(self, *, connected: bool) -> None:
        """A connection was made or lost. What was not handed out is delivered again."""
        self._connected = connected
        self._connection += 1
        self._anew()

    def _anew(self) -> None:
        self._begun = False
        self._waiting.clear()
        self._left = self._last = 0
        self._arrived.set()

    async def pull(self, batch: int, expires: float) -> list[Message]:
        """Return what waits, at most `batch`, as soon as there is one; empty after `expires` seconds."""
        deadline = asyncio.get_running_loop().time() + expires
        try:
            async with asyncio.timeout_at(deadline):
                while not self._waiting:
                    self._arrived.clear()
                    if self._connected and (self._begun or await self._begin()):
                        await self._ask(batch, expires)
                    await self._arrived.wait()
                    if self._nobody or self._pause:
                        self._nobody = self._pause = False
                        await asyncio.sleep(_PAUSE)
        except TimeoutError:
            pass
        return [self._waiting.popleft() for _ in range(min(batch, len(self._waiting)))]

    def _receive(
        self, subject: str, reply: str, payload: bytes, headers: dict[str, str] | None
    ) -> None:
        if subject == f"{self._inbox}.reset":
            if not (self.insist and b'"error"' in payload):
                self._reset_done.set()
            return
        if not self._begun:
            return  # of a request of the last connection; it comes again, in its place
        if reply:
            message = Message(subject, payload, reply)
            if self._last and message.delivery > self._last + 1:
                # What is missing would come after its time to be acknowledged, and out of its place.
                self._asked_on, self._pause = -1, True
                self._anew()
                return
            self._last = message.delivery
            self._left -= 1
            self._waiting.append(message)
        elif subject == f"{self._inbox}.{self._request}":  # else the end of an older request
            self._left = 0
            self._nobody = (headers or {}).get("Status") == _NOBODY
        self._arrived.set()

    async def _begin(self) -> bool:
        """Return whether this connection is ready for requests; it may be gone meanwhile.

        A server before 2.14 cannot set back and does not answer: there what is unacknowledged comes
        again after the consumer's ack_wait.
        """
        connection = self._connection
        loop = asyncio.get_running_loop()
        if self._asked_on != connection:  # else an earlier call had no time to see the answer
            if self._subscription is not None:
                await self._wire.release(self._subscription)
            self._inbox = self._wire.new_inbox()
            self._subscription = await self._wire.receive(f"{self._inbox}.*", self._receive)
            self._reset_done.clear()
            await self._wire.send(subjects.reset(self._producer), b"", f"{self._inbox}.reset")
            self._asked_on, self._reset_until = connection, loop.time() + _RESET
        try:
            async with asyncio.timeout_at(self._reset_until):
                await self._reset_done.wait()
        except TimeoutError:
            if self.insist:
                self._asked_on = -1
                self._arrived.set()
                return False
        self._begun = connection == self._connection
        return self._begun

    async def _ask(self, batch: int, expires: float) -> None:
        now = asyncio.get_running_loop().time()
        if self._left > 0 and now < self._open_until:
            return
        self._request += 1
        self._left = batch
        self._open_until = now + expires + _GRACE
        body = msgspec.json.encode({"batch": batch, "expires": int(expires * 1e9)})
        inbox = f"{self._inbox}.{self._request}"
        if not await self._wire.send(subjects.pull(self._producer), body, inbox):
            self._left = 0
