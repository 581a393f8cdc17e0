"""Writes documents behind whoever changed them: nobody waits for the API server, and nothing is written twice."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

import structlog

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP, SECRET, Body, Kind, name_of, selector, version_of
from orchestrator.errors import ConflictError, NtpError, UnreachableError
from orchestrator.store.kubernetes import packing
from orchestrator.store.kubernetes.packing import Document

log = structlog.get_logger()
TOGETHER_S: Final = 0.1
"""How long a change waits for those that come with it."""
PAUSE_S: Final = 1.0
"""Between two writes of one document, however often it changes."""
RETRY_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
RETRY_WAITED_S: Final = 1.0
"""The longest of them while somebody waits."""
AT_ONCE: Final = 4
"""Documents that are written at a time. None waits for another: whoever needs an order waits for each."""
FAREWELL_S: Final = 5.0


class Writing:
    """What is written of a release. `text` says what a document is now; None: it is to be gone.

    Only while `held` is true: who is not the leader writes nothing.
    """

    def __init__(
        self,
        cluster: Cluster,
        release: str,
        *,
        epoch: Callable[[], int],
        held: Callable[[], bool],
        text: Callable[[Document], str | None],
    ) -> None:
        self._cluster = cluster
        self._release = release
        self._epoch = epoch
        self._held = held
        self._text = text
        self._heads: dict[Document, Body] = {}
        """Of each only its metadata: what it says is known to those whose text it is."""
        self._pieces: dict[Kind, set[str]] = {CONFIG_MAP: set(), SECRET: set()}
        self._due: dict[Document, float] = {}
        """When each changed document may be written, in the order in which they changed."""
        self._changes = 0
        self._changed: dict[Document, int] = {}
        self._written: dict[Document, int] = {}
        """Number of the last change of each document: of all, and of those that are written."""
        self._waiters = 0
        self._failures = 0
        self._resumes = 0.0
        """When the pause after a failure ends."""
        self._passed = asyncio.Condition()
        self._under_way: set[Document] = set()
        self._wake = asyncio.Event()
        self.failure = ""
        """Why the last write was not done; empty: it was."""
        self.writes = 0
        """How many requests that change something were made."""

    async def read(self) -> tuple[Mapping[str, str], list[str], int]:
        """Return the documents by name, what of them is damaged, and the highest epoch that wrote."""
        found: dict[str, str] = {}
        damaged: list[str] = []
        highest = 0
        for kind in (CONFIG_MAP, SECRET):
            listing = await self._cluster.list(kind, selector(packing.labels(self._release)))
            bodies = {name_of(each): each for each in listing.items}
            highest = max([highest, *map(packing.epoch_of, listing.items)])
            stripped: set[str] = set()
            for name, body in bodies.items():
                notes = packing.notes_of(body)
                if packing.DOCUMENT not in notes and packing.is_piece(name):
                    continue
                document = Document(notes.get(packing.DOCUMENT, ""), secret=kind is SECRET)
                text = packing.unpacked(body, bodies.get)
                if name != packing.object_name(self._release, document):
                    # Somebody took its notes away, or copied it: what it says is not believed.
                    stripped.add(name)
                    own = Document(packing.named_by(self._release, name), secret=kind is SECRET)
                    damaged.append(own.name)
                    if packing.DOCUMENT not in notes and name == packing.object_name(
                        self._release, own
                    ):
                        self._heads[own] = _doubted(body)
                elif text is None:
                    self._heads[document] = _doubted(body)
                    damaged.append(document.name)
                else:
                    self._heads[document] = _bare(body)
                    found[document.name] = text
            # Those that no head names are of a write that was cut off; of a stripped one nobody knows.
            self._pieces[kind] = {
                name
                for name in bodies
                if name not in stripped
                and packing.DOCUMENT not in packing.notes_of(bodies[name])
                and name.rpartition(".")[0] not in stripped
            }
        return found, damaged, highest

    def change(self, document: Document) -> None:
        """Have a document written soon."""
        self._changes += 1
        self._changed[document] = self._changes
        self._due.setdefault(document, time.monotonic() + TOGETHER_S)
        self._wake.set()

    async def written(self, documents: Collection[Document], *, within_s: float) -> None:
        """Return when the last changes of these are written; UnreachableError: not in so long a time."""
        wanted = {each: self._changed.get(each, 0) for each in documents}
        now = time.monotonic()
        for each in wanted:
            if each in self._due:
                self._due[each] = min(self._due[each], now)

        def done() -> bool:
            return all(self._written.get(each, 0) >= number for each, number in wanted.items())

        self._waiters += 1
        self._resumes = 0.0
        self._wake.set()
        try:
            async with asyncio.timeout(within_s), self._passed:
                await self._passed.wait_for(done)
        except TimeoutError as error:
            why = self.failure or "the cluster does not answer"
            raise UnreachableError(
                f"it could not be kept within {within_s:.0f} s: {why}"
            ) from error
        finally:
            self._waiters -= 1

    @property
    def pending(self) -> int:
        """How many documents wait to be written, or are being written."""
        return len(self._due) + len(self._under_way)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            document = await self._next()
            try:
                if not self._held():
                    raise ConflictError("the lease is not held: nothing is written")
                await self._write(document)
            except NtpError as error:
                self._pause(document, error)
            else:
                if self.failure:
                    log.info("store.write.restored")
                self._failures, self._resumes, self.failure = 0, 0.0, ""

    def _pause(self, document: Document, error: NtpError) -> None:
        """Begin nothing for a while; those that are under way and fail with it are the same failure."""
        if not self.failure:
            log.warning("store.write.failed", document=document.name, cause=str(error))
        self.failure = str(error)
        now = time.monotonic()
        if now < self._resumes:
            return
        pause = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1
        self._resumes = now + (min(pause, RETRY_WAITED_S) if self._waiters else pause)

    async def finish(self, *, within_s: float = FAREWELL_S) -> None:
        """Write what is left, if that is possible in so short a time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for document in list(self._due):
                    if not self._held():
                        return
                    try:
                        await self._write(document)
                    except NtpError as error:
                        log.warning("store.write.lost", document=document.name, cause=str(error))

    async def _next(self) -> Document:
        """Return the document whose turn it is; one that is being written waits for that."""
        while True:
            self._wake.clear()
            waiting = {each: at for each, at in self._due.items() if each not in self._under_way}
            first = min(waiting, key=waiting.__getitem__, default=None)
            due = None if first is None else max(waiting[first], self._resumes)
            now = time.monotonic()
            if first is not None and due is not None and due <= now:
                return first
            with suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else due - now):
                    await self._wake.wait()

    async def _write(self, document: Document) -> None:
        """Write what it is now; a change that comes meanwhile is another write."""
        del self._due[document]
        self._under_way.add(document)
        number = self._changed.get(document, 0)
        try:
            text = self._text(document)
            if text is None:
                await self._delete(document)
            else:
                await self._put(document, text)
        except BaseException:
            self._due.setdefault(document, time.monotonic())
            raise
        finally:
            self._under_way.discard(document)
            self._wake.set()
        self._written[document] = number
        if document in self._due:
            self._due[document] = time.monotonic() + PAUSE_S
        async with self._passed:
            self._passed.notify_all()

    async def _put(self, document: Document, text: str) -> None:
        known = self._heads.get(document)
        if known is not None and packing.notes_of(known).get(packing.SUM) == packing.digest(text):
            return
        head, pieces = packing.packed(self._release, document, text, epoch=self._epoch())
        for each in pieces:
            if name_of(each) not in self._pieces[document.kind]:
                self.writes += 1
                # Its name says what is in it: one that is there is the same.
                with suppress(ConflictError):
                    await self._cluster.create(document.kind, each)
                self._pieces[document.kind].add(name_of(each))
        self._heads[document] = _bare(await self._replace(document, head, known))
        await self._sweep(document)

    async def _replace(self, document: Document, head: Body, known: Body | None) -> Body:
        for _ in range(3):
            self.writes += 1
            try:
                if known is None:
                    return await self._cluster.create(document.kind, head)
                head["metadata"]["resourceVersion"] = version_of(known)
                return await self._cluster.replace(document.kind, head)
            except ConflictError:
                known = await self._cluster.get(document.kind, name_of(head))
                head["metadata"].pop("resourceVersion", None)
                if known is not None and packing.epoch_of(known) > self._epoch():
                    raise
        raise ConflictError(f"somebody else writes {name_of(head)} all the time")

    async def _delete(self, document: Document) -> None:
        known = self._heads.get(document)
        if known is None:
            return
        self.writes += 1
        await self._cluster.delete(document.kind, name_of(known))
        del self._heads[document]
        await self._sweep(document)

    async def _sweep(self, document: Document) -> None:
        """Delete the pieces of a document that its head names no more; those of others may be of writes under way."""
        there, own = self._pieces[document.kind], packing.object_name(self._release, document)
        head = self._heads.get(document)
        named = packing.notes_of(head).get(packing.PIECES, "").split() if head is not None else []
        cut = {name for name in there if name.rpartition(".")[0] == own}
        for name in sorted(cut.difference(named)):
            self.writes += 1
            await self._cluster.delete(document.kind, name)
            there.discard(name)


def _doubted(body: Body) -> Body:
    """Return a damaged head without its sum, by which it would pass for one that need not be written."""
    notes = {key: told for key, told in packing.notes_of(body).items() if key != packing.SUM}
    return _bare({"metadata": {**body["metadata"], "annotations": notes}})


def _bare(body: Body) -> Body:
    """Return an object without what it says, and without who wrote which field of it."""
    metadata = {key: told for key, told in body["metadata"].items() if key != "managedFields"}
    return {"metadata": metadata}
