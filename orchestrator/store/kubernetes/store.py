"""The Store port on a cluster: all of it in memory, read once when the lease is held, written behind."""

import secrets
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import msgspec

from orchestrator.cluster.cluster import Cluster
from orchestrator.decide.state import Record
from orchestrator.errors import ConflictError, UnreachableError
from orchestrator.ports import KEEPING_S, Event, Revision
from orchestrator.store.kubernetes import documents
from orchestrator.store.kubernetes.beside import beside
from orchestrator.store.kubernetes.packing import Document
from orchestrator.store.kubernetes.writing import Writing

KEPT_REVISIONS: Final = 50
KEPT_EVENTS: Final = 10_000
WRITTEN_EVENTS: Final = 500
"""Those that the next controller finds: the newest."""
SAME_EVENT_S: Final = 600
"""An event that repeats within this time of its last count is counted, not written again."""


class ClusterStore:
    """Not for two threads. `ClusterStore.opened` makes it; nothing here waits for the API server."""

    def __init__(self) -> None:
        self.damaged: list[str] = []
        """Names of the documents that were left out."""
        self._lost: frozenset[str] = frozenset()
        """Those, and what a leader before this one left out, until `acknowledge`."""
        self.epoch_before = 0
        """The highest epoch that wrote what was read."""
        self._revisions: dict[int, Revision] = {}
        self._shards: list[dict[str, Record]] = [{} for _ in range(documents.SHARDS)]
        self._settings: dict[str, bytes] = {}
        """Compressed: one of them is the book of what is wanted, 3.5 KB an entry, and a tenth of that so."""
        self._files: list[dict[str, str]] = [{} for _ in range(documents.SHARDS)]
        self._digest_key = ""
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._last: dict[str, int] = {}
        """Name -> number of its last event; `_dropped` of them are no longer in the queue."""
        self._logged = 0
        self._writing: Writing | None = None
        self.told: Callable[[Event], None] = lambda _: None
        """Hears of each event that is logged."""

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, cluster: Cluster, release: str, *, epoch: Callable[[], int], held: Callable[[], bool]
    ) -> "AsyncIterator[ClusterStore]":
        """Read all that is kept of a release, and write what changes as long as the block lasts.

        Raises:
            UnreachableError: it cannot be read now.
            ActionError: we may not read it.
        """
        store = cls()
        writing = Writing(cluster, release, epoch=epoch, held=held, text=store._text)
        await store._load(writing)
        try:
            async with beside(writing.run()):
                yield store
        finally:
            await writing.finish()

    @property
    def pending(self) -> int:
        """How many documents wait to be written."""
        return self._writing.pending if self._writing else 0

    @property
    def writes(self) -> int:
        """How many requests that change something were made."""
        return self._writing.writes if self._writing else 0

    def current(self) -> Revision | None:
        return self._revisions[max(self._revisions)] if self._revisions else None

    def save(self, revision: Revision, *, expect: int | None) -> None:
        """Add a revision; `expect` is the newest number that the caller knows, None for none yet."""
        found = max(self._revisions, default=None)
        if found != expect:
            raise ConflictError(
                f"revision {found} was applied meanwhile (you saw {expect or 'none'}); plan again"
            )
        self._revisions[revision.number] = revision
        self._change(documents.revision(revision.number))
        oldest = revision.number - KEPT_REVISIONS
        for number in [each for each in self._revisions if each <= oldest]:
            del self._revisions[number]
            self._change(documents.revision(number))

    def revisions(self) -> Sequence[Revision]:
        return [self._revisions[number] for number in sorted(self._revisions)]

    def records(self) -> Mapping[str, Record]:
        merged = {name: record for shard in self._shards for name, record in shard.items()}
        return dict(sorted(merged.items()))

    def put(self, name: str, record: Record) -> None:
        number = documents.shard(name)
        if self._shards[number].get(name) != record:
            self._shards[number][name] = record
            self._change(documents.records(number))

    def put_all(self, records: Mapping[str, Record]) -> None:
        for name, record in records.items():
            self.put(name, record)

    def forget(self, name: str) -> None:
        number = documents.shard(name)
        if self._shards[number].pop(name, None) is not None:
            self._change(documents.records(number))

    def log(self, event: Event) -> None:
        """Keep an event, or count it if the last one of that name is the same and not old.

        Raises:
            UnreachableError: it is kept, and it and what came before it cannot be written as of now.
        """
        at = self._last.get(event.name, -1) - (self._logged - len(self._events))
        last = self._events[at] if at >= 0 else None
        if last is not None and _repeats(event, last):
            self._events[at] = replace(last, at=event.at, count=last.count + event.count)
        else:
            self._events.append(event)
            self._last[event.name] = self._logged
            self._logged += 1
        self._change(documents.EVENTS)
        self.told(event)
        if self._writing is not None and self._writing.failure:
            raise UnreachableError(f"what changes is not written: {self._writing.failure}")

    def events(self, *, name: str | None, limit: int) -> Sequence[Event]:
        """Return the newest `limit` events, oldest first."""
        if limit <= 0:
            return []
        found = [each for each in self._events if name is None or each.name == name]
        return sorted(found, key=lambda each: each.at)[-limit:]

    def setting(self, key: str) -> str | None:
        packed = self._settings.get(key)
        return None if packed is None else zlib.decompress(packed).decode()

    @property
    def repaired(self) -> str:
        left_out = sorted({*self.damaged, *self._lost})
        return f"damaged, and left out: {', '.join(left_out)}" if left_out else ""

    def lost(self, setting: str) -> bool:
        return self._was_lost(documents.setting(setting)) and setting not in self._settings

    def lost_records(self, names: Collection[str]) -> Sequence[str]:
        return [
            name
            for name in sorted(names)
            if self._was_lost(documents.records(number := documents.shard(name)))
            and name not in self._shards[number]
        ]

    def numbered(self) -> int:
        return max([0, *self._revisions, *map(documents.number_of, self._lost)])

    def acknowledge(self) -> None:
        """What was left out is written anew, or deleted, or the next leader would find it again."""
        for name in [*self.damaged, f"{documents.SETTING}{documents.DAMAGE}"]:
            document = documents.mendable(name)
            if document is not None:
                self._change(document)
        self._settings.pop(documents.DAMAGE, None)
        self.damaged, self._lost = [], frozenset()

    def set(self, key: str, value: str) -> None:
        if self.setting(key) != value:
            self._settings[key] = _packed(value)
            self._change(documents.setting(key))

    async def kept(self, *, setting: str = "", record: str = "") -> None:
        wanted = [documents.setting(setting)] if setting else []
        wanted += [documents.records(documents.shard(record))] if record else []
        await self._kept(wanted)

    def files(self) -> Mapping[str, bytes]:
        """Return the private files that were kept, by name."""
        return {
            name: content.encode("latin-1")
            for shard in self._files
            for name, content in shard.items()
        }

    def keep_files(self, files: Mapping[str, bytes]) -> None:
        """Keep exactly these: not for everybody's eyes. Those of one plugin are in one object."""
        fresh: list[dict[str, str]] = [{} for _ in range(documents.SHARDS)]
        for name, content in sorted(files.items()):
            fresh[documents.shard(name.rpartition(".")[0].partition(".")[2])][name] = (
                content.decode("latin-1")
            )
        for number, shard in enumerate(fresh):
            if shard != self._files[number]:
                self._files[number] = shard
                self._change(documents.shelf(number))

    async def files_kept(self) -> None:
        """Return when the files are kept. UnreachableError: they are not, after `KEEPING_S`."""
        await self._kept([documents.shelf(number) for number in range(documents.SHARDS)])

    def digest_key(self) -> bytes:
        """Return the random key of digests: the same for each controller of a release."""
        if not self._digest_key:
            self._digest_key = secrets.token_hex(32)
            self._change(documents.KEY)
        return bytes.fromhex(self._digest_key)

    async def _kept(self, wanted: Collection[Document]) -> None:
        if self._writing is not None:
            await self._writing.written(wanted, within_s=KEEPING_S)

    def _change(self, document: Document) -> None:
        if self._writing is not None:
            self._writing.change(document)

    def _text(self, document: Document) -> str | None:
        """Return what a document is to say now; None: nothing."""
        kind, dot, key = document.name.partition(".")
        match kind + dot:
            case "revision.":
                revision = self._revisions.get(int(key))
                return None if revision is None else _json(revision)
            case "records.":
                return _json(self._shards[int(key)]) if self._shards[int(key)] else None
            case "setting.":
                return self.setting(key)
            case "files.":
                return _json(self._files[int(key)]) if self._files[int(key)] else None
            case documents.KEY.name:
                return self._digest_key
            case _:
                return _json(list(self._events)[-WRITTEN_EVENTS:])

    async def _load(self, writing: Writing) -> None:
        found, self.damaged, self.epoch_before = await writing.read()
        for name, text in found.items():
            try:
                self._take(name, text)
            except (msgspec.DecodeError, msgspec.ValidationError, ValueError, IndexError):
                self.damaged.append(name)
        self._writing = writing
        # Private files are not forgotten: without them nobody leads, and restored they are whole.
        lost = {each for each in self.damaged if not each.startswith(documents.FILES)}
        lost |= set((self.setting(documents.DAMAGE) or "").split())
        self._lost = frozenset(lost)
        if lost:
            self.set(documents.DAMAGE, " ".join(sorted(lost)))

    def _was_lost(self, document: Document) -> bool:
        # Of a list that is damaged itself nobody knows what was in it.
        return not self._lost.isdisjoint((document.name, documents.setting(documents.DAMAGE).name))

    def _take(self, name: str, text: str) -> None:
        if name == documents.EVENTS.name:
            for event in msgspec.json.decode(text, type=list[Event]):
                self._events.append(event)
                self._last[event.name] = self._logged
                self._logged += 1
        elif name.startswith(documents.REVISION):
            revision = msgspec.json.decode(text, type=Revision)
            self._revisions[revision.number] = revision
        elif name.startswith(documents.RECORDS):
            for each, record in msgspec.json.decode(text, type=dict[str, Record]).items():
                self._shards[documents.shard(each)][each] = record
        elif name.startswith(documents.FILES):
            self._files[int(name.removeprefix(documents.FILES))] = msgspec.json.decode(
                text, type=dict[str, str]
            )
        elif name == documents.KEY.name:
            bytes.fromhex(text)  # what is none is left out
            self._digest_key = text
        elif name.startswith(documents.SETTING):
            self._settings[name.removeprefix(documents.SETTING)] = _packed(text)


def _repeats(event: Event, last: Event) -> bool:
    same = (event.type, event.reason, event.message) == (last.type, last.reason, last.message)
    return same and (event.at - last.at).total_seconds() < SAME_EVENT_S


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(), zlib.Z_BEST_SPEED)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
