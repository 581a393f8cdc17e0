"""An outbox with the inbox where its answers arrive."""

import asyncio
from collections.abc import Callable

from ntp.outbox import WINDOW, Ack, Outbox
from ntp.transport import LeanClient

DEAD_WINDOW = 16
"""Dead letters under way: a sender of garbage must not fill our memory."""
PAYLOAD_LIMIT = 120 * 1024
"""Bytes. The broker cuts off who sends more than 128 KiB, headers included."""


class Postbox:
    """See `Outbox` for `window` and `ordered`."""

    def __init__(
        self,
        client: LeanClient,
        report: Callable[[str], None],
        *,
        window: int = WINDOW,
        ordered: bool = True,
    ) -> None:
        self._client = client
        self._answers = client.new_inbox()
        self._listens = False
        self.outbox = Outbox(client.send, self._answers, report, window=window, ordered=ordered)

    async def submit(
        self, subject: str, payload: bytes, msg_id: str, headers: dict[str, str] | None = None
    ) -> "asyncio.Future[Ack]":
        """Send until stored; returns as soon as the message is under way.

        Raises:
            ValueError: the payload is larger than the broker takes: no retry would help.
        """
        if len(payload) > PAYLOAD_LIMIT:
            raise ValueError(too_large(payload))
        if not self._listens:
            self._listens = True
            await self._client.receive(f"{self._answers}.*.*", self._answer)
            self.outbox.online(connected=self._client.is_connected)
        return await self.outbox.submit(subject, payload, msg_id, headers)

    def online(self, *, connected: bool) -> None:
        """A connection was made or lost."""
        self.outbox.online(connected=connected)

    def _answer(self, subject: str, _: str, payload: bytes, __: object) -> None:
        self.outbox.answer(subject[len(self._answers) + 1 :], payload)


def too_large(payload: bytes) -> str:
    return f"a message of {len(payload)} bytes was to be sent; at most {PAYLOAD_LIMIT} may"
