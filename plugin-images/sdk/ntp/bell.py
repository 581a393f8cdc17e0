"""A bell that wakes whoever waits for it, and is not missed by who is busy while it rings."""

import asyncio


class Bell:
    """Attributes:
    rung: how often it has rung.
    """

    def __init__(self) -> None:
        self.rung = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        self.rung += 1
        while self._waiting:
            waiter = self._waiting.pop()
            if not waiter.done():
                waiter.set_result(None)

    async def after(self, rung: int, seconds: float) -> None:
        """Return once it has rung more often than `rung` times, or after so many seconds."""
        if self.rung > rung:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(waiter)
