"""What an apply would do, found out once: files read, plugins found, a look taken, all compared."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from orchestrator.controller import reading
from orchestrator.controller.desk import Book
from orchestrator.controller.imaging import named, with_images
from orchestrator.controller.imaging import running as running_artifacts
from orchestrator.controller.loop import Loop
from orchestrator.controller.picture import BROKER
from orchestrator.controller.reading import Declared, Readable, withheld
from orchestrator.controller.rooms import Rooms
from orchestrator.controller.telling import Telling
from orchestrator.decide.changes import changes, differs
from orchestrator.decide.guard import objection
from orchestrator.decide.memory import NOBODY
from orchestrator.decide.push import runs
from orchestrator.decide.report import Preview
from orchestrator.decide.state import Phase
from orchestrator.errors import ungrouped
from orchestrator.ports import Catalog, Secrets
from orchestrator.spec.model import Unusable

JUST_NOW = timedelta(seconds=1)
"""What a preview saw is what is applied, where nothing was heard of since."""


@dataclass(frozen=True, slots=True)
class Examined:
    """`book` would be the applied one; `preview` says what that changes.

    `shown`: it was found out for a preview, that the same question has just had as its answer.
    """

    declared: Declared
    book: Book
    preview: Preview
    catalog: Catalog
    secrets: Secrets
    shown: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was found out last, and all that it holds for."""

    readable: Readable
    values: Mapping[str, str]
    book: Book
    look: int
    at: float
    found: Examined


class Examining:
    def __init__(self, rooms: Rooms, loop: Loop, telling: Telling) -> None:
        self._rooms = rooms
        self._outside = rooms.outside
        self._loop = loop
        self._telling = telling
        self._kept: _Kept | None = None

    async def examine(
        self, readable: Readable, values: Mapping[str, str], *, within: timedelta = timedelta()
    ) -> Examined:
        """Return what applying would do. Changes nothing.

        `within`: what was found out so shortly before, for the same question, will do where nothing
        was heard of since. Else files and plugins are read anew, and the look begins after this call.

        Raises:
            ConfigError, ActionError: as `reading.understand`.
        """
        kept = self._still_so(readable, values, within)
        if kept is not None:
            return kept
        began = asyncio.get_running_loop().time()
        catalog = self._outside.catalog(readable.settings)
        declared = await self._read_and_look(readable, catalog, within)
        secrets = self.passing(readable, values)
        book = self.propose(declared, secrets)
        missing = withheld(declared.desired, secrets)
        desk, look = self._rooms.desk.book, self._loop.done
        preview = await self._compare(declared, book, readable, missing, catalog)
        found = Examined(declared, book, preview, catalog, secrets)
        self._keep(_Kept(readable, values, desk, look, began, found))
        return found

    def _keep(self, kept: _Kept) -> None:
        """Have it at hand as long as it is of use, and no longer: it is as large as the files."""

        def forget() -> None:
            if self._kept is kept:
                self._kept = None

        self._kept = kept
        asyncio.get_running_loop().call_later(JUST_NOW.total_seconds(), forget)

    def _still_so(
        self, readable: Readable, values: Mapping[str, str], within: timedelta
    ) -> Examined | None:
        kept, self._kept = self._kept, None
        if kept is None or (kept.readable, kept.values) != (readable, values):
            return None
        now = asyncio.get_running_loop().time()
        if now - kept.at >= within.total_seconds() or kept.book is not self._rooms.desk.book:
            return None
        return replace(kept.found, shown=True) if self._loop.is_last(kept.look) else None

    async def _read_and_look(
        self, readable: Readable, catalog: Catalog, within: timedelta
    ) -> Declared:
        """Do both at the same time: one waits for the disk, the other for the runtime."""
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._telling.refreshed(within=within))
                declared = await self.understand(readable, catalog)
        return declared

    async def understand(self, readable: Readable, catalog: Catalog) -> Declared:
        revision = self._rooms.desk.book.revision + 1
        project = self._outside.project
        entries = self._rooms.desk.book.entries
        before = {name: entry.now.artifact for name, entry in entries.items()}
        images = {} if readable.update_images else named(before)
        return await reading.understand(
            readable,
            catalog,
            project=project,
            revision=revision,
            no_own_network=self._outside.runtime.no_own_network(),
            before=before,
            images=images,
        )

    def propose(self, declared: Declared, secrets: Secrets) -> Book:
        instances = self._loop.observed.instances or {}
        return self._rooms.desk.propose(
            declared,
            revision=declared.desired.revision,
            secrets=secrets,
            records=self._loop.observed.records,
            running={name: each.generation for name, each in instances.items()},
        )

    async def _compare(
        self,
        declared: Declared,
        book: Book,
        readable: Readable,
        missing: Mapping[str, Unusable],
        catalog: Catalog,
    ) -> Preview:
        desk, observed = self._rooms.desk, self._rooms.picture.with_beats(self._loop.observed)
        address = self._outside.broker_address()
        instances = observed.instances or {}
        lives = {n: runs(observed.records.get(n, NOBODY), each) for n, each in instances.items()}
        found = changes(
            declared.desired,
            observed,
            hashes=desk.hashes_in(book, address),
            capabilities=self._outside.runtime.capabilities,
            system={BROKER},
            difference=lambda name: desk.difference(name, lives[name], book),
            pushable=lambda name: desk.pushable(name, instances[name].generation, book),
            unusable={name: each.reason for name, each in declared.unusable.items()},
            withheld={name: each.reason for name, each in missing.items()},
            storing={name for name, each in desk.book.entries.items() if each.now.spec.storage},
        )
        generations = {name: each.generation for name, each in instances.items()}
        found = await with_images(
            found, declared, catalog, running_artifacts(desk.book, generations)
        )
        current = self._outside.store.current()
        running = {n for n, each in instances.items() if each.phase is Phase.RUNNING} - {BROKER}
        return Preview(
            changes=found,
            differs=differs(found),
            guard=objection(
                applied=current.sources if current and desk.book.entries else (),
                new=readable.sources,
                # Blind, what was wanted has to stand for what runs.
                running=running if observed.instances is not None else set(desk.book.entries),
                kept=declared.desired.plugins.keys(),
                meant=readable.deletable,
            ),
            revision=desk.book.revision,
            entry_problems=declared.entry_problems(found, missing),
            images=named(declared.artifacts),
        )

    def passing(self, readable: Readable, values: Mapping[str, str]) -> Secrets:
        folder = readable.settings.get("folder")
        secrets = self._rooms.launches.secrets
        return secrets.passing(values, Path(folder) if folder else None)
