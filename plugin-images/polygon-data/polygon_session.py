"""One connection to Polygon: logging in, in the order that the server insists on, and subscribing."""

import msgspec
from polygon_frames import Status, read

from ntp import PermanentError
from ntp.live.line import LineError
from ntp.live.subscriptions import Subscriptions


class Session(Subscriptions):
    topics_each = 200  # a few kilobytes

    async def log_in(self, key: str) -> None:
        """Read one frame, send the key, read one frame: nothing may be sent in between.

        Raises:
            PermanentError: the server does not know the key.
            LineError: it does not take us now.
        """
        _expect(await self._status(), "connected")
        await self._send("auth", key)
        _expect(await self._status(), "auth_success")

    async def ask(self, topics: list[str], *, on: bool) -> None:
        await self._send("subscribe" if on else "unsubscribe", ",".join(topics))

    async def _status(self) -> Status:
        try:
            events, complaint = read(await self.socket.recv(decode=False))
        except msgspec.MsgspecError as error:
            raise LineError(f"the answer cannot be read: {error}") from error
        for event in events:
            if isinstance(event, Status):
                return event
        raise LineError(f"no status came while logging in; {complaint or 'other events did'}")

    async def _send(self, action: str, params: str) -> None:
        request = msgspec.json.encode({"action": action, "params": params})
        await self.socket.send(request, text=True)


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
