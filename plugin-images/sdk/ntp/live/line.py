"""A WebSocket that is kept open: opened again with back-off, watched for silence, able to say how it is."""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from ntp.live import reach
from ntp.live.backoff import Backoff

OPEN_S = 10.0
"""For name, connection, TLS and the protocol's handshake; and as long again for the greeting."""
CLOSE_S = 1.0
PING_S = 20.0
LARGEST_FRAME = 4 * 1024 * 1024
WAITING_FRAMES = 256
"""Frames between socket and reader; then the sender waits, as TCP has it."""

STALE = "FeedStale"
CLOSED = "Disconnected"

Greet = Callable[[ClientConnection], Awaitable[None]]

overhear: ContextVar[Callable[[bytes], None] | None] = ContextVar("overhear", default=None)
"""Is told each frame, as it came, of the lines that are made while it is set: how frames are recorded."""

log = logging.getLogger(__name__)


class LineError(Exception):
    """Raised by a greeting, or given to `drop`: this connection is of no use; try again later."""


class Line:
    """One connection at a time.

    Args:
        url: ws:// or wss://.
        greet: logs in and subscribes on a new connection; `frames` yields what comes after it.
        backoff: between tries. It is set back once a connection brought data for as long as its longest
            wait: one that is accepted and cut off again and again counts as failing.
        stale_after_s: a connection without data for so long is given up.
        lifetime_s: a connection is replaced at this age, before the exchange ends it.

    Attributes:
        socket: the open connection, once it was greeted.
    """

    def __init__(
        self,
        url: str,
        greet: Greet,
        backoff: Backoff,
        *,
        stale_after_s: float,
        lifetime_s: float = math.inf,
    ) -> None:
        self.socket: ClientConnection | None = None
        self._url = url
        self._greet = greet
        self._backoff = backoff
        self._stale_after_s = stale_after_s
        self._lifetime_s = lifetime_s
        self._overhear = overhear.get()
        parts = urlsplit(url)
        # Neither path nor query: they may hold what is nobody's business.
        self._place = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'wss' else 80)}"
        self._opened = self._heard = -math.inf
        self._first = 0.0
        self._leave: tuple[bool, str, str] | None = None
        self._trouble: tuple[str, str] | None = None
        self._next_try: float | None = None
        self._connections = self._failures = 0
        self._last_end = ""

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Yield frames of one connection after the other, until it is closed."""
        self._first = monotonic()
        while True:
            try:
                socket = await self._open()
            except (OSError, WebSocketException, LineError, EOFError) as error:
                await self._wait(*_told(error))
                continue
            self._opened, self._leave = monotonic(), None
            self.socket = socket
            self._connections += 1
            if self._trouble and self._trouble[0] in {reach.FAILED, reach.REFUSED}:
                self._trouble = None
            log.info("feed.open place=%s", self._place)
            try:
                while (frame := await self._next(socket)) is not None:
                    yield frame
            finally:
                self.socket = None
                # Of use to the exchange alone; it may be long gone.
                await socket.close()
            await self._after()

    def heard(self) -> None:
        """Take note that this connection brings data."""
        self._heard = monotonic()
        self._trouble = None

    def renew(self, why: str) -> None:
        """Leave this connection for a new one at once: its end is announced."""
        self._leave = (True, CLOSED, why)

    def drop(self, why: str) -> None:
        """Leave this connection, for the exchange will have no more of it; wait before the next."""
        self._leave = (False, CLOSED, why)

    def conditions(self) -> dict[str, str]:
        """Return what is wrong now, as a source's `conditions` does."""
        if self._trouble is None:
            return {}
        now = monotonic()
        reason, words = self._trouble
        if reason == STALE:
            since = max(self._heard, self._first)
            words = f"no data from {self._place} for {now - since:.0f} s, over an open connection"
        if self._next_try is not None:
            wait = max(self._next_try - now, 0.0)
            words += f"; try {self._backoff.tries + 1} in {wait:.0f} s"
        elif self.socket is not None:
            words += "; connected again, no data yet"
        else:
            words += "; connecting"
        return {reason: words}

    def report(self) -> dict[str, Any]:
        """Return figures for a source's `report`. `quiet_s`: seconds since the last data."""
        now = monotonic()
        return {
            "connected": self.socket is not None,
            "connections": self._connections,
            "failures": self._failures,
            "last_end": self._last_end,
            "next_wait_s": self._backoff.full,
            "quiet_s": None if math.isinf(self._heard) else round(now - self._heard, 1),
        }

    async def _open(self) -> ClientConnection:
        socket = await connect(
            self._url,
            compression=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=LARGEST_FRAME,
            max_queue=WAITING_FRAMES,
            proxy=None,
        )
        try:
            async with asyncio.timeout(OPEN_S):
                await self._greet(socket)
        except BaseException:
            await socket.close()
            raise
        return socket

    async def _next(self, socket: ClientConnection) -> bytes | None:
        """Return a frame; None when this connection is to be left, for the reason in `_leave`."""
        if self._leave is not None:
            return None
        stale = max(self._opened, self._heard) + self._stale_after_s
        old = self._opened + self._lifetime_s
        try:
            async with asyncio.timeout(min(stale, old) - monotonic()):
                frame = await socket.recv(decode=False)
        except TimeoutError:
            if old <= stale:
                self._leave = (True, CLOSED, f"replaced after {self._lifetime_s:.0f} s")
            else:
                self._leave = (False, STALE, f"no data for {self._stale_after_s:g} s")
        except ConnectionClosed as error:
            self._leave = (False, CLOSED, _told(error)[1])
        else:
            if self._overhear is not None:
                self._overhear(frame)
            return frame
        return None

    async def _after(self) -> None:
        at_once, reason, words = self._leave or (False, CLOSED, "")
        now = monotonic()
        brought_data = self._heard >= self._opened
        if brought_data and now - self._opened >= self._backoff.longest_s:
            self._backoff.reset()
        if at_once and brought_data:
            self._last_end = words
            log.info("feed.renew place=%s why=%s", self._place, words)
            return
        await self._wait(reason, words)

    async def _wait(self, reason: str, words: str) -> None:
        self._failures += 1
        self._last_end = words
        # More is said behind it, and an exchange may end its words with a full stop.
        told = words.rstrip(".")
        self._trouble = (reason, told if self._place in told else f"{self._place}: {told}")
        wait = self._backoff.next()
        log.warning("feed.down reason=%s wait_s=%.1f why=%s", reason, wait, words)
        self._next_try = monotonic() + wait
        try:
            await asyncio.sleep(wait)
        finally:
            self._next_try = None


def address(config: Mapping[str, Any], name: str, default: str) -> str:
    """Return a URL of a config that `Line` can open; raises ValueError by the name of its field."""
    given = config.get(name, default)
    try:
        parts = urlsplit(given) if isinstance(given, str) else None
        if parts and parts.scheme in {"ws", "wss"} and parts.hostname and parts.port != 0:
            return str(given)
    except ValueError:  # no port
        pass
    raise ValueError(f"{name} was {given!r}, which is no address; write wss://host:port/path")


def seconds(config: Mapping[str, Any], name: str, default: float, *, above: float = 0.0) -> float:
    """Return a time of a config; raises ValueError by the name of its field."""
    given = config.get(name, default)
    if isinstance(given, bool) or not isinstance(given, int | float) or not above < given < 1e9:
        raise ValueError(f"{name} was {given!r}; give seconds above {above:g}")
    return float(given)


def _told(error: Exception) -> tuple[str, str]:
    """Return reason and words of an end or a failure."""
    if isinstance(error, LineError):
        return CLOSED, str(error)
    if isinstance(error, ConnectionClosed):
        close = error.rcvd
        if close is None:
            return CLOSED, "the connection was lost"
        return CLOSED, f"closed by the exchange: {close.code} {close.reason}".rstrip()
    return reach.reason(error), reach.words(error)
