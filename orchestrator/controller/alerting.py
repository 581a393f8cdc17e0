"""Tells somebody outside what goes wrong. What was decided is written, then sent, then forgotten: over a
crash of this process a message may come twice, under the same id, and none is lost.
"""

import asyncio
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from orchestrator.controller.loop import Loop
from orchestrator.controller.outbox import Counts, Outbox
from orchestrator.controller.rooms import Rooms
from orchestrator.controller.telling import Telling
from orchestrator.decide.alerts import Alert, Book, dropped, durable, step
from orchestrator.decide.findings import Finding, look, of_project
from orchestrator.decide.report import AlertFigures, WebhookInfo
from orchestrator.errors import UnreachableError
from orchestrator.ports import Notifier

KEY = "alerts"
SHARE = 10
"""Looking takes at most so small a part of the time, however many plugins there are."""
log = structlog.get_logger()
_REMOVED, _DOWN = "it is no longer in plugins.yaml", "everything was taken down"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store has of it."""

    book: Book = field(default_factory=Book)
    waiting: tuple[Alert, ...] = ()
    counts: Counts = field(default_factory=Counts)


class Alerting:
    def __init__(self, rooms: Rooms, loop: Loop, telling: Telling, notifier: Notifier) -> None:
        self._rooms = rooms
        self._loop = loop
        self._telling = telling
        self._notifier = notifier
        kept = self._load()
        # For how long something was so is known from looking alone.
        self._book = replace(kept.book, waiting={})
        self._outbox = Outbox(
            notifier,
            rooms.journal,
            tries=rooms.outside.tries,
            waiting=kept.waiting,
            counts=kept.counts,
            written=self._write,
        )

    async def watch(self) -> None:
        """Look again and again, beside the passes."""
        clock = asyncio.get_running_loop().time
        every = self._rooms.outside.tempo.alerts.total_seconds()
        while True:
            before = clock()
            # One who is being taken down is nobody's business: see `farewell`.
            if self._loop.done and self._rooms.desk.down is None:
                try:
                    self._look()
                except Exception:
                    # The edge of a business beside the main one: plugins are looked after without it.
                    log.exception("alerts.bug")
            await asyncio.sleep(max(every, SHARE * (clock() - before)))

    async def deliver(self) -> None:
        await self._outbox.deliver()

    async def farewell(self) -> None:
        """Everything was taken down: end what is open, and wait a little for that to be delivered."""
        self._decide([], wanted=frozenset(), gone=_DOWN)
        await self._outbox.emptied()

    def figures(self) -> AlertFigures:
        opened = (each.finding for each in self._book.open.values())
        return AlertFigures(
            open=tuple((each.plugin, each.reason) for each in opened),
            delivered=self._outbox.counts.delivered,
            failed=self._outbox.counts.failed,
            retries=self._outbox.counts.retries,
            suppressed=self._book.suppressed,
            waiting=len(self._outbox.waiting),
        )

    def info(self) -> WebhookInfo:
        return WebhookInfo(
            place=self._notifier.place,
            signed=self._notifier.signed,
            delivered=self._outbox.counts.delivered,
            failed=self._outbox.counts.failed,
            waiting=len(self._outbox.waiting),
        )

    def _look(self) -> None:
        outside, records = self._rooms.outside, self._loop.observed.records
        wanted = self._rooms.desk.desired(records)
        plugins = self._telling.statuses()
        known, found = look(
            self._book.known,
            plugins,
            records,
            limits={name: spec.resources.memory for name, spec in wanted.plugins.items()},
            listening=outside.bus.listening_since is not None,
            now=outside.now(),
            patience=outside.patience,
        )
        found += of_project(self._rooms.journal.conditions(), outside.patience)
        self._book = replace(self._book, known=known)
        self._decide(found, wanted=wanted.plugins.keys(), gone=_REMOVED)

    def _decide(self, found: Iterable[Finding], *, wanted: AbstractSet[str], gone: str) -> None:
        outside = self._rooms.outside
        self._book, fresh = step(
            self._book, found, wanted=wanted, gone=gone, project=outside.project, now=outside.now()
        )
        if fresh:
            self._book = dropped(self._book, self._outbox.put(fresh))
        if durable(self._book) != self._told:
            self._write()

    def _load(self) -> Kept:
        text = self._rooms.outside.store.setting(KEY)
        self._told: Book | None = None
        """What of the book was written last."""
        if not text:
            return Kept()
        try:
            return msgspec.json.decode(text, type=Kept)
        except msgspec.MsgspecError:
            # Of another release: what is wrong is told once more.
            return Kept()

    def _write(self) -> None:
        kept = Kept(self._book, self._outbox.waiting, self._outbox.counts)
        try:
            with self._rooms.journal.storing():
                self._rooms.outside.store.set(KEY, msgspec.json.encode(kept).decode())
        except UnreachableError:
            return  # told by the condition StoreSound; tried again at the next look
        self._told = durable(self._book)
