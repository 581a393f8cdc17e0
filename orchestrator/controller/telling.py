"""Says how things are, once or as they change."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta

from orchestrator.controller.loop import Loop
from orchestrator.controller.naming import insist
from orchestrator.controller.picture import BROKER
from orchestrator.controller.rates import Rates
from orchestrator.controller.rooms import Rooms
from orchestrator.decide.memory import beat_of, refusal
from orchestrator.decide.report import (
    Capturing,
    FlowTotals,
    Outcome,
    PluginStatus,
    Progress,
    ProjectStatus,
    Waiting,
)
from orchestrator.decide.state import Observed, Phase
from orchestrator.decide.status import Seen, statuses

QUIET_S = 1.0
"""Progress is looked for at least this often: a beat may have come without a pass."""


class Telling:
    def __init__(self, rooms: Rooms, loop: Loop) -> None:
        self._rooms = rooms
        self._loop = loop
        self._rates = Rates()
        self._told: Mapping[str, PluginStatus] = {}

    def statuses(self) -> Sequence[PluginStatus]:
        """Return the status of every plugin that is wanted, as of the last look and the newest beats."""
        now = self._rooms.outside.now()
        observed = self._rooms.picture.with_beats(self._loop.observed)
        flows, cpu = self._rate(observed)
        letters = self._rooms.letters
        found = statuses(
            self._rooms.desk.desired(observed.records),
            observed,
            list(self._loop.actions.values()),
            now=now,
            seen=Seen(
                going=self._loop.going,
                parked=self._loop.parked(),
                postponed=self._loop.postponed,
                flows=flows,
                cpu=cpu,
                dead=letters.counts if letters.counted else None,
                before=self._told,
            ),
        )
        self._told = {each.name: each for each in found}
        return found

    def sample(self) -> None:
        observed = self._rooms.picture.with_beats(self._loop.observed)
        self._rate(observed)

    def _rate(self, observed: Observed) -> tuple[dict[str, FlowTotals], dict[str, float]]:
        beats = {n: beat for n in observed.beats if (beat := beat_of(n, observed)) is not None}
        cpu = self._rates.cpu(observed.instances or {}, self._loop.looked)
        return self._rates.flows(beats), cpu

    async def refreshed(self, *, within: timedelta = timedelta()) -> None:
        """Return when there was a look that began after now, or at most `within` before; or time is up."""
        fresh = self._rooms.outside.tempo.fresh
        try:
            async with asyncio.timeout(fresh.total_seconds()):
                await self._loop.refresh(within=within)
        except TimeoutError:
            pass

    async def project(self, name: str | None) -> ProjectStatus:
        """Return the status of one plugin, or of all. ActionError (NoSuchPlugin) names those there are."""
        self.check(name)
        await self.refreshed()
        return self.glance(name)

    def glance(self, name: str | None = None) -> ProjectStatus:
        """Return the status as of the last look, whenever that was."""
        return ProjectStatus(
            project=self._rooms.outside.project,
            revision=self._loop.revision,
            at=self._rooms.outside.now(),
            conditions=self._rooms.journal.conditions(),
            plugins=[each for each in self.statuses() if name is None or each.name == name],
        )

    async def capturing(self, names: Collection[str]) -> Capturing:
        """Say whether the bus has what it needs to capture for them, once it has or time is up."""
        patience = self._rooms.outside.tempo.capture.total_seconds()
        ends = asyncio.get_running_loop().time() + patience
        await self._fresh(ends)
        rights = self._rooms.rights
        while not (done := rights.compared or not self._rooms.desk.book.entries):
            if asyncio.get_running_loop().time() >= ends:
                break
            await self._turn(ends)
        why = "" if done else "the broker does not answer; what comes is not captured yet"
        for name in sorted(rights.refused.keys() & set(names)) if done else ():
            done, why = False, str(rights.refused[name])
        return Capturing(sorted(names), done, why)

    def check(self, name: str | None) -> None:
        insist(name, self._rooms.desk.book.entries)

    async def until(
        self,
        names: Collection[str] | None,
        reached: Callable[[PluginStatus], bool],
        *,
        counted: Callable[[PluginStatus], bool] | None = None,
        deadline: timedelta,
        look: bool = True,
    ) -> AsyncGenerator[Progress | Outcome, None]:
        """Yield each change of a plugin's state; the last item says whether all have `reached` it.

        Ends before the deadline when those who have not cannot without a person. `names` None: all.
        `counted`: whom a `Progress` counts; default: those that have `reached` it. `look` False: the
        last look will do, for nothing new was asked for; where all have reached it, there is nothing to tell.
        """
        clock = asyncio.get_running_loop().time
        ends = clock() + deadline.total_seconds()
        told: dict[str, tuple[str, str]] = {}
        if look:
            await self._fresh(ends)
        while True:
            found = [each for each in self.statuses() if names is None or each.name in names]
            missing = [each for each in found if not reached(each)]
            for each in found if look or missing or told else ():
                if told.get(each.name) != (each.state, each.message):
                    told[each.name] = (each.state, each.message)
                    done = sum(map(counted or reached, found))
                    yield Progress(done, len(found), each.name, each.state, each.message)
            seen = self._loop.observed.instances is not None
            if seen and all(is_stalled(each) for each in missing):
                break
            if clock() >= ends:
                break
            await self._turn(min(ends, clock() + QUIET_S))
        yield Outcome(
            revision=self._rooms.desk.book.revision,
            ready=seen and not missing,
            plugins=found,
            waiting=[
                *(self._without() if missing else ()),
                *(Waiting(each.name, each.state, each.message) for each in missing),
            ],
        )

    def _without(self) -> Iterator[Waiting]:
        """Yield what the broker waits for, where it could not be had: it is whom the others wait for."""
        instance = (self._loop.observed.instances or {}).get(BROKER)
        if instance is not None and instance.phase is Phase.RUNNING:
            return  # what could not be done with it, such as other limits, keeps nobody waiting
        record = self._rooms.memories.of(BROKER)
        words = self._loop.postponed.get(BROKER) or (refusal(record) if record.refusal else "")
        if words:
            yield Waiting(BROKER, "Starting", words)

    async def _fresh(self, ends: float) -> None:
        """Wait for a look that began after now: the last one knows nothing of what was just asked for."""
        try:
            async with asyncio.timeout_at(ends):
                await self._loop.refresh()
        except TimeoutError:
            pass

    async def _turn(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._loop.turn()
        except TimeoutError:
            pass


def is_ready(status: PluginStatus) -> bool:
    return status.ready


def is_settled(status: PluginStatus) -> bool:
    """Ready, or stopped by hand: what a person did on purpose is no failure of an apply."""
    return is_ready(status) or is_stopped(status)


def is_stopped(status: PluginStatus) -> bool:
    return status.state == "Stopped"


def is_stalled(status: PluginStatus) -> bool:
    """Whether nothing will change without a person."""
    return is_stopped(status) or any(
        each.type == "Stalled" and each.status for each in status.conditions
    )
