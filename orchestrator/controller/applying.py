"""From edited files to an applied revision. A broken edit changes nothing; what runs keeps running."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from orchestrator.controller.desk import KEY as DESIRED
from orchestrator.controller.desk import Book, Generation
from orchestrator.controller.examining import JUST_NOW, Examined, Examining
from orchestrator.controller.loop import Loop
from orchestrator.controller.outside import Edit, Settings
from orchestrator.controller.reading import Declared, Readable
from orchestrator.controller.rooms import Rooms
from orchestrator.controller.telling import Telling, is_ready, is_settled
from orchestrator.decide.history import compare, line
from orchestrator.decide.memory import accepted
from orchestrator.decide.report import Outcome, Preview, Progress, Unchanged
from orchestrator.errors import ActionError, ConfigError, ConflictError, NtpError, UnreachableError
from orchestrator.ports import Revision

RUNTIME = "runtime"


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
        self._examining = Examining(rooms, loop, telling)
        self._one = asyncio.Lock()

    async def preview(self, readable: Readable, secrets: Mapping[str, str]) -> Preview:
        """Return what applying would do, or every problem. Changes nothing.

        Raises:
            UnreachableError: the runtime does not answer.
        """
        try:
            found = await self._examining.examine(readable, secrets)
        except ConfigError as error:
            return Preview(problems=error.problems, revision=self._rooms.desk.book.revision)
        if self._loop.observed.instances is None:
            raise UnreachableError("the runtime does not answer: what would change is not known")
        return found.preview

    async def apply(self, order: Order) -> AsyncGenerator[Preview | Progress | Outcome, None]:
        """Yield the plan, then progress, then the outcome.

        Raises:
            ConfigError: the files have problems; the last good revision keeps running.
            ConflictError: another revision than `expect` was applied meanwhile.
            ActionError: GuardedDeletion, RuntimeChanged, GoingDown.
        """
        async with self._one:
            preview, look = await self._accept(order)
            yield preview
        if order.wait is None:
            yield Outcome(self._rooms.desk.book.revision, ready=False, plugins=[])
            return
        async for item in self._telling.until(
            None, is_settled, counted=is_ready, deadline=order.wait, look=look
        ):
            yield item

    async def reapply(self, edit: Edit) -> Unchanged | None:
        """Apply what was applied last once more, if there is nothing to do for it and nothing to say.

        All of it is read and looked at anew, as for `apply`. None: nothing was done.
        """
        readable = Readable(edit.sources, edit.settings, {})
        if not self._is_applied(readable):
            return None
        async with self._one:
            begun = self._loop.begun
            try:
                self._check_up()
                self._check_runtime()
                found = await self._examining.examine(readable, edit.secrets)
                self._check_up()
            except NtpError:
                return None
            if self._loop.done <= begun:
                return None  # of a look that takes long the examination has not waited for the end
            ready = self._telling.statuses()
            if not self._changes_nothing(readable, found) or not all(map(is_ready, ready)):
                return None
            self._keep(readable, found.declared, found.book)
            self._take_up(found)
        same = len(found.preview.changes)
        return Unchanged(self._rooms.desk.book.revision, same, len(ready))

    def _is_applied(self, readable: Readable) -> bool:
        """Whether these are the files and settings that were applied last."""
        current = self._outside.store.current()
        return (
            current is not None
            and current.number == self._rooms.desk.book.revision
            and (current.sources, settings_of(current)) == (readable.sources, readable.settings)
        )

    def _changes_nothing(self, readable: Readable, found: Examined) -> bool:
        current, preview = self._outside.store.current(), found.preview
        return (
            current is not None
            and self._is_applied(readable)  # another may have been applied while we read
            and current.resolved == found.declared.resolved
            and _wanted(found.book) == _wanted(self._rooms.desk.book)
            and self._loop.observed.instances is not None
            and not (preview.differs or preview.guard or preview.entry_problems)
            and all(each.says_nothing for each in preview.changes)
            and not any(each.refusal for each in self._rooms.memories.all().values())
        )

    def restore(self) -> None:
        """Take up what was applied last, as it was kept."""
        self._rooms.desk.load()
        revision = self._outside.store.current()
        if revision is not None:
            settings = settings_of(revision)
            self._rooms.launches.catalog = self._outside.catalog(settings)
            self._rooms.launches.secrets = self._examining.passing(Readable((), settings, {}), {})
        self._forgive_refusals()

    async def finish_cut_off(self) -> None:
        """Read the newest revision again, if a crash came between writing it and what it wants."""
        store, revision = self._outside.store, self._outside.store.current()
        # An older one is not gone back to: the newest is damaged, or was not written yet.
        if revision is None or revision.number <= self._rooms.desk.book.revision:
            return
        if store.lost(DESIRED) and revision.number < store.numbered():
            told = (
                f"what was applied last is damaged, revision {revision.number} is older; what runs is"
                " left as it is\n  fix: apply again"
            )
            self._rooms.journal.condition(
                "ConfigValid", status=False, reason="Damaged", message=told
            )
            return
        readable = Readable(revision.sources, settings_of(revision), revision.resolved)
        try:
            declared = await self._examining.understand(readable, self._rooms.launches.catalog)
        except (ConfigError, ActionError) as error:
            self._invalid(error)
            return
        book = self._examining.propose(declared, self._rooms.launches.secrets)
        self._rooms.desk.commit(replace(book, revision=revision.number))

    async def _accept(self, order: Order) -> tuple[Preview, bool]:
        """Return what changes, and whether only another look can say how all are now.

        None is needed where nothing is asked for that was not before, and the preview that the same
        caller has just had was of a look that he waited for.
        """
        self._check_up()
        self._check_expected(order.expect)
        self._check_runtime()
        try:
            found = await self._examining.examine(order.readable, order.secrets, within=JUST_NOW)
        except ConfigError as error:
            self._invalid(error)
            raise
        preview = found.preview
        if preview.guard and not order.allow_deletes:
            raise ActionError(
                f"refused: {preview.guard}\n  fix: if that is meant, apply with --allow-deletes",
                reason="GuardedDeletion",
                permanent=True,
            )
        self._check_up()  # reading and looking took a while
        before = self._rooms.desk.book
        self._keep(order.readable, found.declared, found.book)
        for change in preview.changes:
            if change.do != "keep":  # somebody edits it: what went before was no flapping
                self._loop.parking.release(change.name)
        self._take_up(found)
        forgiven = self._forgive_refusals()
        book = self._rooms.desk.book
        asked = preview.differs or forgiven or book is not before
        if asked:
            self._loop.agenda.mark_all()
        return replace(preview, revision=book.revision), asked or not found.shown

    def _take_up(self, found: Examined) -> None:
        self._rooms.launches.catalog = found.catalog
        self._rooms.launches.secrets = found.secrets
        self._rooms.journal.condition("ConfigValid", status=True, reason="Applied")

    def _keep(self, readable: Readable, declared: Declared, book: Book) -> None:
        """Write the revision, then what is wanted. Cut off in between, `restore` does the rest."""
        store, current = self._outside.store, self._outside.store.current()
        fresh = Revision(
            # No number twice: a plan, or whatever was written down, is about one revision.
            number=max(store.numbered(), self._rooms.desk.book.revision) + 1,
            applied=self._outside.now(),
            sources=tuple((file, text) for file, text in readable.sources),
            resolved=declared.resolved,
            settings=dict(readable.settings),
        )
        if not store.setting(RUNTIME):
            store.set(RUNTIME, self._outside.runtime.name)
        if (
            current is not None
            and current.number == self._rooms.desk.book.revision
            and current.declares_as(fresh)
        ):
            if book.entries != self._rooms.desk.book.entries:
                self._rooms.desk.commit(replace(book, revision=current.number))
            return
        fresh = replace(fresh, change=self._changed(current, readable, book))
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

    def _forgive_refusals(self) -> bool:
        """Whatever was missing may be there now. Return whether anything was refused."""
        records = self._rooms.memories.all()
        forgiven = {name: accepted(each) for name, each in records.items() if each.refusal}
        self._rooms.memories.put_all(forgiven)
        return bool(forgiven)

    def _invalid(self, error: ConfigError | ActionError) -> None:
        self._rooms.journal.condition(
            "ConfigValid", status=False, reason="Refused", message=str(error)
        )


def settings_of(revision: Revision) -> Settings:
    return {key: str(value) for key, value in revision.settings.items()}


def _wanted(book: Book) -> dict[str, Generation]:
    """What runs, without what is kept of generations before: that goes once nobody needs it."""
    return {name: entry.now for name, entry in book.entries.items()}
