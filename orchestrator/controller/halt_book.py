"""Halts, kept in the store: what a person said is there before anybody is told of it."""

import msgspec

from orchestrator.controller.journal import Journal
from orchestrator.decide.halts import Halts
from orchestrator.ports import Store

KEY = "halts"


class HaltBook:
    """`now` is who is halted."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self.now = Halts()

    def load(self) -> None:
        text = self._store.setting(KEY)
        if text is not None:
            self.now = msgspec.json.decode(text, type=Halts)

    def put(self, halts: Halts) -> None:
        """UnreachableError if the store cannot keep it: then nobody is told."""
        with self._journal.storing():
            self._store.set(KEY, msgspec.json.encode(halts).decode())
        self.now = halts
