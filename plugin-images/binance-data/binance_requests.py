"""Which streams one connection was asked for, and asking for the difference within the limits."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection

from ntp.live.pace import Pace

A_SECOND = 3
"""Requests of ours. The exchange closes at more than 5 messages in any second, pings and pongs too."""
STREAMS_EACH = 100
"""Streams in one request: a few kilobytes."""
MOST_STREAMS = 1024
"""Of one connection."""


class Requests:
    """Of one connection: it starts with nothing asked for."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._asked: set[str] = set()
        self._pace = Pace(A_SECOND)
        self._one = asyncio.Lock()
        self._number = 0
        self._open: dict[int, list[str]] = {}

    async def agree(self, wanted: set[str]) -> None:
        """Ask until exactly `wanted` is asked for; the set may change meanwhile."""
        async with self._one:
            while True:
                # Off first, so that the streams in force never exceed the limit.
                if gone := self._asked - wanted:
                    part = _first(gone)
                    self._asked.difference_update(part)
                    await self._ask("UNSUBSCRIBE", part)
                elif new := wanted - self._asked:
                    part = _first(new)
                    self._asked.update(part)
                    await self._ask("SUBSCRIBE", part)
                else:
                    return

    def answered(self, number: Any) -> list[str]:
        """Return the streams of the request that this reply is to."""
        return self._open.pop(number, []) if isinstance(number, int) else []

    async def _ask(self, method: str, streams: list[str]) -> None:
        await self._pace.turn()
        self._number += 1
        self._open[self._number] = streams
        request = {"method": method, "params": streams, "id": self._number}
        await self._socket.send(msgspec.json.encode(request), text=True)


def _first(streams: Iterable[str]) -> list[str]:
    return sorted(streams)[:STREAMS_EACH]
