"""What waits to be sent to one client, bounded in bytes."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from ntp.exchange.answer import Answer, Send


@dataclass(frozen=True, slots=True)
class Data:
    """A market frame: what faults may act on."""

    text: bytes
    depth_update: bool = False


@dataclass(slots=True)
class Backlog:
    """First in, first out. A client whose backlog is over is to be cut, not waited for."""

    limit_bytes: int
    over: bool = False
    _items: deque[Data | Answer] = field(default_factory=deque)
    _bytes: int = 0
    _some: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, item: Data | Answer) -> None:
        """Add one frame or closing; dropped, and `over` set, where there is no room."""
        size = len(item.text) if isinstance(item, Data | Send) else 0
        if self._bytes + size > self.limit_bytes:
            self.over = True
            return
        self._bytes += size
        self._items.append(item)
        self._some.set()

    async def get(self) -> Data | Answer:
        """Wait for the oldest."""
        while not self._items:
            self._some.clear()
            await self._some.wait()
        item = self._items.popleft()
        if isinstance(item, Data | Send):
            self._bytes -= len(item.text)
        return item
