"""A cancellation that is never lost, as nats-py loses some, and with them the end of an `asyncio.timeout`.

Where it hands over what is to be sent it swallows any (`Client._flush_pending`, `Client._close`). And it waits
with `asyncio.wait_for`, which before Python 3.12 swallows one that comes in the moment of the end
(https://github.com/python/cpython/issues/86296). Whoever then goes on in a loop does so for ever.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

_Result = TypeVar("_Result")


async def heeded(waiting: Awaitable[_Result]) -> _Result:
    """Wait for it; a cancellation that came meanwhile is raised in any case, in place of what came of it."""
    task = asyncio.current_task()
    told = task.cancelling() if task else 0
    try:
        return await waiting
    finally:
        if task is not None and task.cancelling() > told:
            raise asyncio.CancelledError
