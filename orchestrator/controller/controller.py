"""A controller from its first look to its last: what the socket asks, and what runs beside the passes."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

from orchestrator.controller.alerting import Alerting
from orchestrator.controller.applying import Applying, Order
from orchestrator.controller.finishing import finishing
from orchestrator.controller.following import Following
from orchestrator.controller.halting import Halting
from orchestrator.controller.informing import Informing
from orchestrator.controller.loop import Loop
from orchestrator.controller.outside import Outside
from orchestrator.controller.picture import BROKER
from orchestrator.controller.reading import Readable
from orchestrator.controller.replacing import Replacing
from orchestrator.controller.rooms import Rooms
from orchestrator.controller.taking_down import TakingDown
from orchestrator.controller.tapping import Tapping
from orchestrator.controller.telling import Telling, is_ready, is_settled, is_stopped
from orchestrator.controller.watchers import Watchers
from orchestrator.controller.wholeness import Wholeness
from orchestrator.decide.memory import forgive
from orchestrator.decide.report import (
    Capturing,
    Downed,
    Figures,
    Heard,
    Info,
    Outcome,
    PluginStatus,
    Preview,
    Progress,
    ProjectStatus,
    Tap,
    Unchanged,
)
from orchestrator.errors import ungrouped
from orchestrator.letters import LetterOperations
from orchestrator.ports import Asked, Event, LogLine, Revision

ISOLATION_S = 20.0


class Controller:
    """Knows from the first moment what was applied last; `run` keeps it running.

    Its other public methods are the `Operations` of the socket.

    Raises:
        UnreachableError: the store cannot be read.
    """

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._rooms = Rooms.furnish(outside)
        self._loop = Loop(self._rooms)
        self._telling = Telling(self._rooms, self._loop)
        self._applying = Applying(self._rooms, self._loop, self._telling)
        self._informing = Informing(self._rooms, self._loop)
        self._wholeness = Wholeness(self._rooms)
        self._halting = Halting(self._rooms, self._loop, self._telling, self._wholeness)
        self._replacing = Replacing(self._rooms, self._loop, self._telling)
        self._taking_down = TakingDown(self._rooms, self._loop)
        self._rooms.memories.load()
        self._wholeness.tell()
        self._rooms.halts.load(outside.now())
        self._applying.restore()
        self._wholeness.doubt()
        self._taking_down.restore()
        self._alerting = (
            None
            if outside.notifier is None
            else Alerting(self._rooms, self._loop, self._telling, outside.notifier)
        )

    async def run(self) -> bool:
        """Keep what is applied running; return when all was taken down, and whether with its data.

        Nothing of it runs any more when it has returned, or was cancelled.

        Raises:
            ConflictError: the project's lock was lost.
        """
        await self._applying.finish_cut_off()
        self._wholeness.doubt()
        await self._wholeness.kept()
        watchers = Watchers(self._rooms, self._loop, self._telling)
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                beside = [
                    tasks.create_task(watchers.runtime()),
                    tasks.create_task(watchers.changes()),
                    tasks.create_task(watchers.listening()),
                    tasks.create_task(watchers.broker()),
                    tasks.create_task(watchers.rates()),
                    tasks.create_task(watchers.letters()),
                ]
                if self._outside.followed is not None:
                    following = Following(self._rooms, self._applying, self._outside.followed)
                    beside.append(tasks.create_task(following.run()))
                if self._alerting is not None:
                    beside.append(tasks.create_task(self._alerting.watch()))
                    beside.append(tasks.create_task(self._alerting.deliver()))
                try:
                    await self._loop.run(tasks)
                    if self._alerting is not None:
                        await self._alerting.farewell()
                finally:
                    for each in beside:
                        each.cancel()
        return await self._taking_down.finish()

    @property
    def letters(self) -> LetterOperations:
        return self._rooms.letters

    async def info(self) -> Info:
        webhook = self._alerting.info() if self._alerting is not None else None
        return replace(await self._informing.info(), webhook=webhook)

    async def status(self, name: str | None) -> ProjectStatus:
        return await self._telling.project(name)

    def glance(self) -> ProjectStatus:
        """Return the status as of the last look: what it costs is no pass."""
        return self._telling.glance()

    def figures(self) -> Figures:
        alerts = self._alerting.figures() if self._alerting is not None else None
        return Figures(self._loop.durations.told(), alerts)

    async def preview(
        self,
        sources: Sequence[tuple[str, str]],
        *,
        settings: Mapping[str, str],
        secrets: Mapping[str, str],
        pins: Mapping[str, str],
        update_images: bool = False,
    ) -> Preview:
        asked = Readable(sources, settings, pins, update_images=update_images)
        return await self._applying.preview(asked, secrets)

    async def apply(
        self,
        sources: Sequence[tuple[str, str]],
        *,
        settings: Mapping[str, str],
        secrets: Mapping[str, str],
        expect: int | None,
        allow_deletes: bool,
        pins: Mapping[str, str],
        wait: bool,
        deadline: timedelta,
    ) -> AsyncGenerator[Preview | Progress | Outcome, None]:
        order = Order(
            readable=Readable(sources, settings, pins),
            secrets=secrets,
            expect=expect,
            allow_deletes=allow_deletes,
            wait=deadline if wait else None,
        )
        async with aclosing(self._applying.apply(order)) as items:
            async for item in items:
                yield item

    async def reapply(self, asked: Asked) -> Unchanged | None:
        edit = await asyncio.to_thread(self._outside.reread, asked)
        return None if edit is None else await self._applying.reapply(edit)

    async def wait(
        self, names: Sequence[str] | None, *, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]:
        for name in names or ():
            self._telling.check(name)
        reached = is_settled if names is None else is_ready
        async with aclosing(self._telling.until(names, reached, deadline=deadline)) as items:
            async for item in items:
                yield item

    async def events(self, name: str | None, *, limit: int) -> Sequence[Event]:
        return self._outside.store.events(name=name, limit=limit)

    def follow_events(self, name: str | None, *, limit: int) -> AsyncGenerator[Event, None]:
        return self._rooms.journal.follow(name, limit=limit)

    async def logs(self, name: str, *, follow: bool, tail: int) -> AsyncGenerator[LogLine, None]:
        if name != BROKER and name not in (self._loop.observed.instances or {}):
            self._telling.check(name)
        lines = self._outside.runtime.logs(name, follow=follow, tail=tail)
        async with finishing(lines):
            async for line in lines:
                yield line

    async def restart(
        self, name: str, *, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]:
        within = deadline if wait else timedelta(0)
        async with aclosing(self._replacing.restart(name, within=within)) as items:
            async for item in items:
                yield item

    async def rotate(
        self, name: str, *, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]:
        within = deadline if wait else timedelta(0)
        async with aclosing(self._replacing.rotate(name, within=within)) as items:
            async for item in items:
                yield item

    async def stop(
        self, name: str, *, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]:
        """Stop it and keep it stopped, whatever is applied; only `start` clears that."""
        self._telling.check(name)
        await self._rooms.memories.ask(name, lambda now: replace(now, stopped_by_hand=True))
        self._rooms.journal.note(name, "StoppedByHand", f"until `ntpctl start {name}`")
        self._look_at(name)
        async for item in self._until([name], is_stopped, wait=wait, deadline=deadline):
            yield item

    async def start(
        self, name: str, *, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]:
        """Clear what holds it back: stopped by hand, given up, refused, a generation that failed."""
        self._telling.check(name)
        await self._rooms.memories.ask(name, forgive)
        self._rooms.journal.note(name, "StartAsked", "start asked for by hand")
        self._look_at(name)
        async for item in self._until([name], is_ready, wait=wait, deadline=deadline):
            yield item

    async def halt(
        self, names: Sequence[str], *, flatten: bool | None, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]:
        within = deadline if wait else timedelta(0)
        async with aclosing(self._halting.change(names, flatten=flatten, within=within)) as items:
            async for item in items:
                yield item

    async def replay(self, names: Sequence[str], *, ticks: int) -> AsyncGenerator[Capturing, None]:
        """Have each new life of these shown so many ticks, as long as this is listened to.

        Yields once, when the bus captures what they hear, or cannot.
        """
        with self._rooms.replays.asked(names, ticks):
            yield await self._telling.capturing(names)
            await asyncio.Event().wait()

    async def down(
        self, *, delete_data: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Downed, None]:
        """Take everything down; then `run` returns. See `TakingDown.watch`."""
        async with aclosing(
            self._taking_down.watch(delete_data=delete_data, deadline=deadline)
        ) as items:
            async for item in items:
                yield item

    def tap(self, name: str) -> AsyncGenerator[Tap, None]:
        self._telling.check(name)
        return Tapping(self._rooms).open(name)

    def captured(self, name: str) -> AsyncGenerator[Sequence[bytes], None]:
        self._telling.check(name)
        return self._outside.broker.captures.read(name)

    async def beats(self) -> Mapping[str, Heard]:
        return {
            name: Heard(heard, beat) for name, (beat, heard) in self._outside.bus.beats().items()
        }

    async def revisions(self) -> Sequence[Revision]:
        return self._outside.store.revisions()

    async def _until(
        self,
        names: Sequence[str],
        reached: Callable[[PluginStatus], bool],
        *,
        wait: bool,
        deadline: timedelta,
    ) -> AsyncGenerator[Progress | Outcome, None]:
        within = deadline if wait else timedelta(0)
        async with aclosing(self._telling.until(names, reached, deadline=within)) as items:
            async for item in items:
                yield item

    def _look_at(self, name: str) -> None:
        self._loop.parking.release(name)
        self._loop.agenda.mark(name)
