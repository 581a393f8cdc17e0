"""nats-py as a plugin needs it: through the door, reconnecting for ever, never hanging.

A few private names of nats-py are touched here and nowhere else: `_transport` (no public way to
hand one in), `_server_info` (the server's version, its cluster), `_ps` (a message goes to its receiver without a queue and a
task of its own; see `ntp.frames`), `_process_info` (other servers of a cluster), `_process_err` (most errors of the server
would end the client for good) and, to ask again for a refused subscription, `_subs` and `_send_subscribe`.
tests/integration/bus fails if one of them changes.
"""

import asyncio
import base64
import random
import re
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import ParseResult

from ntp.bare_nats import Client, Subscription, TcpTransport, errors
from ntp.bell import Bell
from ntp.confine.door_client import Door
from ntp.confine.ways import Way
from ntp.contract.launch import DOOR_SOCKET, ProxyAddress
from ntp.frames import Frames
from ntp.headers import parsed
from ntp.heeding import heeded

Receive = Callable[[str, str, bytes, dict[str, str] | None], None]
"""subject, reply subject, payload, headers; runs in the reading loop: it must be quick, and must not raise."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
READ = 256 * 1024
"""Bytes that are read in one turn of the loop, while they are there: reading has to be faster than handling
what was read, or who sends little waits in the socket behind who sends much."""
STALL = 10.0
"""Seconds that the kernel may refuse our bytes before the connection counts as dead."""

_REFUSED = re.compile(r'permissions violation for subscription to .* \(sid "(\d+)"\)')
_CREDENTIALS_LIMIT = 16 * 1024


class Transport(TcpTransport):
    """TCP, by the way out where there is one; pauses longer after each failure in a row."""

    def __init__(self, way: Way | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # nats-py's
        self._way = way
        self._pause = 0.0

    def __bool__(self) -> bool:
        return True  # nats-py drops a preset transport that is false

    def healthy(self) -> None:
        """Forget failures: the next reconnect is tried almost at once."""
        self._pause = FIRST_PAUSE

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:  # noqa: ARG002 (nats-py's is too small)
        self.close()  # nats-py leaves open what a server has refused
        pause, self._pause = self._pause, min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        # Jitter: a broker that comes back must not meet all its clients at one instant.
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
        host, port = uri.hostname or "localhost", uri.port or 4222
        async with asyncio.timeout(connect_timeout):
            if self._way is None:
                reader, writer = await asyncio.open_connection(host, port, limit=READ)
            else:
                handed = await self._way.open_async(host, port)
                reader, writer = await asyncio.open_connection(sock=handed, limit=READ)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = writer

    async def read(self, _: int) -> bytes:
        data: bytes = await super().read(READ)
        return data

    async def drain(self) -> None:
        async with asyncio.timeout(STALL):
            await super().drain()  # type: ignore[no-untyped-call]  # nats-py's

    def close(self) -> None:
        # A graceful close would wait for a peer that takes no more bytes; whoever needs his bytes
        # delivered has flushed (a round trip) before.
        if self._io_writer is not None:
            self._io_writer.transport.abort()


class LeanClient(Client):
    """Hands messages straight to their receiver, and no error of the server ends it."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport
        self._ps = Frames(self)
        self._receivers: dict[int, Receive] = {}
        self._refused: set[int] = set()
        self.news = Bell()
        """Rings when something came."""
        self.refusal = asyncio.Event()
        """Set while the server refuses a subscription: its right was withdrawn, or is not there yet."""

    @property
    def version(self) -> tuple[int, ...]:
        """Of the server, as far as it says: major and minor."""
        said = str(self._server_info.get("version", "")).split(".")[:2]
        return tuple(int(part) for part in said if part.isdigit())

    @property
    def clustered(self) -> bool:
        """Whether it is one server of several."""
        return bool(self._server_info.get("cluster"))

    async def send(
        self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> bool:
        """Publish; False: disconnected, and the buffer is full."""
        try:
            await heeded(self.publish(subject, payload, reply, headers))
        except errors.OutboundBufferLimitError:
            return False
        return True

    async def receive(self, subject: str, receiver: Receive) -> Subscription:
        """Subscribe, after reconnects too, until `release`."""
        # A future instead of a callback: nats-py starts no task for it. Neither is ever used.
        unused = asyncio.get_running_loop().create_future()
        number = self._sid + 1
        self._receivers[number] = receiver  # before the server can answer
        try:
            return await self.subscribe(subject, future=unused)
        except errors.Error:
            del self._receivers[number]
            raise

    async def release(self, subscription: Subscription) -> None:
        """Unsubscribe; what arrives until the server heard of it is dropped."""
        self._receivers.pop(subscription._id, None)  # noqa: SLF001 (nats-py shows it on messages only)
        await subscription.unsubscribe()

    def take(
        self,
        number: int,
        subject: bytes,
        reply: bytes,
        payload: bytes,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Hand a message that arrived for a subscription to its receiver."""
        receiver = self._receivers.get(number)
        if receiver is not None:
            receiver(
                subject.decode(errors="replace"), reply.decode(errors="replace"), payload, headers
            )

    async def take_headed(
        self, number: int, subject: bytes, reply: bytes, headers: bytes, payload: bytes
    ) -> None:
        """As `take`, of a message with headers."""
        try:
            found = parsed(headers)
        except ValueError as error:
            await self._error_cb(error)
            found = {}
        self.take(number, subject, reply, payload, found or None)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002 (nats-py's signature)
        # Other servers of its cluster: the door leads to those alone that were named.
        await super()._process_info({**info, "connect_urls": []}, initial_connection)

    async def flush(self, timeout: int = 10) -> None:  # noqa: ASYNC109 (nats-py's signature)
        """Return once the server has taken everything said before."""
        # nats-py's PING overtakes what its own queue still holds.
        await heeded(self._flush_pending(force_flush=True))
        await heeded(super().flush(timeout))

    async def insist(self) -> None:
        """Ask again for every subscription that was refused."""
        refused, self._refused = self._refused, set()
        self.refusal.clear()
        for number in refused & self._subs.keys():
            await self._send_subscribe(self._subs[number])

    async def _process_err(self, err_msg: str) -> None:
        found = _REFUSED.search(err_msg)
        if found is not None:
            self._refused.add(int(found[1]))
            self.refusal.set()
        # nats-py closes for good at a revoked credential, a full account or an unknown error. Where
        # it matters the server cuts the connection by itself, and we come back with a back-off.
        await self._error_cb(errors.Error(f"nats: {err_msg.strip(chr(39))}"))


def credentials(file: Path) -> tuple[Callable[[], bytes], Callable[[str], bytes]]:
    """Return nats-py's user_jwt_cb and signature_cb for a .creds file.

    The file is read at every connect, so a rotated credential serves without a restart.
    """

    def jwt() -> bytes:
        return _section(file, "USER JWT")

    def sign(nonce: str) -> bytes:
        import nkeys

        pair = nkeys.from_seed(bytearray(_section(file, "USER NKEY SEED")))
        try:
            return base64.b64encode(pair.sign(nonce.encode()))
        finally:
            pair.wipe()

    return jwt, sign


def _section(file: Path, title: str) -> bytes:
    with file.open("rb") as stream:
        lines = stream.read(_CREDENTIALS_LIMIT).splitlines()
    for line, following in pairwise(lines):
        if line.startswith(b"-----BEGIN ") and title.encode() in line:
            return following.strip()
    message = f"{file.name} holds no {title}; it must be a NATS .creds file (user JWT and seed)"
    raise errors.Error(message)


def options(credentials_file: Path | None) -> dict[str, Any]:
    """Return the settings of `Client.connect` that every plugin shares."""
    settings: dict[str, Any] = {
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0,  # Transport.connect pauses
        "connect_timeout": 5,
        "ping_interval": 5,
        "max_outstanding_pings": 2,
        "pending_size": 2 * 1024 * 1024,
        "flush_timeout": STALL,
    }
    if credentials_file is not None:
        settings["user_jwt_cb"], settings["signature_cb"] = credentials(credentials_file)
    return settings


def way_to_bus(folder: Path, proxy: ProxyAddress | None) -> Way | None:
    """Return the way to the broker: the door in `folder`, or where a proxy is past it or through it.

    None: there is neither, connect as usual.
    """
    if proxy is not None:
        from ntp.confine.proxy_client import Direct, Proxy  # late: most plugins have a door

        return Proxy(proxy.address, folder / proxy.token) if proxy.bus else Direct()
    door = folder / DOOR_SOCKET
    return Door(str(door)) if door.exists() else None
