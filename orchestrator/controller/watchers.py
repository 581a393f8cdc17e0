"""What runs beside the passes and wakes them: events of the runtime, changes on the bus."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from ntp.contract.names import Kind
from orchestrator.controller.desk import Book
from orchestrator.controller.finishing import finishing
from orchestrator.controller.loop import Loop
from orchestrator.controller.retries import Retries
from orchestrator.controller.rooms import Rooms
from orchestrator.controller.telling import Telling
from orchestrator.errors import ActionError, UnreachableError

POLL_S = 0.25
CHECK_S = 60.0
SAMPLE_S = 2.0


class Watchers:
    def __init__(self, rooms: Rooms, loop: Loop, telling: Telling) -> None:
        self._rooms = rooms
        self._loop = loop
        self._telling = telling
        self._retries = Retries(rooms.outside.tempo)
        self._found: tuple[Book | None, list[str]] = (None, [])
        """The data sources of a book."""

    async def runtime(self) -> None:
        """Look again whenever something may have changed, and whenever the stream was broken."""
        while True:
            try:
                events = self._rooms.outside.runtime.events()
                async with finishing(events):
                    async for _ in events:
                        self._retries.done("events")
                        self._loop.agenda.mark_all()
            except (UnreachableError, ActionError):
                pass  # the next listing says RuntimeReachable, or not
            await self._pause("events")
            self._loop.agenda.mark_all()

    async def changes(self) -> None:
        """A beat that changed may make ready whom others wait for."""
        while True:
            try:
                names = self._rooms.outside.bus.changes()
                async with finishing(names):
                    async for name in names:
                        self._retries.done("changes")
                        self._loop.agenda.mark(name, *self._sources())
            except UnreachableError:
                pass  # the condition BusListening says so
            await self._pause("changes")

    async def listening(self) -> None:
        """Notice when the bus is lost, and when it is back: then its rights have to be compared."""
        known: datetime | None = None
        while True:
            since = self._rooms.outside.bus.listening_since
            if since != known:
                known = since
                self._rooms.rights.doubt()
                self._loop.agenda.mark_all()
                self._rooms.journal.condition(
                    "BusListening",
                    status=since is not None,
                    reason="Listening" if since else "Lost",
                    message="" if since else "beats are not heard; plugins are left running",
                )
            await asyncio.sleep(POLL_S)

    async def rates(self) -> None:
        """Sample totals, so that a rate is of the last seconds whenever somebody asks."""
        while True:
            self._telling.sample()
            await asyncio.sleep(SAMPLE_S)

    async def letters(self) -> None:
        """Count dead letters, where somebody may have more."""
        bus = self._rooms.outside.bus
        while True:
            with suppress(UnreachableError, ActionError):
                await self._rooms.letters.look(
                    {name: beat for name, (beat, _) in bus.beats().items()}, bus.listening_since
                )
            await asyncio.sleep(SAMPLE_S)

    async def broker(self) -> None:
        """Have the broker checked now and then: a full disk wedges it without an error."""
        while True:
            if self._rooms.rights.compared and self._rooms.desk.book.entries:
                await self._rooms.rights.check()
            await asyncio.sleep(CHECK_S)

    def _sources(self) -> Sequence[str]:
        """Found once a book: when thousands become ready, each of their beats asks."""
        book = self._rooms.desk.book
        if self._found[0] is not book:
            kinds = {name: entry.now.spec.kind for name, entry in book.entries.items()}
            self._found = (book, [n for n, kind in kinds.items() if kind is Kind.DATA_SOURCE])
        return self._found[1]

    async def _pause(self, what: str) -> None:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(self._retries.later(what, now) - now)
