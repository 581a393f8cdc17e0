"""A plugin's connection to the bus, through the door where there is one.

    async with connect(folder, launch.bus, plain=launch.plain_network, name=launch.instance) as link:
        await link.subscribe(subjects.data_in("binance"), on_data)
        await link.publish(subjects.BEAT, beat)
        ack = await link.request_ack(subjects.signal("BTCUSDT"), signal, signal_id)
        for message in await link.pull("bollinger", batch=64, expires=5):
            await link.ack(message)

Three ways to send and receive, by what a loss would mean: `publish`/`subscribe` (ticks, values,
beats: at most once, a gap is seen by its sequence number), `submit`/`request_ack` (signals, fills:
repeated until stored, in order), `pull`/`ack` (the same, received: comes again until acknowledged).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

from nats import errors
from nats.aio.subscription import Subscription

from ntp.contract.launch import DOOR_SOCKET, BusAddress
from ntp.inbox import Callback, Inbox
from ntp.link_stats import Stats
from ntp.outbox import Ack, Outbox
from ntp.pull import Message, Puller
from ntp.rewind import FLEETING, captured
from ntp.transport import LeanClient, Transport, options

__all__ = ["Ack", "Link", "Message", "Stats", "connect"]

PAYLOAD_LIMIT = 120 * 1024
"""Bytes. The broker cuts off who sends more than 128 KiB, headers included."""
INBOX_MESSAGES = 65_536
INBOX_BYTES = 64 * 1024 * 1024
CLOSE_TIMEOUT = 5.0
REPEAT = 10.0
"""Seconds until the same error is reported again."""
INSIST = 1.0
"""Seconds until a refused subscription is asked for again."""


class Link:
    """Made by `connect`. Only one loop may use it."""

    def __init__(self, door: Path | None, on_error: Callable[[str], None]) -> None:
        self._transport = Transport(door)
        self._client = LeanClient(self._transport)
        self._on_error = on_error
        self._inbox = Inbox(INBOX_MESSAGES, INBOX_BYTES)
        self._replies = self._client.new_inbox()
        self._outbox = Outbox(self._client.send, self._replies, on_error)
        self._pullers: dict[str, Puller] = {}
        self._subscriptions: list[Subscription] = []
        self._unsent = 0
        self._failed: Exception | None = None
        self._failure = asyncio.Event()
        self._replies_wanted = False
        self._closing = False
        self._said = ""
        self._said_at = 0.0

    @property
    def connected(self) -> bool:
        return self._client.is_connected

    @property
    def stats(self) -> Stats:
        return Stats(
            connected=self._client.is_connected,
            reconnects=self._client.stats["reconnects"],
            dropped=self._inbox.dropped,
            unsent=self._unsent,
            unacked=self._outbox.unacked,
            repeats=self._outbox.repeats,
            waiting=len(self._inbox),
        )

    async def publish(self, subject: str, payload: bytes, *, fleeting: bool = False) -> None:
        """Send at most once. While disconnected 2 MiB wait; beyond that it is counted as `unsent`.

        `fleeting`: it only says where things stand, and is repeated.

        Raises:
            ValueError: the payload is larger than the broker takes (120 KiB).
        """
        if len(payload) > PAYLOAD_LIMIT:
            raise ValueError(_too_large(payload))
        if not await self._client.send(subject, payload, headers=FLEETING if fleeting else None):
            self._unsent += 1

    async def subscribe(self, subject: str, callback: Callback, *, direct: bool = False) -> None:
        """Call `callback(subject, payload)` for each message, after reconnects too.

        Callbacks (plain or coroutine functions) run one after another, in order of arrival over all
        subscriptions; for a message that found the inbox full (65,536 messages, 64 MiB) `dropped`
        counts up. `direct`: a plain function runs at once in the reading loop instead, before
        whatever waits; it must be quick. An exception of a callback ends the link: it is raised
        from `async with connect(…)`.
        """
        deliver = callback if direct else self._inbox.receiver(callback)

        def receive(name: str, _: str, payload: bytes, __: object) -> None:
            try:
                deliver(name, payload)
            except Exception as error:  # noqa: BLE001 (raised again by _watch)
                self._failed = error
                self._failure.set()

        self._subscriptions.append(await self._client.receive(subject, receive))

    async def submit(self, subject: str, payload: bytes, msg_id: str) -> "asyncio.Future[Ack]":
        """Send until stored; returns as soon as the message is under way (256 may be).
        The future ends with the Ack; messages are stored in the order in which they were submitted.

        Raises:
            ValueError: the payload is larger than the broker takes: no retry would help.
        """
        if len(payload) > PAYLOAD_LIMIT:
            message = (
                f"a message of {len(payload)} bytes was to be sent; at most {PAYLOAD_LIMIT} may"
            )
            raise ValueError(message)
        if not self._replies_wanted:
            self._replies_wanted = True
            await self._client.receive(f"{self._replies}.*.*", self._answer)
            self._outbox.online(connected=self._client.is_connected)
        return await self._outbox.submit(subject, payload, msg_id)

    async def request_ack(self, subject: str, payload: bytes, msg_id: str) -> Ack:
        """As `submit`, and wait until it is stored, however long that takes."""
        return await asyncio.shield(await self.submit(subject, payload, msg_id))

    async def settle(self) -> None:
        """Wait until everything submitted so far was stored; the deadline is the caller's."""
        await self._outbox.settle()

    async def pull(self, producer: str, batch: int = 64, expires: float = 5.0) -> list[Message]:
        """Return the next messages of `producer` as soon as there are any; empty after `expires` s.

        One call at a time for each producer. What is not acknowledged comes again, in order, after
        a reconnect or a restart.
        """
        puller = self._pullers.get(producer)
        if puller is None:
            puller = self._pullers[producer] = Puller(
                producer, self._client, connected=self._client.is_connected
            )
        return await puller.pull(batch, expires)

    async def captured(self) -> list[Message]:
        """Return what the bus has captured for us, oldest first; to miss nothing, subscribe before.

        Raises TimeoutError where nobody captures, or the broker is away.
        """
        return await captured(self._client)

    async def ack(self, message: Message) -> None:
        """Say that `message` had its effect, durably. A lost acknowledgement brings it once more."""
        await self.publish(message.reply, b"+ACK")

    async def flush(self) -> None:
        """Return once the server has taken everything published and subscribed to so far.

        Raises:
            TimeoutError: it did not within 10 s.
        """
        try:
            await self._client.flush()
        except errors.FlushTimeoutError as error:
            raise TimeoutError("the broker did not answer a ping in 10 s") from error

    async def drain(self) -> None:
        """Stop receiving, handle what waits, see everything stored; the deadline is the caller's."""
        for subscription in self._subscriptions:
            await self._client.release(subscription)
        self._subscriptions.clear()
        await self._inbox.join()
        await self._outbox.settle()
        if self._client.is_connected:
            await self.flush()

    # The parts that run as long as the link.

    async def _open(self, servers: list[str], name: str, credentials: Path | None) -> None:
        await self._client.connect(
            servers,
            name=name,
            error_cb=self._errors,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
            **options(credentials),
        )
        self._transport.healthy()

    def _parts(self) -> list[Coroutine[None, None, None]]:
        return [self._inbox.run(), self._outbox.run(), self._watch(), self._insist()]

    async def _close(self) -> None:
        self._closing = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._client.close()
        except (OSError, errors.Error) as error:
            self._on_error(f"while closing: {error}")

    async def _insist(self) -> None:
        """A right may come later than its plugin, or come back: the server does not tell."""
        while True:
            await self._client.refusal.wait()
            await asyncio.sleep(INSIST)
            await self._client.insist()

    async def _watch(self) -> None:
        await self._failure.wait()
        if self._failed is not None:
            raise self._failed

    def _answer(self, subject: str, _: str, payload: bytes, __: object) -> None:
        self._outbox.answer(subject[len(self._replies) + 1 :], payload)

    async def _disconnected(self) -> None:
        self._online(connected=False)
        if not self._closing:
            self._on_error("the broker is gone; reconnecting")

    async def _reconnected(self) -> None:
        self._transport.healthy()
        self._online(connected=True)

    def _online(self, *, connected: bool) -> None:
        self._outbox.online(connected=connected)
        for puller in self._pullers.values():
            puller.online(connected=connected)

    async def _errors(self, error: Exception) -> None:
        text = str(error).removeprefix("nats: ") or type(error).__name__
        now = asyncio.get_running_loop().time()
        if text != self._said or now >= self._said_at + REPEAT:  # one line a cause, not one a try
            self._said, self._said_at = text, now
            self._on_error(f"broker: {text}")


def _too_large(payload: bytes) -> str:
    return f"a message of {len(payload)} bytes was to be sent; at most {PAYLOAD_LIMIT} may"


@asynccontextmanager
async def connect(
    folder: Path,
    bus: BusAddress,
    *,
    plain: bool,
    name: str,
    on_error: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Link]:
    """Connect, waiting as long as it takes; stay connected until the block ends.

    `folder` holds the credentials and, unless `plain`, the door's socket. `name` is shown by the
    broker's tools. `on_error` is told in words whatever went wrong and was survived: a lost
    connection, a refused subject, a repeated signal; it runs in the loop and must be quick.

    Leaving the block closes at once; `drain` before it where nothing may be lost.
    """
    door = folder / DOOR_SOCKET
    link = Link(None if plain or not door.exists() else door, on_error)
    credentials = None if bus.credentials is None else folder / bus.credentials
    try:
        async with asyncio.TaskGroup() as tasks:
            await link._open(bus.servers, name, credentials)  # noqa: SLF001 (its maker)
            running = [tasks.create_task(part) for part in link._parts()]  # noqa: SLF001
            try:
                yield link
            finally:
                for task in running:
                    task.cancel()
    except BaseExceptionGroup as group:
        # The group is a detail of ours; the caller meets his own exception, or a callback's.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
    finally:
        await link._close()  # noqa: SLF001
