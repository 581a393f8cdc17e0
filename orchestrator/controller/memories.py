"""The records of all instances: in the store, with a copy at hand. Written first, then believed."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from orchestrator.controller.journal import Journal
from orchestrator.decide.state import Record
from orchestrator.errors import UnreachableError
from orchestrator.ports import Store

NOBODY = Record()


class Memories:
    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self._records: dict[str, Record] = {}

    def load(self) -> None:
        self._records = dict(self._store.records())

    def all(self) -> Mapping[str, Record]:
        return MappingProxyType(self._records)

    def of(self, name: str) -> Record:
        return self._records.get(name, NOBODY)

    def put(self, name: str, record: Record) -> None:
        """UnreachableError if the store cannot keep it: then nothing may be done that relies on it."""
        self.put_all({name: record})

    def put_all(self, records: Mapping[str, Record]) -> None:
        changed = {name: each for name, each in records.items() if self._records.get(name) != each}
        if changed:
            with self._journal.storing():
                self._store.put_all(changed)
            self._records.update(changed)

    async def ask(self, name: str, changed: Callable[[Record], Record]) -> None:
        """Put what a person asks for, and return when whoever comes after us knows it, too.

        UnreachableError: the store cannot keep it; it is as it was.
        """
        before = self.of(name)
        asked = changed(before)
        self.put(name, asked)
        with self._journal.storing():
            try:
                await self._store.kept(record=name)
            except UnreachableError:
                if self.of(name) == asked:
                    self.put(name, before)
                raise

    def forget(self, name: str) -> None:
        if name in self._records:
            with self._journal.storing():
                self._store.forget(name)
            del self._records[name]
