"""`ntpctl down`: asked for once, done whatever happens to the one who asked, or to the controller."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

from orchestrator.controller.applying import RUNTIME
from orchestrator.controller.desk import Book
from orchestrator.controller.loop import Loop
from orchestrator.controller.rooms import Rooms
from orchestrator.decide.report import Downed, Progress
from orchestrator.errors import ActionError

KEY = "down"
POLL_S = 0.1


class TakingDown:
    def __init__(self, rooms: Rooms, loop: Loop) -> None:
        self._rooms = rooms
        self._store = rooms.outside.store
        self._loop = loop
        self._ended = asyncio.Event()

    def restore(self) -> None:
        """Go on with what a controller before this one was told."""
        told = self._store.setting(KEY)
        self._rooms.desk.down = told == "data" if told else None

    async def watch(
        self,
        *,
        delete_data: bool,
        deadline: timedelta,
    ) -> AsyncGenerator[Progress | Downed, None]:
        """Begin, and yield each instance that is gone; at last all of them.

        Raises:
            ActionError: TooSlow, at the deadline; it goes on none the less.
        """
        specs = {name: each.now.spec for name, each in self._rooms.desk.book.entries.items()}
        storing = {name for name, spec in specs.items() if spec.storage}
        everybody = set(self._loop.observed.instances or {})
        self._begin(delete_data=delete_data)
        told: set[str] = set()
        ends = asyncio.get_running_loop().time() + deadline.total_seconds()
        while not self._ended.is_set():
            there = self._loop.observed.instances
            if there is not None:
                everybody |= set(there)
                for name in sorted(everybody - set(there) - told):
                    told.add(name)
                    yield Progress(len(told), len(everybody), name, "Removed", "")
            if asyncio.get_running_loop().time() >= ends:
                left = ", ".join(sorted(everybody - told)) or "what the runtime made for all"
                raise ActionError(f"still being taken down: {left}", reason="TooSlow")
            await self._pause()
        kept = [] if delete_data else sorted(storing)
        yield Downed(removed=sorted(everybody), kept=kept)

    async def finish(self) -> bool:
        """Forget what was wanted. The file of revisions is removed by who asked, once we are gone.

        Return whether data went too.
        """
        delete_data = bool(self._rooms.desk.down)
        await self._rooms.outside.runtime.close(delete_data=delete_data)
        for name in list(self._rooms.memories.all()):
            self._rooms.memories.forget(name)
        outside = self._rooms.outside
        self._rooms.desk.commit(Book(outside.project, self._rooms.desk.book.revision))
        self._store.set(RUNTIME, "")
        self._store.set(KEY, "")
        self._ended.set()
        return delete_data

    def _begin(self, *, delete_data: bool) -> None:
        self._store.set(KEY, "data" if delete_data else "keep")
        self._rooms.desk.down = delete_data
        self._loop.parking.forget(set())
        self._rooms.journal.note("", "Down", "everything is taken down")
        self._loop.agenda.mark_all()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._ended.wait()
        except TimeoutError:
            pass
