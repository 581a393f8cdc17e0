"""What one connection was asked for, and asking it for the difference."""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar

from websockets.asyncio.client import ClientConnection


class Subscriptions(ABC):
    """Of one connection: it starts with nothing asked for.

    Class attributes:
        topics_each: topics in one request, at the most.
    """

    topics_each: ClassVar[int] = 100

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._asked: set[str] = set()
        self._one = asyncio.Lock()

    @abstractmethod
    async def ask(self, topics: list[str], *, on: bool) -> None:
        """Send one request: to begin with these topics, or to end with them."""

    async def agree(self, wanted: set[str]) -> None:
        """Ask until exactly `wanted` is asked for; the set may change meanwhile."""
        async with self._one:
            while True:
                # Off first, so that the topics in force never exceed what an exchange allows.
                if gone := self._asked - wanted:
                    part = sorted(gone)[: self.topics_each]
                    self._asked.difference_update(part)
                    await self.ask(part, on=False)
                elif new := wanted - self._asked:
                    part = sorted(new)[: self.topics_each]
                    self._asked.update(part)
                    await self.ask(part, on=True)
                else:
                    return
