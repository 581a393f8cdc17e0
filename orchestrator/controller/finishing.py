"""Closes an iterator of a port when its reader has had enough, if it is one that can be closed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def finishing(items: AsyncIterator[Any]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
