"""What arrived and waits for its receiver: a queue for each sender, served in turn."""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable

Callback = Callable[[str, bytes], Awaitable[None] | None]
"""subject, payload; a plain function or a coroutine function."""
Together = Callable[[list[tuple[str, bytes]]], Awaitable[None]]
"""As many messages as wait, in order of arrival: (subject, payload)."""

MOST_MESSAGES = 65_536
MOST_BYTES = 16 * 1024 * 1024
"""What finds no room is read again where it was captured."""
SLICE = 0.001
"""Seconds after which a busy inbox lets the rest of the loop run: who else has sent something is in the
socket until then."""
TURN_BYTES = 32 * 1024
"""What one sender has handled before it is another's turn; one message at least."""


class _Lane:
    """What one sender has sent."""

    __slots__ = ("busy", "bytes", "queue")

    def __init__(self) -> None:
        self.queue: deque[tuple[str, bytes, _Receiver]] = deque()
        self.bytes = 0
        self.busy = False
        """A callback has messages of it in hand."""


class _Receiver:
    """A callback, and how it is called."""

    __slots__ = ("call", "is_async", "together")

    def __init__(self, callback: Callback | None, together: Together | None) -> None:
        self.call = callback
        self.is_async = inspect.iscoroutinefunction(callback)
        self.together = together


class Inbox:
    """Messages of one lane are handled one after another, in order of arrival over its subjects.

    Lanes take turns, so one that floods delays another by its turn and not by all that it has waiting.
    A message for which there is no room is dropped and counted: the socket is read on, so that beats
    and pings live while the plugin is slow. A share of the room as large again is kept for lanes that
    have little waiting.

    `handled` is called whenever nothing waits any more.
    """

    def __init__(
        self,
        max_messages: int = MOST_MESSAGES,
        max_bytes: int = MOST_BYTES,
        *,
        handled: Callable[[], None] = lambda: None,
    ) -> None:
        self._handled = handled
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[_Lane] = deque()
        """Lanes that have something waiting and nothing in hand."""
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._waiting = 0
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return self._waiting

    def receiver(
        self, callback: Callback | None = None, *, together: Together | None = None, lane: str = ""
    ) -> Callable[[str, bytes], None]:
        """Return the function that queues a message for one of the two."""
        receiver = _Receiver(callback, together)
        own = self._lanes.setdefault(lane, _Lane())
        queue, work, ready, lanes = own.queue, self._work, self._ready, self._lanes

        def put(subject: str, payload: bytes) -> None:
            size = len(payload)
            if self._waiting >= self._max_messages or self.bytes + size > self._max_bytes:
                shares = len(lanes)
                if (
                    shares == 1
                    or len(queue) >= self._max_messages // shares
                    or own.bytes + size > self._max_bytes // shares
                ):
                    self.dropped += 1
                    return
            self._waiting += 1
            self.bytes += size
            own.bytes += size
            if not queue and not own.busy:
                ready.append(own)
            queue.append((subject, payload, receiver))
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
        ready = self._ready
        while True:
            await self._work.wait()
            yield_at = loop.time() + SLICE
            while ready:
                await self._serve(ready.popleft())
                if loop.time() >= yield_at:
                    await asyncio.sleep(0)
                    yield_at = loop.time() + SLICE
            self._work.clear()
            self._idle.set()
            self._handled()

    async def give_way(self) -> None:
        """Let the loop run, then other lanes have a turn each; for a callback that has more to do."""
        await asyncio.sleep(0)
        for _ in range(len(self._ready)):
            if self._ready:
                await self._serve(self._ready.popleft())

    async def _serve(self, lane: _Lane) -> None:
        lane.busy = True
        try:
            await self._handle(lane)
        finally:
            lane.busy = False
            if lane.queue:
                self._ready.append(lane)

    async def _handle(self, lane: _Lane) -> None:
        subject, payload, receiver = self._next(lane)
        if receiver.together is None:
            result = receiver.call(subject, payload) if receiver.call is not None else None
            if receiver.is_async and result is not None:
                await result
            return
        messages, size, queue = [(subject, payload)], len(payload), lane.queue
        while queue and size < TURN_BYTES and queue[0][2].together == receiver.together:
            subject, payload, _ = self._next(lane)
            messages.append((subject, payload))
            size += len(payload)
        await receiver.together(messages)

    def _next(self, lane: _Lane) -> tuple[str, bytes, _Receiver]:
        message = lane.queue.popleft()
        size = len(message[1])
        self._waiting -= 1
        self.bytes -= size
        lane.bytes -= size
        return message
