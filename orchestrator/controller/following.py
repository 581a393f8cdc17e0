"""Follows edited files: each edit that is whole and valid is applied, exactly as `apply` would.

An edit is known by its content alone. So no event of the file system can be missed, and a file that
was renamed into place, rewritten or checked out is the same to us. What a person applies by hand
stays until the next edit: the edit that was taken up last is remembered in the store, and a restart
takes up nothing twice.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import structlog

from orchestrator.controller.applying import Applying, Order, settings_of
from orchestrator.controller.outside import Edit
from orchestrator.controller.reading import Readable
from orchestrator.controller.retries import Retries
from orchestrator.controller.rooms import Rooms
from orchestrator.controller.settling import Settling
from orchestrator.errors import (
    ActionError,
    ConfigError,
    ConflictError,
    NtpError,
    Problem,
    UnreachableError,
)
from orchestrator.spec.model import Place, SecretRef

log = structlog.get_logger()
CONDITION = "FileFollowed"
TAKEN_UP = "followed"
"""Setting of the store: what the edit that was taken up last is known by."""
GOING_DOWN = "GoingDown"


class Following:
    """`look` reads the files anew, in a thread."""

    def __init__(self, rooms: Rooms, applying: Applying, look: Callable[[], Edit]) -> None:
        self._rooms = rooms
        self._outside = rooms.outside
        self._applying = applying
        self._look = look
        self._retries = Retries(rooms.outside.tempo)
        self._decided: tuple[Edit, int] | None = None
        """The edit that was applied or refused, and the revision that ran then."""

    async def run(self) -> None:
        clock, tempo = asyncio.get_running_loop().time, self._outside.tempo
        settling = Settling()
        while True:
            edit = await asyncio.to_thread(self._read)
            now = clock()
            settled = settling.stayed(edit, now) >= self._patience(edit)
            if settled and not self._retries.due(TAKEN_UP, now):
                await self._take_up(edit)
            await asyncio.sleep(tempo.follow.total_seconds())

    def _read(self) -> Edit:
        try:
            return self._look()
        except ConfigError as error:
            return Edit(problems=error.problems)
        except OSError as error:
            # A folder that goes while it is listed: what comes after it counts.
            what = f"the files cannot be read: {(error.strerror or str(error)).lower()}"
            file = str(error.filename or "files")
            return Edit(problems=(Problem(file, 0, 0, what, "make them readable"),))

    def _patience(self, edit: Edit) -> float:
        """A last line without its end is how some editors write, and how every half file looks."""
        tempo = self._outside.tempo
        whole = all(text.endswith("\n") for _, text in edit.sources)
        return (tempo.settled if whole else tempo.unfinished).total_seconds()

    async def _take_up(self, edit: Edit) -> None:
        revision = self._rooms.desk.book.revision
        nothing = not edit.sources and not edit.problems
        if nothing or self._decided == (edit, revision):
            return
        try:
            if self._decided is not None and self._decided[0] == edit:
                self._applied_by_hand(edit)
            else:
                await self._decide(edit)
        except (UnreachableError, ConflictError):
            # The runtime or the store is away, or somebody applies at this moment.
            self._retries.later(TAKEN_UP, asyncio.get_running_loop().time())
        except Exception as error:
            # The edge of one edit's business: a bug met with it must not end what cares for all that runs.
            log.exception("controller.bug", file=CONDITION)
            told = f"{type(error).__name__}: {error}"
            self._rooms.journal.condition(CONDITION, status=False, reason="Bug", message=told)
            self._retries.later(TAKEN_UP, asyncio.get_running_loop().time())
        else:
            self._retries.done(TAKEN_UP)
            self._decided = (edit, self._rooms.desk.book.revision)

    def _applied_by_hand(self, edit: Edit) -> None:
        """Another revision since: it stays, and may be just what we had refused."""
        if not self._rooms.journal.holds(CONDITION) and self._is_current(edit):
            self._done(edit)
            self._outside.decided(edit, None)

    async def _decide(self, edit: Edit) -> None:
        try:
            if not self._stands(edit):
                await self._apply(edit)
        except ConfigError as error:
            self._refuse("FileInvalid", error)
            self._outside.decided(edit, error)
        except ActionError as error:
            if error.reason != GOING_DOWN:
                self._refuse(error.reason, error)
                self._outside.decided(edit, error)
        else:
            self._done(edit)
            self._outside.decided(edit, None)

    async def _apply(self, edit: Edit) -> None:
        readable = Readable(edit.sources, edit.settings, {}, deletable=edit.deletable)
        problems, revision = set(edit.problems), 0
        if edit.sources:
            preview = await self._applying.preview(readable, edit.secrets)
            problems |= set(preview.problems)
            revision = preview.revision
        if problems:
            raise ConfigError(tuple(problems))
        order = Order(
            readable=readable,
            secrets=edit.secrets,
            expect=revision,
            allow_deletes=False,
            wait=None,
        )
        async for _ in self._applying.apply(order):
            pass

    def _stands(self, edit: Edit) -> bool:
        """Whether it was taken up before (and perhaps replaced by hand since), or runs as it is."""
        known = self._outside.store.setting(TAKEN_UP)
        if known is None:
            return self._is_current(edit)
        files, secrets, number = [*known.split(" "), "0"][:3]
        if self._secrets_of(edit) != secrets:
            return False
        current = self._outside.store.current()
        # What a store writes one by one may end before the revision, and have that it was taken up.
        there = current is not None and current.number >= int(number)
        return (there and files == _files_of(edit)) or self._is_current(edit)

    def _is_current(self, edit: Edit) -> bool:
        current = self._outside.store.current()
        if current is None:
            return False
        return (current.sources, settings_of(current)) == (edit.sources, dict(edit.settings))

    def _done(self, edit: Edit) -> None:
        with self._rooms.journal.storing():
            current = self._outside.store.current()
            number = current.number if current is not None else 0
            told = f"{_files_of(edit)} {self._secrets_of(edit)} {number}"
            self._outside.store.set(TAKEN_UP, told)
        self._rooms.journal.condition(CONDITION, status=True, reason="Applied")

    def _refuse(self, reason: str, error: NtpError) -> None:
        journal, message = self._rooms.journal, str(error)
        again = any(
            (each.type, each.status, each.reason) == (CONDITION, False, reason)
            for each in journal.conditions()
        )
        journal.condition(CONDITION, status=False, reason=reason, message=message)
        if again:
            # The condition was so before, the edit is another one.
            journal.warn("", reason, f"{CONDITION}: {message}")

    def _secrets_of(self, edit: Edit) -> str:
        """Return the keyed digests: a rotation is an edit, and its value stays out of the store."""
        folder = edit.settings.get("folder")
        secrets = self._outside.secrets.passing(edit.secrets, Path(folder) if folder else None)
        found = {}
        for name in edit.secrets:
            try:
                found[name] = secrets.digest(SecretRef("env", name, Place(".env", 1, 1)))
            except ActionError:
                found[name] = ""
        return _digest(found)


def _files_of(edit: Edit) -> str:
    return _digest([edit.sources, dict(edit.settings)])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
