"""Lets somebody hear what one plugin says: a right made for the asking, gone when the asker is."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

from orchestrator.controller.rooms import Rooms
from orchestrator.decide.report import Tap
from orchestrator.spec.rights import tap

LIFETIME = timedelta(hours=12)
"""The longest for one asking: what was given out ends by itself if we are killed meanwhile."""


class Tapping:
    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def open(self, name: str) -> AsyncGenerator[Tap, None]:
        """Yield once how to hear `name`, which must be there; closing this takes the right back."""
        outside = self._rooms.outside
        rights = tap(name, self._rooms.desk.book.entries[name].now.spec.kind)
        async with self._rooms.rights.tapped(rights, LIFETIME) as credentials:
            yield Tap(
                name=name,
                address=outside.broker.address(),
                credentials=credentials.decode(),
                subjects=rights.subscribe,
                ends=outside.now() + LIFETIME,
            )
            await asyncio.sleep(LIFETIME.total_seconds())
