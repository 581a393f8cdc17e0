"""One connection to Polygon: logging in, in the order that the server insists on, and subscribing."""

import asyncio

import msgspec
from polygon_frames import Status, read
from websockets.asyncio.client import ClientConnection

from ntp import PermanentError
from ntp.live.line import LineError

TOPICS_EACH = 200
"""Topics in one request: a few kilobytes."""


class Session:
    """Of one connection: it starts with nothing asked for."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._asked: set[str] = set()
        self._one = asyncio.Lock()

    async def log_in(self, key: str) -> None:
        """Read one frame, send the key, read one frame: nothing may be sent in between.

        Raises:
            PermanentError: the server does not know the key.
            LineError: it does not take us now.
        """
        _expect(await self._status(), "connected")
        await self._send("auth", key)
        _expect(await self._status(), "auth_success")

    async def agree(self, wanted: set[str]) -> None:
        """Ask until exactly `wanted` is asked for; the set may change meanwhile."""
        async with self._one:
            while True:
                if gone := self._asked - wanted:
                    part = sorted(gone)[:TOPICS_EACH]
                    self._asked.difference_update(part)
                    await self._send("unsubscribe", ",".join(part))
                elif new := wanted - self._asked:
                    part = sorted(new)[:TOPICS_EACH]
                    self._asked.update(part)
                    await self._send("subscribe", ",".join(part))
                else:
                    return

    async def _status(self) -> Status:
        try:
            events, complaint = read(await self._socket.recv(decode=False))
        except msgspec.MsgspecError as error:
            raise LineError(f"the answer cannot be read: {error}") from error
        for event in events:
            if isinstance(event, Status):
                return event
        raise LineError(f"no status came while logging in; {complaint or 'other events did'}")

    async def _send(self, action: str, params: str) -> None:
        request = msgspec.json.encode({"action": action, "params": params})
        await self._socket.send(request, text=True)


def _expect(status: Status, wanted: str) -> None:
    if status.status != wanted:
        raise fault(status) or LineError(f"{status.status}: {status.message}")


def fault(status: Status) -> Exception | None:
    """Return what a status means for the connection; None where it goes on."""
    match status.status:
        case "auth_failed":
            return PermanentError(
                "AuthFailed",
                f"Polygon refused the api_key: {status.message};"
                " fix: check the key in your account, and its variable in .env",
            )
        case "auth_timeout" | "max_connections" | "slow_consumer" | "force_disconnect":
            return LineError(f"{status.status}: {status.message}")
        case _:
            return None
