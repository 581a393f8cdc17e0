"""One life of a connection of the controller's own: dialled with a deadline, given up when it breaks.

There is no reconnecting inside: whoever holds a life dials the next one, with his own back-off and
his own state to bring back. A life that broke says so by `lost`.
"""

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import nkeys

from ntp.bare_nats import Client, TcpTransport, errors
from ntp.heeding import heeded
from orchestrator.bus import claims
from orchestrator.bus.insisting import NoResponderError, insisting
from orchestrator.errors import UnreachableError

DEADLINE = 3
"""Seconds for a connect, and for each answer."""


Receive = Callable[[str, bytes], None]
"""Subject, payload; runs in the reading loop: it must be quick."""


class _Transport(TcpTransport):
    """Closes without waiting for a peer that takes no more bytes; reads at once, or now and then."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # nats-py's
        self.lost = asyncio.Event()
        self.lull = 0.0
        """Seconds that what arrives may wait in the kernel, to be read with what comes after it."""
        self._at_once = asyncio.Event()
        self._asked = 0
        self._emptied = False
        """The last read took all that was there."""

    def hurry(self) -> None:
        """Read what waits now."""
        self._at_once.set()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """An answer is waited for: as long as the block lasts everything is read at once."""
        self._asked += 1
        self.hurry()
        try:
            yield
        finally:
            self._asked -= 1

    def __bool__(self) -> bool:
        return True  # nats-py drops a preset transport that is false

    async def read(self, buffer_size: int) -> bytes:
        if self._emptied and self.lull and not self._asked:
            await self._rest()
        try:
            data: bytes = await super().read(buffer_size)
        except OSError:
            self.lost.set()
            raise
        if not data:
            self.lost.set()
        self._emptied = len(data) < buffer_size
        return data

    async def _rest(self) -> None:
        """Leave what comes next to the kernel for a while: a read costs more than what it brings."""
        line = self._io_writer.transport if self._io_writer else None
        if not isinstance(line, asyncio.Transport):
            return
        self._at_once.clear()
        line.pause_reading()
        try:
            async with asyncio.timeout(self.lull):
                await self._at_once.wait()
        except TimeoutError:
            pass
        finally:
            if not line.is_closing():
                line.resume_reading()

    def close(self) -> None:
        self.lost.set()
        if self._io_writer is not None:
            self._io_writer.transport.abort()


class _Client(Client):
    """Reads on after a message that is no text: nats-py's own reading loop ends there without a word."""

    def __init__(self) -> None:
        super().__init__()
        self._receivers: dict[int, Receive] = {}

    async def receive(self, subject: str, receiver: Receive) -> None:
        """Hand each message to `receiver` at once, without a queue and a task of its own."""
        # A future instead of a callback: nats-py starts no task for it. It is never used.
        unused = asyncio.get_running_loop().create_future()
        self._receivers[self._sid + 1] = receiver  # before the server can answer
        await self.subscribe(subject, future=unused)

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        receiver = self._receivers.get(sid)
        try:
            if receiver is not None:
                receiver(subject.decode(), data)
            else:
                await super()._process_msg(sid, subject, reply, data, headers)
        except Exception as error:  # noqa: BLE001 - its sender may have written anything
            await self._error_cb(error)


class Life:
    """A connected client. `last_error` is what the server last said against us, in words."""

    def __init__(self, client: _Client, transport: _Transport) -> None:
        self.client = client
        self.lost = transport.lost
        self.last_error = ""
        self._transport = transport

    def rest(self, lull: float) -> None:
        """Take what arrives at most once in `lull` seconds, together; 0: at once, as at the beginning.

        Answers that are waited for are not held up by it.
        """
        self._transport.lull = lull
        if not lull:
            self._transport.hurry()

    @property
    def server(self) -> dict[str, Any]:
        """What the server said of itself: server_name, version and more."""
        return dict(self.client._server_info)  # noqa: SLF001 (nats-py shows the version only)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        within_s: float = DEADLINE,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """Ask and return the answer.

        Raises:
            NoResponderError: nobody serves the subject.
            UnreachableError: nobody answered in time.
        """
        try:
            with self._transport.asking():
                asked = self.client.request(subject, payload, timeout=within_s, headers=headers)
                answer = await heeded(asked)
        except (errors.Error, OSError) as error:
            words = str(error).removeprefix("nats: ")
            nobody = isinstance(error, errors.NoRespondersError)
            kind = NoResponderError if nobody else UnreachableError
            raise kind(f"the broker did not answer {subject}: {words}") from error
        return bytes(answer.data)

    async def settle(self) -> None:
        """Return once the server has taken everything said before.

        Raises:
            UnreachableError: it did not in time.
        """
        try:
            # Twice, for nats-py's first PING overtakes what its own queue still holds.
            with self._transport.asking():
                await heeded(self.client.flush(timeout=DEADLINE))
                await heeded(self.client.flush(timeout=DEADLINE))
        except (errors.Error, OSError) as error:
            raise UnreachableError(f"the broker did not answer a ping: {error}") from error

    async def ask(
        self, subject: str, body: object = None, *, raw: bytes = b"", within_s: float = DEADLINE
    ) -> dict[str, Any]:
        """Ask in JSON, or by `raw`; an answer that is no JSON counts as no answer."""
        payload = raw if body is None else json.dumps(body).encode()
        answer = await self.request(subject, payload, within_s=within_s)
        try:
            parsed = json.loads(answer)
        except ValueError as error:
            raise UnreachableError(f"the broker answered {subject} unreadably") from error
        if not isinstance(parsed, dict):
            raise UnreachableError(f"the broker answered {subject} unreadably")
        return parsed

    async def jetstream(
        self, what: str, body: object = None, *, within_s: float = DEADLINE
    ) -> dict[str, Any]:
        """As `ask`, of JetStream's interface; again where nobody serves it for a moment.

        Raises:
            NoResponderError: nobody did for NOBODY_S.
            UnreachableError: no answer within `within_s` of the last question.
        """
        return await insisting(lambda: self.ask(f"$JS.API.{what}", body, within_s=within_s))


@asynccontextmanager
async def dial(address: str, credentials: bytes, *, name: str) -> AsyncIterator[Life]:
    """Connect once. `address`: host:port, or several of one cluster, separated by commas.

    Raises:
        UnreachableError: no server, or it refuses us, within DEADLINE each.
    """
    addresses = address.split(",")
    random.shuffle(addresses)
    life = None
    while life is None:
        one = addresses.pop()
        try:
            life = await _connected(one, credentials, name)
        except UnreachableError:
            if not addresses:
                raise
    try:
        yield life
    finally:
        await _close(life.client)


async def _connected(address: str, credentials: bytes, name: str) -> Life:
    transport = _Transport()
    client = _Client()
    client._transport = transport  # noqa: SLF001 (there is no public way to hand one in)
    life = Life(client, transport)
    jwt, seed = claims.parts(credentials)

    def sign(nonce: str) -> bytes:
        pair = nkeys.from_seed(bytearray(seed))
        return base64.b64encode(pair.sign(nonce.encode()))

    async def heard(error: Exception) -> None:
        life.last_error = str(error).removeprefix("nats: ")

    async def closed() -> None:
        transport.lost.set()

    try:
        async with asyncio.timeout(DEADLINE):
            connecting = client.connect(
                f"nats://{address}" if "://" not in address else address,
                name=name,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=2,
                ping_interval=5,
                max_outstanding_pings=2,
                user_jwt_cb=lambda: jwt,
                signature_cb=sign,
                error_cb=heard,
                closed_cb=closed,
            )
            await heeded(connecting)
    except (errors.Error, OSError) as error:
        await _close(client)
        words = life.last_error or str(error).removeprefix("nats: ") or "no answer"
        if "reset by peer" in words:  # what it said before was lost with it
            words = "it closed the connection; most likely our credentials are not of this broker"
        elif "authorization violation" in words.lower():
            words += ": it does not take our credentials, or runs without an operator"
        raise UnreachableError(f"the broker at {address} is not there: {words}") from error
    except BaseException:
        await _close(client)
        raise
    return life


async def _close(client: Client) -> None:
    try:
        async with asyncio.timeout(DEADLINE):
            await heeded(client.close())
    except (errors.Error, OSError):
        pass  # it was gone already; the socket is aborted either way
