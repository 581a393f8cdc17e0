"""From edited files to an applied revision. A broken edit changes nothing; what runs keeps running."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from orchestrator.controller.desk import Book, hashes_of
from orchestrator.controller.imaging import named, with_images
from orchestrator.controller.imaging import running as running_artifacts
from orchestrator.controller.loop import Loop
from orchestrator.controller.outside import Settings
from orchestrator.controller.picture import BROKER
from orchestrator.controller.reading import Declared, Readable, understand, withheld
from orchestrator.controller.rooms import Rooms
from orchestrator.controller.telling import Telling, is_ready, is_settled
from orchestrator.decide.changes import changes, differs
from orchestrator.decide.guard import objection
from orchestrator.decide.history import compare, line
from orchestrator.decide.memory import NOBODY, accepted
from orchestrator.decide.push import runs
from orchestrator.decide.report import Outcome, Preview, Progress
from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError, ConfigError, ConflictError, UnreachableError
from orchestrator.ports import Catalog, Revision, Secrets
from orchestrator.spec.model import Unusable

RUNTIME = "runtime"
JUST_NOW = timedelta(seconds=1)
"""What a preview saw is what is applied, where nothing was heard of since."""


@dataclass(frozen=True, slots=True)
class Order:
    """`expect`: revision that the caller saw, 0 for none; None: any. `wait` None: do not."""

    readable: Readable
    secrets: Mapping[str, str]
    expect: int | None
    allow_deletes: bool
    wait: timedelta | None


class Applying:
    def __init__(self, rooms: Rooms, loop: Loop, telling: Telling) -> None:
        self._rooms = rooms
        self._outside = rooms.outside
        self._loop = loop
        self._telling = telling
        self._one = asyncio.Lock()

    async def preview(self, readable: Readable, secrets: Mapping[str, str]) -> Preview:
        """Return what applying would do, or every problem. Changes nothing.

        Raises:
            UnreachableError: the runtime does not answer.
        """
        catalog = self._outside.catalog(readable.settings)
        try:
            declared = await self._understand(readable, catalog)
        except ConfigError as error:
            return Preview(problems=error.problems, revision=self._rooms.desk.book.revision)
        await self._telling.refreshed()
        if self._loop.observed.instances is None:
            raise UnreachableError("the runtime does not answer: what would change is not known")
        known = self._passing(readable, secrets)
        book = self._propose(declared, known)
        missing = withheld(declared.desired, known)
        return await self._compare(declared, book, readable, missing, catalog)

    async def apply(self, order: Order) -> AsyncGenerator[Preview | Progress | Outcome, None]:
        """Yield the plan, then progress, then the outcome.

        Raises:
            ConfigError: the files have problems; the last good revision keeps running.
            ConflictError: another revision than `expect` was applied meanwhile.
            ActionError: GuardedDeletion, RuntimeChanged, GoingDown.
        """
        async with self._one:
            yield await self._accept(order)
        if order.wait is None:
            yield Outcome(self._rooms.desk.book.revision, ready=False, plugins=[])
            return
        async for item in self._telling.until(
            None, is_settled, counted=is_ready, deadline=order.wait
        ):
            yield item

    def restore(self) -> None:
        """Take up what was applied last, as it was kept."""
        self._rooms.desk.load()
        revision = self._outside.store.current()
        if revision is not None:
            settings = settings_of(revision)
            self._rooms.launches.catalog = self._outside.catalog(settings)
            self._rooms.launches.secrets = self._passing(Readable((), settings, {}), {})
        self._forgive_refusals()

    async def finish_cut_off(self) -> None:
        """Read the newest revision again, if a crash came between writing it and what it wants."""
        revision = self._outside.store.current()
        if revision is None or revision.number == self._rooms.desk.book.revision:
            return
        readable = Readable(revision.sources, settings_of(revision), revision.resolved)
        try:
            declared = await self._understand(readable, self._rooms.launches.catalog)
        except (ConfigError, ActionError) as error:
            self._invalid(error)
            return
        book = self._propose(declared, self._rooms.launches.secrets)
        self._rooms.desk.commit(replace(book, revision=revision.number))

    async def _accept(self, order: Order) -> Preview:
        self._check_up()
        self._check_expected(order.expect)
        self._check_runtime()
        readable = order.readable
        catalog = self._outside.catalog(readable.settings)
        try:
            declared = await self._understand(readable, catalog)
        except ConfigError as error:
            self._invalid(error)
            raise
        await self._telling.refreshed(within=JUST_NOW)
        secrets = self._passing(readable, order.secrets)
        book = self._propose(declared, secrets)
        missing = withheld(declared.desired, secrets)
        preview = await self._compare(declared, book, readable, missing, catalog)
        if preview.guard and not order.allow_deletes:
            raise ActionError(
                f"refused: {preview.guard}\n  fix: if that is meant, apply with --allow-deletes",
                reason="GuardedDeletion",
                permanent=True,
            )
        self._check_up()  # reading and looking took a while
        self._keep(readable, declared, book)
        for change in preview.changes:
            if change.do != "keep":  # somebody edits it: what went before was no flapping
                self._loop.parking.release(change.name)
        self._rooms.launches.catalog = catalog
        self._rooms.launches.secrets = secrets
        self._forgive_refusals()
        self._rooms.journal.condition("ConfigValid", status=True, reason="Applied")
        self._loop.agenda.mark_all()
        return replace(preview, revision=self._rooms.desk.book.revision)

    async def _understand(self, readable: Readable, catalog: Catalog) -> Declared:
        revision = self._rooms.desk.book.revision + 1
        project = self._outside.project
        entries = self._rooms.desk.book.entries
        before = {name: entry.now.artifact for name, entry in entries.items()}
        images = {} if readable.update_images else named(before)
        return await understand(
            readable,
            catalog,
            project=project,
            revision=revision,
            own_networks=self._outside.runtime.capabilities.own_networks,
            before=before,
            images=images,
        )

    def _propose(self, declared: Declared, secrets: Secrets) -> Book:
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
        desk, observed = self._rooms.desk, self._loop.observed
        try:
            address = self._outside.broker.address()
        except ActionError:
            address = ""
        instances = observed.instances or {}
        lives = {n: runs(observed.records.get(n, NOBODY), each) for n, each in instances.items()}
        found = changes(
            declared.desired,
            observed,
            hashes=hashes_of(book, address),
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
            ),
            revision=desk.book.revision,
            entry_problems=declared.entry_problems(found, missing),
            images=named(declared.artifacts),
        )

    def _keep(self, readable: Readable, declared: Declared, book: Book) -> None:
        """Write the revision, then what is wanted. Cut off in between, `restore` does the rest."""
        store, current = self._outside.store, self._outside.store.current()
        fresh = Revision(
            number=(current.number if current else 0) + 1,
            applied=self._outside.now(),
            sources=tuple((file, text) for file, text in readable.sources),
            resolved=declared.resolved,
            settings=dict(readable.settings),
            change=self._changed(current, readable, book),
        )
        if not store.setting(RUNTIME):
            store.set(RUNTIME, self._outside.runtime.name)
        if (
            current is not None
            and current.number == self._rooms.desk.book.revision
            and current.declares_as(fresh)
        ):
            self._rooms.desk.commit(replace(book, revision=current.number))
            return
        store.save(fresh, expect=current.number if current else None)
        self._rooms.desk.commit(replace(book, revision=fresh.number))
        files = ", ".join(file for file, _ in fresh.sources)
        self._rooms.journal.note("", "Applied", f"revision {fresh.number}: {files}")

    def _changed(self, current: Revision | None, readable: Readable, book: Book) -> str:
        """Say in one line what `book` changes; told now, while the code that both ran is known."""
        old, new = (
            {name: entry.now.layers for name, entry in each.entries.items()}
            for each in (self._rooms.desk.book, book)
        )
        told = line(compare(old, new))
        if told or current is None:
            return told
        same = list(current.sources) == list(readable.sources)
        return f"no plugin; {'other settings' if same else 'the text alone'}"

    def _check_up(self) -> None:
        if self._rooms.desk.down is not None:
            raise ActionError("everything is being taken down", reason="GoingDown")

    def _check_expected(self, expect: int | None) -> None:
        now = self._rooms.desk.book.revision
        if expect is not None and expect != now:
            raise ConflictError(
                f"revision {now or 'none'} is applied, your plan was made for {expect or 'none'}; plan again"
            )

    def _check_runtime(self) -> None:
        before, now = self._outside.store.setting(RUNTIME), self._outside.runtime.name
        if before and before != now:
            raise ActionError(
                f"this project was applied on the runtime '{before}', this controller has '{now}'; "
                f"what runs there would be left behind\n  fix: run `ntpctl down` with '{before}' first",
                reason="RuntimeChanged",
                permanent=True,
            )

    def _passing(self, readable: Readable, values: Mapping[str, str]) -> Secrets:
        folder = readable.settings.get("folder")
        secrets = self._rooms.launches.secrets
        return secrets.passing(values, Path(folder) if folder else None)

    def _forgive_refusals(self) -> None:
        """Whatever was missing may be there now."""
        records = self._rooms.memories.all()
        self._rooms.memories.put_all({name: accepted(each) for name, each in records.items()})

    def _invalid(self, error: ConfigError | ActionError) -> None:
        self._rooms.journal.condition(
            "ConfigValid", status=False, reason="Refused", message=str(error)
        )


def settings_of(revision: Revision) -> Settings:
    return {key: str(value) for key, value in revision.settings.items()}
