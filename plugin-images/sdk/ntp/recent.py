"""What was sent last, to be sent again when the broker was gone.

A broker that is killed takes with it what it had read and not yet passed on. Who listens knows each
message by its number, so one that comes again is passed over.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

KEEP_S = 20.0
"""Longer than a dead connection takes to be noticed (two pings of 5 s, and the answer to them)."""
KEEP_BYTES = 4 * 1024 * 1024


class Recent:
    """Bounded by age and size.

    Attributes:
        wanted: set it when the broker is there again.
    """

    def __init__(self, keep_s: float = KEEP_S, keep_bytes: int = KEEP_BYTES) -> None:
        self._keep_s = keep_s
        self._keep_bytes = keep_bytes
        self._sent: deque[tuple[float, str, bytes]] = deque()
        self._bytes = 0
        self.wanted = asyncio.Event()

    def add(self, now: float, subject: str, payload: bytes) -> None:
        """Keep a message. `now`: monotonic seconds."""
        sent = self._sent
        sent.append((now, subject, payload))
        self._bytes += len(payload)
        while sent and (self._bytes > self._keep_bytes or now - sent[0][0] > self._keep_s):
            self._bytes -= len(sent.popleft()[2])

    async def repeat(self, send: Callable[[str, bytes], Awaitable[object]]) -> None:
        """Send what is young enough again, oldest first, whenever that is wanted; for ever."""
        while True:
            await self.wanted.wait()
            self.wanted.clear()
            oldest = asyncio.get_running_loop().time() - self._keep_s
            for at, subject, payload in list(self._sent):
                if at >= oldest:
                    await send(subject, payload)
