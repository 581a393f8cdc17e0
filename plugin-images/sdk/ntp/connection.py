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

from ntp.bare_nats import Subscription, errors
from ntp.bucket import Bucket
from ntp.capture import FLEETING, captured
from ntp.confine.ways import Way
from ntp.contract.launch import BusAddress, ProxyAddress
from ntp.error_log import ErrorLog
from ntp.heeding import heeded
from ntp.inbox import Callback, Inbox, Together
from ntp.link_stats import Stats
from ntp.outbox import WINDOW, Ack
from ntp.postbox import DEAD_WINDOW, PAYLOAD_LIMIT, Postbox, too_large
from ntp.pull import Message, Puller
from ntp.recent import Recent
from ntp.transport import LeanClient, Transport, options, way_to_bus

__all__ = ["Ack", "Link", "Message", "Stats", "connect"]

CLOSE_TIMEOUT = 5.0
INSIST = 1.0
"""Seconds until a refused subscription is asked for again."""


class Link:
    """Made by `connect`; only one loop may use it. `news` rings when something came, and when all was handled."""

    def __init__(self, way: Way | None, on_error: Callable[[str], None]) -> None:
        self._transport = Transport(way)
        self._client = LeanClient(self._transport)
        self._on_error = on_error
        self.news = self._client.news
        self._inbox = Inbox(handled=self.news.ring)
        self._post = Postbox(self._client, on_error)
        self._dead = Postbox(self._client, on_error, window=DEAD_WINDOW, ordered=False)
        self._pullers: dict[str, Puller] = {}
        self._subscriptions: list[Subscription] = []
        self.bucket = Bucket(self._client)
        self._recent = Recent()
        self._unsent = 0
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing = False

    @property
    def connected(self) -> bool:
        return self._client.is_connected

    @property
    def can_rewind(self) -> bool:
        """Whether what was captured can be read: the server sets consumers back (2.14)."""
        return self._client.version >= (2, 14)

    @property
    def stats(self) -> Stats:
        return Stats(
            connected=self._client.is_connected,
            reconnects=self._client.stats["reconnects"],
            dropped=self._inbox.dropped,
            unsent=self._unsent,
            unacked=self._post.outbox.unacked,
            repeats=self._post.outbox.repeats,
            waiting=len(self._inbox),
        )

    async def publish(
        self, subject: str, payload: bytes, *, fleeting: bool = False, numbered: bool = False
    ) -> None:
        """Send once. While disconnected 2 MiB wait; beyond that it is counted as `unsent`.

        `fleeting`: it only says where things stand, and is repeated. `numbered`: who hears it twice
        knows it by its number, so it is sent again after a reconnect, while it is among the last.

        Raises:
            ValueError: the payload is larger than the broker takes (120 KiB).
        """
        if len(payload) > PAYLOAD_LIMIT:
            raise ValueError(too_large(payload))
        if numbered:
            self._recent.add(asyncio.get_running_loop().time(), subject, payload)
        if not await self._client.send(subject, payload, headers=FLEETING if fleeting else None):
            self._unsent += 1

    async def subscribe(self, subject: str, callback: Callback, *, direct: bool = False) -> None:
        """Call `callback(subject, payload)` for each message, after reconnects too.

        Callbacks (plain or coroutine functions) run one after another, in order of arrival over all
        subscriptions; for a message that found the inbox full (65,536 messages, 16 MiB) `dropped`
        counts up. `direct`: a plain function runs at once in the reading loop instead, before whatever
        waits; it must be quick. An exception of a callback ends the link: `async with connect(…)` raises it.
        """
        await self._receive(subject, callback if direct else self._inbox.receiver(callback))

    async def hear(self, subject: str, producer: str, callback: Together) -> None:
        """As `subscribe`, with all that waits, `callback([(subject, payload), …])`; producers take turns."""
        await self._receive(subject, self._inbox.receiver(together=callback, lane=producer))

    async def give_way(self) -> None:
        """In a callback of `hear`: let the loop run, and those of other producers, once each."""
        await self._inbox.give_way()

    async def _receive(self, subject: str, deliver: Callable[[str, bytes], object]) -> None:
        def receive(name: str, _: str, payload: bytes, __: object) -> None:
            try:
                deliver(name, payload)
            except Exception as error:  # noqa: BLE001 (raised again by _watch)
                if not self._failure.done():
                    self._failure.set_exception(error)

        self._subscriptions.append(await self._client.receive(subject, receive))

    async def submit(self, subject: str, payload: bytes, msg_id: str) -> "asyncio.Future[Ack]":
        """Send until stored; returns as soon as the message is under way (256 may be).
        The future ends with the Ack; messages are stored in the order in which they were submitted.

        Raises:
            ValueError: the payload is larger than the broker takes: no retry would help.
        """
        return await self._post.submit(subject, payload, msg_id)

    async def bury(
        self, subject: str, payload: bytes, msg_id: str, headers: dict[str, str]
    ) -> "asyncio.Future[Ack]":
        """As `submit`, to our own stream of dead letters, in any order; 16 may be under way.

        Where that is full, the Ack says so: its `seq` is 0.
        """
        return await self._dead.submit(subject, payload, msg_id, headers)

    async def request_ack(self, subject: str, payload: bytes, msg_id: str) -> Ack:
        """As `submit`, and wait until it is stored, however long that takes."""
        return await asyncio.shield(await self.submit(subject, payload, msg_id))

    async def settle(self) -> None:
        """Wait until everything submitted so far was stored; the deadline is the caller's."""
        await self._post.outbox.settle()

    async def pull(self, producer: str, batch: int = 64, expires: float = 5.0) -> list[Message]:
        """Return the next messages of `producer` as soon as there are any; empty after `expires` s.

        One call at a time for each producer. What is not acknowledged comes again, in order, after
        a reconnect or a restart.
        """
        puller = self._pullers.get(producer)
        if puller is None:
            puller = self._pullers[producer] = Puller(
                producer,
                self._client,
                connected=self._client.is_connected,
                insist=self._client.clustered,
            )
        return await puller.pull(batch, expires)

    async def captured(self, producer: str, since_ms: int = 0, before: int = 0) -> list[Message]:
        """Return what is kept of `producer`; to miss nothing, subscribe first. See `ntp.capture`.

        One call at a time for each producer. TimeoutError: nobody captures, or the broker is away.
        """
        return await captured(self._client, producer, since_ms, before)

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
        await self._post.outbox.settle()
        await self._dead.outbox.settle()
        if self._client.is_connected:
            await self.flush()

    async def _open(self, servers: list[str], name: str, credentials: Path | None) -> None:
        connecting = self._client.connect(
            servers,
            name=name,
            error_cb=ErrorLog(self._on_error).take,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
            **options(credentials),
        )
        await heeded(connecting)
        self._transport.healthy()
        self._suit_server()

    def _suit_server(self) -> None:
        """A server may have joined a cluster since the last connection, or left it."""
        several = self._client.clustered
        # A copy of a stream that comes back stops at the first message that names the one before
        # it (nats-server 2.15: "last msgid mismatch"). One at a time, none has to.
        self._post.outbox.window = 1 if several else WINDOW
        for puller in self._pullers.values():
            puller.insist = several

    def _parts(self) -> list[Coroutine[None, None, None]]:
        always = self._inbox.run(), self._post.outbox.run(), self._dead.outbox.run()
        again = self._insist(), self._recent.repeat(self._client.send)
        return [*always, *again, self._watch()]

    async def _close(self) -> None:
        self._closing = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await heeded(self._client.close())
        except (OSError, errors.Error) as error:
            self._on_error(f"while closing: {error}")

    async def _insist(self) -> None:
        """A right may come later than its plugin, or come back: the server does not tell."""
        while True:
            await self._client.refusal.wait()
            await asyncio.sleep(INSIST)
            await self._client.insist()

    async def _watch(self) -> None:
        await self._failure

    async def _disconnected(self) -> None:
        self._online(connected=False)
        if not self._closing:
            self._on_error("the broker is gone; reconnecting")

    async def _reconnected(self) -> None:
        self._transport.healthy()
        self._suit_server()
        self._online(connected=True)
        self._recent.wanted.set()

    def _online(self, *, connected: bool) -> None:
        parts: list[Postbox | Puller] = [self._post, self._dead, *self._pullers.values()]
        for each in parts:
            each.online(connected=connected)


@asynccontextmanager
async def connect(
    folder: Path,
    bus: BusAddress,
    *,
    plain: bool,
    name: str,
    proxy: ProxyAddress | None = None,
    on_error: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Link]:
    """Connect, waiting as long as it takes; stay connected until the block ends.

    `folder` holds the credentials and, unless `plain`, the door's socket; `proxy`: see `way_to_bus`. `name`
    is shown by the broker's tools. `on_error` is told in words whatever went wrong and was survived: a lost
    connection, a refused subject, a repeated signal; it runs in the loop and must be quick.

    Leaving the block closes at once; `drain` before it where nothing may be lost.
    """
    link = Link(None if plain else way_to_bus(folder, proxy), on_error)
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
