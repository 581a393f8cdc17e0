"""Asking once more where nobody responds: then nothing was done."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.errors import UnreachableError

NOBODY_S = 1.0
"""How long JetStream may be nobody's; it has none while the server takes over other claims of our account."""
PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.1
_Answer = TypeVar("_Answer")


class NoResponderError(UnreachableError):
    """Nobody serves what was asked, so it was not done."""


async def insisting(once: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Do it again while nobody responds.

    Raises:
        NoResponderError: nobody did for NOBODY_S.
    """
    ends, pause = time.monotonic() + NOBODY_S, PAUSE_S
    while True:
        try:
            return await once()
        except NoResponderError:
            if time.monotonic() >= ends:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)
