"""What is wanted, and every generation of it that may still run: kept whole, so that nothing needs
to be read or computed again after a restart, and an upgrade of this program restarts nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ntp.contract.launch import Listen
from orchestrator.controller.reading import Declared
from orchestrator.decide.context import Previous
from orchestrator.decide.layers import (
    MISSING,
    RECREATE,
    Layers,
    carry_over,
    describe,
    differing,
    hashes,
    layers,
    on_bus,
)
from orchestrator.decide.memory import running_generation
from orchestrator.decide.push import can_be_pushed
from orchestrator.decide.state import Hashes, Record
from orchestrator.errors import ActionError
from orchestrator.ports import Secrets, Store
from orchestrator.spec import collector
from orchestrator.spec.model import Artifact, Desired, PluginSpec
from orchestrator.spec.wiring import Wiring

KEY = "desired"


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of one entry, with all that is needed to start it."""

    number: int
    spec: PluginSpec
    artifact: Artifact
    listens: tuple[Listen, ...]
    layers: Layers


@dataclass(frozen=True, slots=True)
class Entry:
    wanted: int
    kept: dict[int, Generation]

    @property
    def now(self) -> Generation:
        return self.kept[self.wanted]


@dataclass(frozen=True, slots=True)
class Book:
    """The applied revision, as it is kept in the store."""

    project: str
    revision: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)


class Desk:
    """Holds the book; every question about what is wanted is asked here."""

    def __init__(self, project: str, store: Store) -> None:
        self._store = store
        self.book = Book(project)
        self.down: bool | None = None
        """Nothing is wanted any more: everything is being taken down; True: with its data."""
        self._hashes: tuple[Book, str, dict[str, Hashes]] | None = None

    def load(self) -> None:
        text = self._store.setting(KEY)
        if text is not None:
            self.book = msgspec.json.decode(text, type=Book, dec_hook=_path)

    def commit(self, book: Book) -> None:
        self._store.set(KEY, msgspec.json.encode(book, enc_hook=str).decode())
        self.book = book

    @collector.paused()
    def propose(
        self,
        declared: Declared,
        *,
        revision: int,
        secrets: Secrets,
        records: Mapping[str, Record],
        running: Mapping[str, int],
    ) -> Book:
        """Return the book that `declared` would make; nothing is changed. An entry that stays is the same object.

        Args:
            declared: what was read.
            revision: its number.
            secrets: only digests are asked for.
            records: who remembers what, for numbers that were used and generations that were healthy.
            running: name -> generation that runs.
        """
        wiring = Wiring(declared.desired)
        entries = {}
        for name, spec in declared.desired.plugins.items():
            old = self.book.entries.get(name)
            listens = wiring.listens(name)
            digests = _digests(spec, secrets, old.now.layers if old else None)
            fresh = layers(spec, listens=listens, secrets=digests)
            record = records.get(name, Record())
            number, kept_layers = _number(old, fresh, record)
            kept = {} if old is None else _still_needed(old, record, running.get(name))
            artifact = declared.artifacts[name]
            kept[number] = Generation(number, spec, artifact, listens, kept_layers)
            made = Entry(number, kept)
            entries[name] = old if made == old else made
        return Book(self.book.project, revision, entries)

    def desired(self, records: Mapping[str, Record]) -> Desired:
        """Return what is to run: the wanted generations, or the healthy ones before failed ones."""
        plugins = {
            name: (self._running(name, records) or entry.now).spec
            for name, entry in self.book.entries.items()
        }
        return Desired(self.book.project, self.book.revision, plugins)

    def hashes(self, address: str) -> Mapping[str, Hashes]:
        """Return the hashes of every wanted generation, for a bus at `address`."""
        if self._hashes is not None:
            book, known, found = self._hashes
            if book is self.book and known == address:
                return found
        found = hashes_of(self.book, address)
        self._hashes = (self.book, address, found)
        return found

    def hashes_in(self, book: Book, address: str) -> Mapping[str, Hashes]:
        """As `hashes`, of a book that may become ours."""
        if book.entries == self.book.entries:
            return self.hashes(address)
        return hashes_of(book, address)

    def goes_back(self, records: Mapping[str, Record]) -> Iterator[str]:
        """Yield the names of which a healthy generation is kept that can be gone back to."""
        for name, entry in self.book.entries.items():
            healthy = records[name].healthy_generation if name in records else 0
            if not 0 < healthy < entry.wanted or healthy not in entry.kept:
                continue
            # One that listens to somebody who is gone has nothing to go back to.
            if all(each.instance in self.book.entries for each in entry.kept[healthy].listens):
                yield name

    def previous(self, records: Mapping[str, Record], address: str) -> dict[str, Previous]:
        found = {}
        for name in self.goes_back(records):
            healthy = records[name].healthy_generation
            kept = self.book.entries[name].kept[healthy]
            found[name] = Previous(healthy, hashes(on_bus(kept.layers, address)))
        return found

    def difference(self, name: str, number: int, book: Book | None = None) -> str:
        """Say how what `book` (default: the applied one) wants of `name` differs from generation
        `number`; empty: unknown.
        """
        both = self._both(name, number, book)
        return describe(*both) if both else ""

    def pushable(self, name: str, number: int, book: Book | None = None) -> bool:
        """Tell whether what `book` wants of `name` differs from generation `number` in what can be pushed."""
        both = self._both(name, number, book)
        return both is not None and can_be_pushed(*both)

    def between(self, name: str, old: int, new: int) -> str:
        """Say how two generations differ; empty: they do not, or one of them is not kept."""
        entry = self.book.entries.get(name)
        if entry is None or not {old, new} <= entry.kept.keys():
            return ""
        return describe(entry.kept[old].layers, entry.kept[new].layers)

    def wants(self, name: str, number: int, record: Record) -> bool:
        """Tell whether that generation is to run, as of now."""
        entry = self.book.entries.get(name)
        if entry is None or self.down is not None or record.stopped_by_hand:
            return False
        return number in (entry.wanted, running_generation(record))

    def generation(self, name: str, number: int) -> Generation:
        entry = self.book.entries.get(name)
        if entry is None or number not in entry.kept:
            raise ActionError(f"generation {number} of {name} is not kept", reason="NoGeneration")
        return entry.kept[number]

    def _both(self, name: str, number: int, book: Book | None) -> tuple[Layers, Layers] | None:
        old, new = self.book.entries.get(name), (book or self.book).entries.get(name)
        if old is None or new is None or number not in old.kept:
            return None
        return old.kept[number].layers, new.now.layers

    def _running(self, name: str, records: Mapping[str, Record]) -> Generation | None:
        record = records.get(name)
        return (
            None if record is None else self.book.entries[name].kept.get(running_generation(record))
        )


@collector.paused()
def hashes_of(book: Book, address: str) -> dict[str, Hashes]:
    return {name: hashes(on_bus(entry.now.layers, address)) for name, entry in book.entries.items()}


def _number(old: Entry | None, fresh: Layers, record: Record) -> tuple[int, Layers]:
    """Return the generation of `fresh` and its layers: the old ones, if nothing was changed."""
    if old is None:
        return record.generation + 1, fresh
    before = old.now.layers
    merged = carry_over(before, fresh)
    if merged.keys() == before.keys() and all(merged[each] is before[each] for each in merged):
        return old.wanted, before
    changed = set(differing(hashes(before), hashes(merged)))
    if changed & {*RECREATE, "resources"}:
        return max(old.wanted, record.generation) + 1, merged
    return old.wanted, merged


def _still_needed(old: Entry, record: Record, running: int | None) -> dict[int, Generation]:
    # The pushed one, to say from what the next change differs.
    needed = {old.wanted, record.healthy_generation, record.pushed_generation, running}
    return {number: each for number, each in old.kept.items() if number in needed}


def _digests(spec: PluginSpec, secrets: Secrets, old: Layers | None) -> dict[str, str]:
    """A secret that cannot be read now is taken as unchanged: who runs with it must not stop."""
    before = old["config"].get("secrets", {}) if old else {}
    found = {}
    for key, reference in spec.secrets.items():
        try:
            found[key] = secrets.digest(reference)
        except ActionError:
            found[key] = before.get(key, MISSING)
    return found


def _path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise TypeError(f"the book holds no {kind.__name__}")
