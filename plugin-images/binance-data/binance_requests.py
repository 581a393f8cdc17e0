"""Asking Binance for streams, within the limits of one connection."""

from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection

from ntp.live.pace import Pace
from ntp.live.subscriptions import Subscriptions

A_SECOND = 3
"""Requests of ours. The exchange closes at more than 5 messages in any second, pings and pongs too."""
MOST_STREAMS = 1024
"""Of one connection."""


class Requests(Subscriptions):
    topics_each = 100  # a few kilobytes

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        self._pace = Pace(A_SECOND)
        self._number = 0
        self._open: dict[int, list[str]] = {}

    async def ask(self, topics: list[str], *, on: bool) -> None:
        await self._pace.turn()
        self._number += 1
        self._open[self._number] = topics
        method = "SUBSCRIBE" if on else "UNSUBSCRIBE"
        request = {"method": method, "params": topics, "id": self._number}
        await self.socket.send(msgspec.json.encode(request), text=True)

    def answered(self, number: Any) -> list[str]:
        """Return the streams of the request that this reply is to."""
        return self._open.pop(number, []) if isinstance(number, int) else []
