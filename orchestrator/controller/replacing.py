"""Replaces a life that runs by hand: as it is, or with another credential for the bus."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

from orchestrator.controller.broker_life import served_again
from orchestrator.controller.loop import Loop
from orchestrator.controller.picture import BROKER
from orchestrator.controller.rooms import Rooms
from orchestrator.controller.telling import Telling, is_ready
from orchestrator.decide.memory import forgive
from orchestrator.decide.report import Outcome, PluginStatus, Progress
from orchestrator.decide.state import Phase, Record
from orchestrator.errors import UnreachableError


class Replacing:
    def __init__(self, rooms: Rooms, loop: Loop, telling: Telling) -> None:
        self._rooms = rooms
        self._loop = loop
        self._telling = telling

    async def restart(
        self, name: str, *, within: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]:
        """Replace the life that runs; forgive what failed before."""
        if name != BROKER:
            self._telling.check(name)
        life = await self._life(name)
        await self._rooms.memories.ask(name, lambda now: _replaced(forgive(now), life))
        self._rooms.journal.note(name, "RestartAsked", "restart asked for by hand")
        self._look_at(name)
        again = (
            served_again(self._rooms, self._loop, life, deadline=within)
            if name == BROKER
            else self._telling.until([name], is_ready, deadline=within)
        )
        async with aclosing(again) as items:
            async for item in items:
                yield item

    async def rotate(
        self, name: str, *, within: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]:
        """Refuse the credentials that `name` was given so far, and give it another.

        One that runs is stopped before, with the time to say what it has to, and started again. One
        that does not is left as it is.
        """
        self._telling.check(name)
        life = await self._life(name)
        # Also where nothing runs: a start that is under way has the old one, and is replaced then.
        await self._rooms.memories.ask(name, lambda now: replace(now, rotate=True))
        self._rooms.journal.note(name, "RotationAsked", "another credential asked for by hand")
        if not life:
            await self._rooms.rights.rotate(name)
        self._look_at(name)
        reached = is_ready if life else _as_it_is
        async with aclosing(self._telling.until([name], reached, deadline=within)) as items:
            async for item in items:
                yield item

    async def _life(self, name: str) -> str:
        """Return the id of the life that runs; empty: none."""
        await self._telling.refreshed()
        if self._loop.observed.instances is None:
            raise UnreachableError("the runtime does not answer: what runs cannot be replaced")
        instance = self._loop.observed.instances.get(name)
        return instance.id if instance and instance.phase is Phase.RUNNING else ""

    def _look_at(self, name: str) -> None:
        self._loop.parking.release(name)
        self._loop.agenda.mark(name)


def _replaced(record: Record, life: str) -> Record:
    return replace(record, replace=life, restart_requested=record.restart_requested + 1)


def _as_it_is(_: PluginStatus) -> bool:
    return True
