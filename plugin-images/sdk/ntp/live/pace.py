"""Not more than so many messages in any stretch of time: what an exchange calls a rolling limit."""

import asyncio
from collections import deque


class Pace:
    """Lets `most` callers through in any `span_s` seconds; the others wait their turn, in order."""

    def __init__(self, most: int, span_s: float = 1.0) -> None:
        self._span_s = span_s
        self._times: deque[float] = deque(maxlen=most)
        self._turn = asyncio.Lock()

    async def turn(self) -> None:
        clock = asyncio.get_running_loop().time
        async with self._turn:
            if len(self._times) == self._times.maxlen:
                await asyncio.sleep(max(self._times[0] + self._span_s - clock(), 0.0))
            self._times.append(clock())
