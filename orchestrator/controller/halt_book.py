"""Halts, kept in the store: what a person said is there before anybody is told of it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import msgspec

from orchestrator.controller.journal import Journal
from orchestrator.decide.halts import Halts
from orchestrator.errors import UnreachableError
from orchestrator.ports import Store

KEY = "halts"
CONDITION = "HaltsKnown"


class HaltBook:
    """`now` is who is halted."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self.now = Halts()
        self._one = asyncio.Lock()

    def load(self, now: datetime) -> None:
        """Take up what was kept. If it was damaged, all are halted: nobody knows who was."""
        if self._store.lost(KEY):
            self.now = self.now.unknown(now)
            with suppress(UnreachableError), self._journal.storing():
                self._put(self.now)
        elif (text := self._store.setting(KEY)) is not None:
            self.now = msgspec.json.decode(text, type=Halts)
        self._tell()

    def doubt(self, now: datetime) -> None:
        """Halt all: some of them may have been stopped by hand, and nobody knows who.

        UnreachableError if the store cannot keep it: whoever comes after us would know nothing of it.
        """
        if not self.now.lost:
            fresh = self.now.unknown(now)
            with self._journal.storing():
                self._put(fresh)
            self.now = fresh
            self._tell()

    async def change(self, changed: Callable[[Halts], Halts]) -> None:
        """Have `now` be what `changed` makes of it.

        UnreachableError if the store cannot keep it: then nobody is told, and it stays as it was.
        """
        async with self._one:
            fresh = changed(self.now)
            with self._journal.storing():
                self._put(fresh)
                try:
                    await self._store.kept(setting=KEY)
                except UnreachableError:
                    self._put(self.now)
                    raise
            self.now = fresh
            self._tell()

    def _tell(self) -> None:
        if self.now.lost:
            words = (
                f"what was kept of it is damaged: all are {self.now.why}; stop again who was stopped"
                " by hand, then `ntpctl resume` clears it"
            )
            self._journal.condition(CONDITION, status=False, reason="Damaged", message=words)
        else:
            self._journal.condition(CONDITION, status=True, reason="Kept")

    def _put(self, halts: Halts) -> None:
        self._store.set(KEY, msgspec.json.encode(halts).decode())
