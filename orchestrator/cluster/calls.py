"""One request to the API server: its deadline, its answer, and what went wrong as our errors."""

import asyncio
import contextlib
import copy
import math
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlencode

import msgspec

from orchestrator.cluster import refusals
from orchestrator.cluster.place import Found, Place, find
from orchestrator.errors import UnreachableError

AT_ONCE = 6
"""Requests under way, of those who have no turns of their own; what follows something (a watch, a log)
is not counted.

Each has a connection, and TLS a buffer of 256 KiB for each of those (asyncio.sslproto).
"""
LONGEST_LINE = 16 * 1024 * 1024
"""Of a watch or a log, bytes. An object of the API server has at most 1.5 MiB."""
READ_AHEAD = 2 * 1024 * 1024
CLOSING_STEPS = 3
"""Of the loop, in which connections that were closed let go of their sockets."""
MANAGER = "ntp"
"""Who we are among the managers of fields."""


class Calls:
    """Speaks HTTP with one API server, as one user. Use it as `async with`."""

    def __init__(self, place: Place, guard: Callable[[], float] = lambda: math.inf) -> None:
        """`guard` is called before each request that changes something, and refuses it by raising.

        It returns how long such a request may take, seconds. It is called twice: before a connection
        is opened, which may take long, and when the first byte of the request is about to be sent.
        """
        self._place = place
        self._guard = guard
        self._found: Found | None = None
        self.turns = asyncio.Semaphore(AT_ONCE)

    def apart(self, at_once: int) -> Self:
        """Return the same connections, as long as this one is open, with turns of their own."""
        _ = self.found
        other = copy.copy(self)
        other.turns = asyncio.Semaphore(at_once)
        return other

    async def open(self) -> None:
        """Read who and where; raises as `place.find` does."""
        from aiohttp import ClientSession, TCPConnector, TraceConfig

        async def at_the_last_moment(_session: Any, _context: Any, sending: Any) -> None:
            if sending.method != "GET":
                self._guard()

        trace = TraceConfig()
        # Its name lies: the bytes of the headers are written after it (tests/integration/cluster/test_guard.py).
        trace.on_request_headers_sent.append(at_the_last_moment)
        self._found = await find(self._place)
        client = self._found.api.rest_client
        connector = TCPConnector(
            # A watch keeps its connection: a limit would make requests wait for nothing.
            limit=0,
            ssl=client.ssl_context,
            # Before 3.12.7 a TLS connection whose other side says nothing is never closed (gh-118950).
            enable_cleanup_closed=sys.version_info < (3, 12, 7),
        )
        client.pool_manager = ClientSession(
            connector=connector, trust_env=True, read_bufsize=READ_AHEAD, trace_configs=[trace]
        )

    async def close(self) -> None:
        if self._found is not None:
            await self._found.api.close()
            for _ in range(CLOSING_STEPS):
                await asyncio.sleep(0)

    @property
    def found(self) -> Found:
        if self._found is None:
            raise UnreachableError("the connection to the cluster was not opened")
        return self._found

    async def ask(
        self,
        method: str,
        path: str,
        *,
        what: str,
        deadline_s: float,
        query: Mapping[str, object] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> bytes:
        """Return the whole answer of a request that was granted.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: absolute.
            what: is tried, in words: "apply StatefulSet rsi".
            deadline_s: for all of it, waiting for a turn included.
            query: what comes after the question mark.
            body: as JSON.
            content: type of the body.

        Raises:
            UnreachableError: no answer, or one that says "not now".
            ActionError, ConflictError: the answer was no; its words are in the message.
        """
        with translated(what, deadline_s):
            async with asyncio.timeout(deadline_s) as limit, self.turns:
                if method != "GET":
                    ends = asyncio.get_running_loop().time() + self._guard()
                    limit.reschedule(min(ends, limit.when() or ends))
                given = self._request(
                    method, path, query, body=body, content=content, deadline_s=deadline_s
                )
                async with given as response:
                    return bytes(await response.read())

    @contextlib.asynccontextmanager
    async def follow(
        self, path: str, *, what: str, query: Mapping[str, object], within_s: float, quiet_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the lines of an answer that goes on.

        Args:
            path: absolute.
            what: is tried, in words.
            query: what comes after the question mark.
            within_s: until it begins.
            quiet_s: longest time without a byte; then UnreachableError. 0: as long as it likes.

        Raises:
            NtpError: as of `ask`, also while it goes on.
        """
        with translated(what, within_s):
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(within_s):
                    given = self._request("GET", path, query)
                    response = await stack.enter_async_context(given)
                yield _lines(response, what, quiet_s)

    @contextlib.asynccontextmanager
    async def channel(
        self, path: str, *, what: str, query: Mapping[str, object], within_s: float
    ) -> AsyncIterator[Any]:
        """Yield a websocket (aiohttp's) to something in a pod; errors as of `ask`."""
        with translated(what, within_s):
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(within_s):
                    url, headers = await self._address("GET", path, query)
                    socket = self.found.api.rest_client.pool_manager.ws_connect(
                        url,
                        headers=headers,
                        protocols=("v4.channel.k8s.io",),
                        heartbeat=20.0,
                        max_msg_size=0,
                        server_hostname=self.found.api.configuration.tls_server_name or None,
                        proxy=self.found.api.configuration.proxy or None,
                    )
                    opened = await stack.enter_async_context(socket)
                yield opened

    async def _address(
        self, method: str, path: str, query: Mapping[str, object] | None
    ) -> tuple[str, dict[str, str]]:
        asked = urlencode({key: _word(value) for key, value in (query or {}).items()})
        _, url, headers, *_ = await self.found.api.param_serialize(
            method, path, header_params={}, query_params=[], auth_settings=["BearerToken"]
        )
        return (f"{url}?{asked}" if asked else url), headers

    @contextlib.asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        *,
        body: Any = None,
        content: str = "application/json",
        deadline_s: float | None = None,
    ) -> AsyncIterator[Any]:
        from aiohttp import ClientTimeout

        for tries in (1, 2):
            url, headers = await self._address(method, path, query)
            answered = await self.found.api.rest_client.request(
                method,
                url,
                headers={**headers, "Content-Type": content, "Accept": "application/json"},
                body=body,
                _request_timeout=ClientTimeout(total=deadline_s, sock_connect=10.0),
            )
            response = answered.response
            async with contextlib.AsyncExitStack() as stack:
                stack.callback(response.close)
                if response.status == 401 and tries == 1:
                    await self.found.renew()
                    continue
                if response.status >= 400:
                    raise _RefusedError(response.status, bytes(await response.read()))
                yield response
                if response.content.at_eof():
                    await response.release()  # the connection is good for another request
                return


class _RefusedError(Exception):
    def __init__(self, status: int, answer: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.answer = answer


@contextlib.contextmanager
def translated(what: str, deadline_s: float) -> Iterator[None]:
    """Make our errors of those that a request can raise."""
    from aiohttp import ClientError, WSServerHandshakeError

    try:
        yield
    except _RefusedError as error:
        raise refusals.error(error.status, error.answer, what) from error
    except WSServerHandshakeError as error:
        raise refusals.error(error.status, str(error.message).encode(), what) from error
    except TimeoutError as error:
        raise UnreachableError(
            f"the cluster did not answer within {deadline_s:.0f} s when asked to {what}"
        ) from error
    except (ClientError, ssl.SSLError, OSError) as error:
        raise UnreachableError(f"the cluster cannot be reached: {error}") from error


async def _lines(response: Any, what: str, quiet_s: float) -> AsyncIterator[bytes]:
    waiting = bytearray()
    chunks = response.content.iter_any()
    while True:
        try:
            async with asyncio.timeout(quiet_s or None):
                chunk = await anext(chunks, b"")
        except TimeoutError as error:
            raise UnreachableError(
                f"the cluster said nothing for {quiet_s:.0f} s when asked to {what}"
            ) from error
        if not chunk:
            break
        *whole, rest = chunk.split(b"\n")
        for each in whole:
            yield bytes(waiting + each)
            waiting.clear()
        waiting += rest
        if len(waiting) > LONGEST_LINE:
            raise UnreachableError(f"a line was longer than any line is when asked to {what}")
    if waiting:
        yield bytes(waiting)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def parsed(answer: bytes, what: str) -> dict[str, Any]:
    """Return an answer's object; UnreachableError: it is none, as of a proxy's page."""
    try:
        found = msgspec.json.decode(answer)
    except ValueError as error:
        raise UnreachableError(f"the cluster's answer was no JSON when asked to {what}") from error
    if not isinstance(found, dict):
        raise UnreachableError(f"the cluster's answer was no object when asked to {what}")
    return found
