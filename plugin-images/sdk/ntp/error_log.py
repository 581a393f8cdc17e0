"""Errors of a connection in words: one line a cause, not one a try."""

import asyncio
from collections.abc import Callable

REPEAT = 10.0
"""Seconds until the same error is told again."""


class ErrorLog:
    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._said = ""
        self._said_at = 0.0

    async def take(self, error: Exception) -> None:
        """Tell an error, unless that was just done; nats-py wants a coroutine."""
        text = str(error).removeprefix("nats: ") or type(error).__name__
        now = asyncio.get_running_loop().time()
        if text != self._said or now >= self._said_at + REPEAT:
            self._said, self._said_at = text, now
            self._tell(f"broker: {text}")
