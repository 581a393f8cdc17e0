"""What arrived and waits for its receiver: one bounded queue in order of arrival."""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable

Callback = Callable[[str, bytes], Awaitable[None] | None]
"""subject, payload; a plain function or a coroutine function."""

SLICE = 0.05
"""Seconds after which a busy queue lets the rest of the loop run."""


class Inbox:
    """Callbacks run one after another, in the order in which messages arrived over all subjects.

    A message for which there is no room is dropped and counted: the socket is read on, so that
    beats and pings live while the plugin is slow.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._queue: deque[tuple[Callback, bool, str, bytes]] = deque()
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._queue)

    def receiver(self, callback: Callback) -> Callable[[str, bytes], None]:
        """Return the function that queues a message for `callback`."""
        is_async = inspect.iscoroutinefunction(callback)
        queue, work = self._queue, self._work

        def put(subject: str, payload: bytes) -> None:
            size = self.bytes + len(payload)
            if len(queue) >= self._max_messages or size > self._max_bytes:
                self.dropped += 1
                return
            self.bytes = size
            queue.append((callback, is_async, subject, payload))
            if not work.is_set():
                work.set()
                self._idle.clear()

        return put

    async def join(self) -> None:
        """Wait until nothing waits and no callback runs."""
        await self._idle.wait()

    async def run(self) -> None:
        """Call callbacks for ever; what one of them raises ends this."""
        loop = asyncio.get_running_loop()
        while True:
            await self._work.wait()
            yield_at = loop.time() + SLICE
            while self._queue:
                callback, is_async, subject, payload = self._queue.popleft()
                self.bytes -= len(payload)
                result = callback(subject, payload)
                if is_async and result is not None:
                    await result
                if loop.time() >= yield_at:
                    await asyncio.sleep(0)
                    yield_at = loop.time() + SLICE
            self._work.clear()
            self._idle.set()
