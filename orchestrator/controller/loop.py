"""The passes: look, plan, act. Each look is whole; each action belongs to one name.

Fail static: whoever does not answer (runtime, broker, store, lease) makes a condition, never an action.
"""

import asyncio
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from orchestrator.controller.agenda import Agenda
from orchestrator.controller.durations import Durations
from orchestrator.controller.parking import Parking
from orchestrator.controller.picture import BROKER, awaited, changed
from orchestrator.controller.retries import Retries
from orchestrator.controller.rights_keeping import RightsKeeping
from orchestrator.controller.rooms import Rooms
from orchestrator.decide.actions import Action, Halt, Push, Remove, Start, Stop, Update, Wait
from orchestrator.decide.context import Context
from orchestrator.decide.plan import plan
from orchestrator.decide.state import Hashes, Instance, Observed, Phase
from orchestrator.decide.wind_down import wind_down
from orchestrator.errors import ActionError, ConflictError, UnreachableError

LOOK = "look at the runtime"
_DOING = {
    Start: "is being started",
    Stop: "is being stopped",
    Update: "its limits are being changed",
    Push: "is being told what changed",
    Halt: "is being told who is halted",
    Remove: "is being removed",
}
_NO_HASHES = Hashes("", "", "", "", "")

log = structlog.get_logger()


class Loop:
    """`run` until everything was taken down, or cancelled."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._outside = rooms.outside
        self._retries = Retries(rooms.outside.tempo)
        self._finished: set[str] = set()
        self._turn = asyncio.Event()
        self._asked = asyncio.Event()
        """Somebody waits for the next pass."""
        self._began = -math.inf
        """When the last pass was, on the loop's clock."""
        self.agenda = Agenda()
        self._rights = RightsKeeping(rooms, self.agenda, self._retries)
        self.parking = Parking(rooms.outside.tempo)
        self.observed = Observed(instances=None)
        """What the last pass saw, but for the beats: `Picture.with_beats` has them, and newer ones."""
        self.looked = rooms.outside.now()
        """When `observed` was."""
        self.actions: dict[str, Action] = {}
        self.going: dict[str, str] = {}
        """Name -> words; from the moment an action is begun until a look that began after its end."""
        self.postponed: dict[str, str] = {}
        """Name -> why its last action could not be done; it is tried again."""
        self.durations = Durations()
        """Of the passes."""
        self.begun = 0
        self.done = 0
        """Number of the last pass that was begun, and of the last that is done."""
        self.revision = rooms.desk.book.revision
        """Which the last pass that is done went by; a newer one may be committed already."""

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Return when all is down. Actions run as tasks of `tasks`.

        Raises:
            ConflictError: the project's lock was lost; nothing more may be done.
        """
        earliest = 0.0
        while True:
            await self.agenda.wait(self._outside.tempo.relist)
            # The first of a burst of events is looked at soon; then at most a fifth of a processor and
            # half of the runtime's time is spent looking, however many plugins there are. Who waits for
            # an answer waits for less.
            left = earliest - self._clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(left, self._outside.tempo.pause.total_seconds())):
                    await self._asked.wait()
            self._asked.clear()
            if not self._outside.lease.held():
                raise ConflictError("the project's lock was lost; plugins are left as they are")
            before, busy = self._clock(), time.process_time()
            await self._pass(tasks)
            spent, busy = self._clock() - before, time.process_time() - busy
            self.durations.take(spent)
            down = self._rooms.desk.down is not None  # each pass of it is what goes on with it
            rest = 0.0 if down else self._outside.tempo.rest(len(self.going))
            earliest = self._clock() + max(4 * min(spent, busy), spent, rest)
            if down and self.observed.instances == {} and not self.going:
                return

    async def refresh(self, *, within: timedelta = timedelta()) -> None:
        """Return when a pass is done that began after this call, or at most `within` before it.

        An older pass will do only if nothing has happened since.
        """
        if self.is_last(self.done) and self._clock() - self._began < within.total_seconds():
            return
        number = self.begun
        self._asked.set()
        self.agenda.wake()
        while self.done <= number:
            await self.turn()

    def is_last(self, look: int) -> bool:
        """Tell whether that pass was the last one, and nothing has happened since."""
        return look == self.begun == self.done and not self.agenda.woken

    async def turn(self) -> None:
        """Return when the next pass is done."""
        await self._turn.wait()

    def parked(self) -> dict[str, str]:
        return self.parking.parked(self._clock())

    async def _pass(self, tasks: asyncio.TaskGroup) -> None:
        self.begun += 1
        self._began = self._clock()
        number = self.begun
        for name in self._finished:
            self.going.pop(name, None)
        self._finished.clear()
        revision = self._rooms.desk.book.revision
        marked, before = self.agenda.take(), self.observed.instances or {}
        self.observed = await self._rooms.picture.look()
        self.looked = self._outside.now()
        if self.observed.instances is None:
            self.agenda.put_off(self._retries.later(LOOK, self._clock()))
        else:
            self._retries.done(LOOK)
            if marked is not None:
                # Whoever woke us and for whom: what this look finds changed is seen by no other.
                marked |= changed(before, self.observed.instances)
            for action in self._plan(self.observed.instances, marked):
                self._take_up(action, self.observed.instances.get(action.name), tasks)
            instances = self.observed.instances
            desired = self._rooms.desk.desired(self.observed.records)
            self._rights.keep(desired, instances, tasks, ours=bool(self._system(instances)))
        self._outside.bus.attend(closely=bool(self.going) or awaited(self.observed))
        self.observed = replace(self.observed, beats={}, heard={})  # each would be there twice
        self.done, self.revision = number, revision
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    def _plan(self, instances: Mapping[str, Instance], marked: set[str] | None) -> list[Action]:
        """Return the next actions of those who are marked; what was planned for the others stays."""
        if self._rooms.desk.down is not None:
            found = self._wind_down(delete_data=self._rooms.desk.down)
            self.actions = {each.name: each for each in found}
            return found
        desk, records = self._rooms.desk, self.observed.records
        address, going = self._outside.broker_address(), set(self.going)
        if address is None:
            # Without knowing where the bus is, nobody who runs can be compared with what is wanted.
            going |= {n for n, each in instances.items() if each.phase is Phase.RUNNING}
        found = plan(
            desk.desired(records),
            self.observed,
            hashes=desk.hashes(address or ""),
            capabilities=self._outside.runtime.capabilities,
            now=self._outside.now(),
            going=going,
            only=marked,
            context=Context(
                policy=self._outside.policy,
                system=dict.fromkeys(self._system(instances), self._broker_hashes()),
                previous=desk.previous(records, address or ""),
                difference=desk.difference,
                pushable=desk.pushable,
            ),
        )
        kept = {} if marked is None else {n: a for n, a in self.actions.items() if n not in marked}
        self.actions = kept | {each.name: each for each in found}
        return found

    def _wind_down(self, *, delete_data: bool) -> list[Action]:
        entries = self._rooms.desk.book.entries
        return wind_down(
            self.observed,
            kinds={name: entry.now.spec.kind for name, entry in entries.items()},
            system={BROKER},
            delete_data=delete_data,
            going=self.going,
        )

    def _take_up(self, action: Action, instance: Instance | None, tasks: asyncio.TaskGroup) -> None:
        name, now = action.name, self._clock()
        if isinstance(action, Wait):
            if action.until is not None:
                left = (action.until - self._outside.now()).total_seconds()
                self.agenda.remind(name, now + max(0.0, left))
            return
        due = self._retries.due(name, now)
        if due is not None:
            self.agenda.remind(name, due)
            return
        was_parked = name in self.parked()
        if not self.parking.admit(action, now):
            words = self.parked().get(name)
            if words and not was_parked:
                self._rooms.journal.warn(name, "Flapping", words)
            self.agenda.remind(name, self.parking.until(name) or now)
            return
        self.going[name] = _DOING[type(action)]
        tasks.create_task(self._act(action, instance))

    async def _act(self, action: Action, instance: Instance | None) -> None:
        name = action.name
        try:
            await self._rooms.acts.carry_out(action, instance, say=self._say)
        except ActionError as error:
            self._postpone(name, error.reason, str(error))
        except (UnreachableError, ConflictError) as error:
            self._postpone(name, type(error).__name__.removesuffix("Error"), str(error))
        except Exception as error:
            # The edge of one plugin's business: a bug met with it must not stop the others' repair.
            log.exception("controller.bug", plugin=name)
            self._postpone(name, "Bug", f"{type(error).__name__}: {error}")
        else:
            self._retries.done(name)
            self.postponed.pop(name, None)
        self._finished.add(name)
        if name == BROKER:
            self.agenda.mark_all()
        else:
            self.agenda.mark(name)

    def _say(self, name: str, words: str) -> None:
        self.going[name] = words

    def _postpone(self, name: str, reason: str, message: str) -> None:
        self._retries.later(name, self._clock())
        self.postponed[name] = f"{reason}: {message}"
        self._rooms.journal.warn(name, reason, message)

    def _system(self, instances: Iterable[str]) -> frozenset[str]:
        """Return who comes before all plugins: our broker, as long as there is anybody to serve."""
        try:
            if self._outside.broker.launch() is None:
                return frozenset()
        except ActionError:
            pass  # ours, but not ready: its start will say why
        served = set(instances) - {BROKER}
        return frozenset({BROKER}) if self._rooms.desk.book.entries or served else frozenset()

    def _broker_hashes(self) -> Hashes:
        try:
            launch = self._outside.broker.launch()
        except ActionError:
            return _NO_HASHES
        return _NO_HASHES if launch is None else launch.hashes

    def _clock(self) -> float:
        return asyncio.get_running_loop().time()
