"""One POST to a webhook, within a deadline. Whether it is tried again is the controller's business."""

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from orchestrator.decide.alerts import Alert
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.monitor.payload import payload
from orchestrator.spec.webhook import Webhook

DEADLINE_S = 5.0
HANGING = 4
"""Calls that were given up but have not ended, as where a name server does not answer: no more then."""
SIGNATURE = "X-Hub-Signature-256"
"""As GitHub and WebSub sign: `sha256=` and the HMAC of the body in hex."""
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class HttpWebhook:
    """Port `Notifier`.

    Args:
        webhook: where to.
        version: of the controller.
        deadline_s: for name, connection, TLS and answer together.
    """

    def __init__(self, webhook: Webhook, *, version: str, deadline_s: float = DEADLINE_S) -> None:
        self.place = webhook.place
        self.signed = bool(webhook.secret)
        self._webhook = webhook
        self._version = version
        self._deadline_s = deadline_s
        self._calls: list[_Call] = []

    async def tell(self, alert: Alert) -> None:
        """Send it. Redirects are not followed, no proxy is asked.

        Raises:
            UnreachableError: there was no answer, or one that says "later".
            ActionError: refused, and again would be refused again.
        """
        self._calls = [each for each in self._calls if each.thread.is_alive()]
        if len(self._calls) >= HANGING:
            raise UnreachableError("calls before this one have not ended yet")
        call = _Call(self._connect, self._path(), payload(alert), self._headers)
        self._calls.append(call)
        try:
            async with asyncio.timeout(self._deadline_s):
                status = await call.answer()
        except TimeoutError as error:
            raise UnreachableError(f"no answer within {self._deadline_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(_words(error)) from error
        finally:
            call.give_up()
        _judge(status)

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._webhook.url)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=self._deadline_s)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            host, parts.port, timeout=self._deadline_s, context=context
        )

    def _path(self) -> str:
        parts = urlsplit(self._webhook.url)
        return f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"

    def _headers(self, body: bytes) -> dict[str, str]:
        found = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": f"ntp/{self._version}",
            "Connection": "close",
        }
        if self._webhook.secret:
            made = hmac.new(self._webhook.secret.encode(), body, hashlib.sha256)
            found[SIGNATURE] = f"sha256={made.hexdigest()}"
        return found


class _Call:
    """A call in a thread of its own: one that hangs holds up neither the loop nor the end of the process."""

    def __init__(
        self,
        connect: Callable[[], http.client.HTTPConnection],
        path: str,
        body: bytes,
        headers: Callable[[bytes], dict[str, str]],
    ) -> None:
        self._connect = connect
        self._path = path
        self._body = body
        self._headers = headers
        self._connection: http.client.HTTPConnection | None = None
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[int] = self._loop.create_future()
        self.thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    async def answer(self) -> int:
        """Return the status of the answer. Raises OSError, HTTPException."""
        self.thread.start()
        return await self._answer

    def give_up(self) -> None:
        """End the call, as far as it can be ended from outside."""
        opened = self._connection.sock if self._connection is not None else None
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        found: int | Exception
        try:
            self._connection = self._connect()
            with contextlib.closing(self._connection) as connection:
                connection.request("POST", self._path, self._body, self._headers(self._body))
                found = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            found = error
        # The loop may be gone: nobody needs the answer then.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._tell, found)

    def _tell(self, found: int | Exception) -> None:
        if self._answer.done():
            return
        if isinstance(found, Exception):
            self._answer.set_exception(found)
        else:
            self._answer.set_result(found)


def _judge(status: int) -> None:
    told = f"it answered {status}{_phrase(status)}"
    if 200 <= status < 300:
        return
    if status >= 500 or status in _AGAIN:
        raise UnreachableError(told)
    if 300 <= status < 400:
        told += "; redirects are not followed, name the address that it leads to"
    raise ActionError(told, reason="WebhookRefused", permanent=True)


def _phrase(status: int) -> str:
    """Return the words of the standard: those of the answer are anybody's."""
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, http.client.HTTPException):
        return "it did not answer in HTTP"
    return str(error) or type(error).__name__
