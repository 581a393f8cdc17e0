"""Halt and resume: kept first, then told, then waited for."""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from datetime import timedelta

from ntp.contract.names import Kind
from orchestrator.controller.loop import Loop
from orchestrator.controller.rooms import Rooms
from orchestrator.controller.telling import Telling
from orchestrator.controller.wholeness import Wholeness
from orchestrator.decide.report import Outcome, PluginStatus, Progress
from orchestrator.errors import ActionError


class Halting:
    """What `ntpctl halt` and `ntpctl resume` ask for."""

    def __init__(self, rooms: Rooms, loop: Loop, telling: Telling, wholeness: Wholeness) -> None:
        self._rooms = rooms
        self._wholeness = wholeness
        self._loop = loop
        self._telling = telling

    async def change(
        self, names: Collection[str], *, flatten: bool | None, within: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]:
        """Halt (`flatten` None: resume), then wait until the executors that run obey.

        No names: all. ActionError (NotHaltable, AllHalted): nothing was changed.
        """
        entries = self._rooms.desk.book.entries
        self._check(names, resume=flatten is None)
        await self._rooms.halts.change(
            lambda now: now.resume(names) if flatten is None else now.halt(names, flatten=flatten)
        )
        self._wholeness.acknowledge()
        what = "Resumed" if flatten is None else "Halted"
        words = "by hand, with all that is held" if flatten else "by hand"
        for name in sorted(names) or [""]:
            self._rooms.journal.note(name, what, words if name else f"all, {words}")
        executors = [name for name in entries if entries[name].now.spec.kind is Kind.EXECUTOR]
        for name in executors:
            self._loop.parking.release(name)
            self._loop.agenda.mark(name)
        waiting = self._telling.until(executors, _obeys, deadline=within)
        async with aclosing(waiting) as items:
            async for item in items:
                yield item

    def _check(self, names: Collection[str], *, resume: bool) -> None:
        entries = self._rooms.desk.book.entries
        for name in names:
            if resume and name in self._rooms.halts.now.names:
                continue  # perhaps of an entry that is gone
            self._telling.check(name)
            kind = entries[name].now.spec.kind
            if kind not in {Kind.STRATEGY, Kind.EXECUTOR}:
                raise ActionError(
                    f"'{name}' is of kind {kind.value}; strategies and executors can be halted, "
                    "and nothing was changed",
                    reason="NotHaltable",
                    permanent=True,
                )
        if resume and names and self._rooms.halts.now.everything is not None:
            raise ActionError(
                "all were halted together; `ntpctl resume` without a name clears that, and nothing"
                " was changed",
                reason="AllHalted",
                permanent=True,
            )


def _obeys(status: PluginStatus) -> bool:
    return not status.halt_pending
