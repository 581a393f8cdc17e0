"""Whether all that was remembered could be read: told, and acted on, until a person knows of it."""

from contextlib import suppress

from orchestrator.controller import desk, halt_book
from orchestrator.controller.rooms import Rooms
from orchestrator.errors import UnreachableError

CONDITION = "StoreWhole"


class Wholeness:
    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._store = rooms.outside.store

    def tell(self) -> None:
        # True is said as well: an alert of a controller before this one ends with it.
        words, journal = self._store.repaired, self._rooms.journal
        reason = "Damaged" if words else "Whole"
        journal.condition(CONDITION, status=not words, reason=reason, message=words)

    def doubt(self) -> None:
        """Halt all where one that is wanted may have been stopped by hand.

        UnreachableError: the store cannot keep that.
        """
        lost = self._store.lost_records(self._rooms.desk.book.entries)
        if lost and not self._rooms.halts.now.lost:
            self._rooms.halts.doubt(self._rooms.outside.now())
            told = "what was remembered of it is damaged; if it was stopped by hand, stop it again"
            for name in lost:
                self._rooms.journal.warn(name, "RecordLost", told)

    async def kept(self) -> None:
        """Return when whoever comes after us knows that nobody knows who was halted."""
        if self._rooms.halts.now.lost:
            with self._rooms.journal.storing():
                await self._store.kept(setting=halt_book.KEY)

    def acknowledge(self) -> None:
        """A person has said who is halted: what was damaged is known, as far as something is applied."""
        if not self._store.repaired or self._rooms.halts.now.lost or self._store.lost(desk.KEY):
            return
        # If that cannot be kept it is told once more.
        with suppress(UnreachableError), self._rooms.journal.storing():
            self._store.acknowledge()
            self.tell()
