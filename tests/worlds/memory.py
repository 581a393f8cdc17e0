"""A machine in memory: a Runtime, Broker, Bus and Catalog that keep their promises, and can fail.

Not recordings of calls: a start makes a life, a life beats, a crash ends it. It outlives controllers.
"""

# ruff: noqa: ARG002 - an implementation of a port takes what the port gives

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec

from ntp.contract.beat import Pushed
from ntp.contract.control import Control, Halt, Limits
from ntp.contract.launch import LAUNCH_FILE, LaunchFile
from orchestrator.decide.state import Exit, Instance, Isolation, Phase, Usage
from orchestrator.errors import ActionError, ConflictError, Problem, UnreachableError
from orchestrator.launch import Launch
from orchestrator.ports import Capabilities, LogLine
from orchestrator.spec.model import Resources


def utc() -> datetime:
    return datetime.now(UTC)


@dataclass
class Machine:
    """What runs, and who is to fail how. Every fault is a plain value that a test sets."""

    instances: dict[str, Instance] = field(default_factory=dict)
    launches: dict[str, Launch] = field(default_factory=dict)
    storage: set[str] = field(default_factory=set)
    lives: int = 0
    history: list[tuple[str, str]] = field(default_factory=list)
    """(start | stop | remove | update | push, name), in order."""
    doubles: int = 0
    """Starts of a name while a life of it ran and was not the same: must stay 0."""
    away: bool = False
    """Nothing about the runtime answers."""
    hangs: bool = False
    """The runtime takes calls and never returns."""
    refuse: dict[str, ActionError] = field(default_factory=dict)
    """Starts of these names are refused."""
    crash_at_start: dict[str, Exit] = field(default_factory=dict)
    crash_once: set[str] = field(default_factory=set)
    """Of these the first life alone."""
    unready: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    exhausted: set[str] = field(default_factory=set)
    lossy: set[str] = field(default_factory=set)
    """What is said to these on the bus is lost."""
    takes_nothing: dict[str, str] = field(default_factory=dict)
    """Name -> why it refuses each push."""
    pushed: dict[str, Pushed] = field(default_factory=dict)
    """Id of a life -> its answer to the newest push."""
    symbols: dict[str, list[str]] = field(default_factory=dict)
    """Id of a life -> what it was last given by a push."""
    limits: dict[str, Limits] = field(default_factory=dict)
    halted: dict[str, Halt] = field(default_factory=dict)
    """Id of a life -> the halt that it was told last."""
    refuses_halts: dict[str, str] = field(default_factory=dict)
    """Name -> why it does not obey one."""
    slow_start_s: float = 0.0
    unkillable: set[str] = field(default_factory=set)
    stop_tries: int = 0
    closed: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def running(self) -> set[str]:
        return {n for n, each in self.instances.items() if each.phase is Phase.RUNNING}

    def touch(self) -> None:
        event, self.changed = self.changed, asyncio.Event()
        event.set()

    def end(self, name: str, **how: object) -> None:
        """The life of `name` ends."""
        instance = self.instances[name]
        end = Exit(at=utc(), **how)  # type: ignore[arg-type]  # a test's own words
        self.instances[name] = replace(instance, phase=Phase.EXITED, exit=end, pid=None)
        self.touch()

    def push(self, name: str, told: Control) -> None:
        """A control message arrives, as a runner takes it."""
        instance = self.instances.get(name)
        if instance is None or instance.phase is not Phase.RUNNING or name in self.lossy:
            return
        if told.halt is not None:
            self.halted[instance.id] = told.halt
            self.history.append(("halt", name))
            self.touch()
        newest = self.pushed.get(instance.id, Pushed(instance.generation)).generation
        if (told.symbols is None and told.limits is None) or told.generation <= newest:
            return
        self.pushed[instance.id] = Pushed(told.generation, self.takes_nothing.get(name, ""))
        if told.symbols is not None:
            self.symbols[instance.id] = told.symbols
        if told.limits is not None:
            self.limits[instance.id] = told.limits
        self.history.append(("push", name))
        self.touch()

    def halt_of(self, name: str) -> Halt:
        """Return the halt that its life obeys."""
        return self.halted.get(self.instances[name].id) or self.file(name).halt

    def file(self, name: str) -> LaunchFile:
        return msgspec.json.decode(self.launches[name].files[LAUNCH_FILE], type=LaunchFile)


class MemoryRuntime:
    def __init__(self, machine: Machine, *, name: str = "memory", update: bool = True) -> None:
        self.name = name
        self.machine = machine
        self.capabilities = Capabilities(update_in_place=update, restarts_by_itself=False)

    async def observe(self) -> Mapping[str, Instance]:
        await self._answer()
        return dict(self.machine.instances)

    async def start(self, launch: Launch) -> None:
        await self._answer()
        machine, name = self.machine, launch.name
        await asyncio.sleep(machine.slow_start_s)
        there = machine.instances.get(name)
        if there is not None and there.phase in (Phase.RUNNING, Phase.STOPPING):
            if (there.generation, there.attempt) == (launch.generation, launch.attempt):
                return
            machine.doubles += 1
            raise ConflictError(f"{name} runs already")
        if name in machine.refuse:
            raise machine.refuse[name]
        machine.lives += 1
        machine.history.append(("start", name))
        machine.launches[name] = launch
        if launch.storage:
            machine.storage.add(name)
        machine.instances[name] = Instance(
            name=name,
            generation=launch.generation,
            attempt=launch.attempt,
            hashes=launch.hashes,
            phase=Phase.RUNNING,
            id=f"life-{machine.lives}",
            pid=machine.lives,
            created=utc(),
            started=utc(),
            isolation=Isolation(3 if launch.sandbox else 0, ("memory",), ()),
            usage=Usage(memory=1 << 20, memory_limit=launch.resources.memory),
        )
        if name in machine.crash_at_start:
            machine.instances[name] = replace(
                machine.instances[name],
                phase=Phase.EXITED,
                exit=replace(machine.crash_at_start[name], at=utc()),
            )
            if name in machine.crash_once:
                del machine.crash_at_start[name]
        machine.touch()

    async def stop(self, name: str, *, grace: timedelta, cause: str) -> None:
        await self._answer()
        there = self.machine.instances.get(name)
        if there is None or there.phase is Phase.EXITED:
            return
        if name in self.machine.unkillable:
            self.machine.stop_tries += 1
            raise ActionError(f"{name} cannot be killed", reason="LeftoverAlive")
        self.machine.history.append(("stop", name))
        self.machine.end(name, signal=15)

    async def remove(self, name: str, *, delete_data: bool) -> None:
        await self._answer()
        there = self.machine.instances.get(name)
        if there is not None and there.phase is not Phase.EXITED:
            raise ActionError(f"{name} runs: stop it first", reason="StillRunning")
        if self.machine.instances.pop(name, None) is not None:
            self.machine.history.append(("remove", name))
        if delete_data:
            self.machine.storage.discard(name)
        self.machine.touch()

    async def update(self, name: str, resources: Resources) -> None:
        await self._answer()
        there = self.machine.instances[name]
        if resources.memory < there.usage.memory:
            raise ActionError("the limit is below what is used", reason="LimitRefused")
        self.machine.history.append(("update", name))
        usage = replace(there.usage, memory_limit=resources.memory)
        self.machine.instances[name] = replace(there, usage=usage)

    async def logs(self, name: str, *, follow: bool, tail: int) -> AsyncIterator[LogLine]:
        for number in range(tail):
            yield LogLine(utc(), "stdout", f"{name} says {number}")
        while follow:
            await self.machine.changed.wait()
            yield LogLine(utc(), "ntp", "something changed")

    async def events(self) -> AsyncIterator[None]:
        while True:
            changed = self.machine.changed
            await self._answer()
            await changed.wait()
            yield None

    def no_own_network(self) -> Problem | None:
        return None

    async def isolation(self) -> Isolation:
        return Isolation(3, ("memory",), ())

    async def close(self, *, delete_data: bool) -> None:
        self.machine.closed = True

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.machine.away:
            raise UnreachableError("the machine is away")
        if self.machine.hangs:
            await asyncio.Event().wait()


async def eventually(condition: Callable[[], object], *, within_s: float = 30.0) -> None:
    """Return when `condition()` is true; AssertionError shows its last value."""
    ends = asyncio.get_running_loop().time() + within_s
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < ends, f"never came: {value!r}"
        await asyncio.sleep(0.005)
