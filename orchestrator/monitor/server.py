"""`/metrics` and `/healthz`: a small HTTP/1.1 server on the controller's own loop, one answer a connection."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

import structlog

from orchestrator.decide.report import Figures, ProjectStatus
from orchestrator.errors import NtpError
from orchestrator.monitor.metrics import Metrics

REQUEST_S, ANSWER_S, REFUSAL_S = 5.0, 5.0, 0.5
MOST_BYTES = 8192
MOST_CONNECTIONS = 16
TEXT = "text/plain; version=0.0.4; charset=utf-8"
JSON = "application/json"

Answer = tuple[HTTPStatus, str, bytes]
log = structlog.get_logger()


class Monitor:
    """Answers from a pass that began after the question: what it says is fresh, or it says that not.

    Args:
        status: `Controller.status`.
        figures: `Controller.figures`.
        version: of the controller.
        answer_s: how long a pass may take before the loop counts as stuck.
        request_s: how long a client may take to ask, and to take the answer.
    """

    def __init__(
        self,
        status: Callable[[None], Awaitable[ProjectStatus]],
        figures: Callable[[], Figures],
        *,
        version: str,
        answer_s: float = ANSWER_S,
        request_s: float = REQUEST_S,
    ) -> None:
        self._status = status
        self._figures = figures
        self._metrics = Metrics(version)
        self._answer_s = answer_s
        self._request_s = request_s
        self._open = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            with contextlib.suppress(OSError, TimeoutError):
                if self._open > MOST_CONNECTIONS:
                    # To close over what was not read resets the connection: the answer would be lost.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(REFUSAL_S):
                            await reader.read(MOST_BYTES)
                    answer = _plain(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
                else:
                    answer = await self._answer(reader)
                writer.write(_framed(answer))
                async with asyncio.timeout(self._request_s):
                    await writer.drain()
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        try:
            async with asyncio.timeout(self._request_s):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request is too large")
        except asyncio.IncompleteReadError:
            return _plain(HTTPStatus.BAD_REQUEST, "no HTTP request")
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _plain(HTTPStatus.BAD_REQUEST, "no HTTP/1.1 request")
        path = words[1].split("?", 1)[0]
        if path not in ("/metrics", "/healthz"):
            return _plain(HTTPStatus.NOT_FOUND, "there are /metrics and /healthz")
        if words[0] != "GET":
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered")
        status, wrong = None, ""
        try:
            async with asyncio.timeout(self._answer_s):
                status = await self._status(None)
            wrong = _blind(status)
        except TimeoutError:
            wrong = f"no pass was done within {self._answer_s:g} s"
        except NtpError as error:
            wrong = str(error)
        if path == "/healthz":
            code = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
            told = {"healthy": not wrong, "reason": wrong}
            return code, JSON, json.dumps(told).encode() + b"\n"
        if status is None:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, wrong)
        return HTTPStatus.OK, TEXT, self._metrics.render(status, self._figures())


@contextlib.asynccontextmanager
async def monitoring(monitor: Monitor, address: tuple[str, int] | None) -> AsyncIterator[None]:
    """Serve as long as the block lasts; nothing where `address` is None.

    Where nobody can listen, the log says so and nothing is served.
    """
    if address is None:
        yield
        return
    host, port = address
    try:
        server = await asyncio.start_server(monitor.connected, host, port, limit=MOST_BYTES)
    except OSError as error:
        # Who is only looked at by fewer goes on: another project may have been given the same port.
        log.warning(
            "metrics.not_served",
            address=f"{host}:{port}",
            cause=error.strerror or str(error),
            fix="name a free port of this machine in NTP_METRICS, a different one for each project",
        )
        yield
        return
    try:
        yield
    finally:
        server.close()


def _blind(status: ProjectStatus) -> str:
    for each in status.conditions:
        if each.type == "RuntimeReachable" and not each.status:
            return f"the runtime does not answer: {each.message or each.reason}"
    return ""


def _plain(status: HTTPStatus, text: str) -> Answer:
    return status, "text/plain; charset=utf-8", text.encode() + b"\n"


def _framed(answer: Answer) -> bytes:
    status, kind, body = answer
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
