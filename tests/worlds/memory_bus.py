"""What stands around a machine in memory: its bus, its broker, its catalog of plugins."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from ntp.contract.beat import Beat, Flow, Halted, LatestSignal, Stage
from ntp.contract.control import Control
from ntp.contract.messages import SignalType
from ntp.contract.names import Kind
from ntp.contract.problem import Problem
from orchestrator.decide.report import DeadLetter
from orchestrator.decide.state import Hashes, Instance
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.launch import Environment, Launch
from orchestrator.spec.model import Artifact, Resources, Rights, Unusable, Wanted
from tests.worlds.memory import Machine, utc


class MemoryBus:
    """Hears whoever runs and is not silent, as long as the broker runs."""

    def __init__(self, machine: Machine, *, broker: str | None = "broker") -> None:
        self._machine = machine
        self._broker = broker
        self.deaf = False
        """It hears nobody and nobody hears it, and the broker runs on."""
        self._since: datetime | None = None
        self._heard: dict[str, tuple[Beat, datetime]] = {}
        self.closely = True
        self.dead: dict[str, int] = {}
        """Name -> how many dead letters it says that it has sent in this life."""

    @property
    def listening_since(self) -> datetime | None:
        there = self._broker is None or self._broker in self._machine.running()
        there = there and not self.deaf
        if not there:
            self._since = None
        elif self._since is None:
            self._since = utc()
        return self._since

    def beats(self) -> Mapping[str, tuple[Beat, datetime]]:
        machine = self._machine
        if self.listening_since is not None:
            for name in machine.running() - machine.silent - {self._broker}:
                self._heard[name] = (self._beat(machine.instances[name]), utc())
        return dict(self._heard)

    async def changes(self) -> AsyncIterator[str]:
        while True:
            changed = self._machine.changed
            await changed.wait()
            for name in self._machine.running():
                yield name

    def attend(self, *, closely: bool) -> None:
        self.closely = closely

    async def control(self, instance: str, payload: Mapping[str, object]) -> None:
        await asyncio.sleep(0)
        if self.listening_since is None:
            raise UnreachableError(f"the broker is away; {instance} was not told")
        self._machine.push(instance, msgspec.convert(payload, Control))

    def _beat(self, instance: Instance) -> Beat:
        name, began = instance.name, instance.started or utc()
        signal = LatestSignal("BTCUSDT", SignalType.BUY, 64012.5, 0.8, None, began, began)
        stage = Stage.EXHAUSTED if name in self._machine.exhausted else Stage.READY
        return Beat(
            instance=name,
            kind=self._machine.launches[name].kind,
            incarnation=instance.id,
            generation=instance.generation,
            number=1,
            at=utc(),
            started=began,
            stage=Stage.STARTING if name in self._machine.unready else stage,
            dead=self.dead.get(name, 0),
            pushed=self._machine.pushed.get(instance.id),
            halted=self._halted(name),
            sent=[Flow(peer="", channel="data", symbol="BTCUSDT", count=3)],
            signal=signal if self._machine.launches[name].kind == Kind.STRATEGY else None,
        )

    def _halted(self, name: str) -> Halted | None:
        if self._machine.launches[name].kind != Kind.EXECUTOR:
            return None
        number = self._machine.halt_of(name).number
        return Halted(number, self._machine.refuses_halts.get(name, ""))


class MemoryLetters:
    """By receiver; what was sent once more is in `again`."""

    def __init__(self) -> None:
        self.kept: dict[str, list[DeadLetter]] = {}
        self.again: list[str] = []

    def put(self, receiver: str, sender: str, payload: bytes = b"{}", **told: Any) -> str:
        letters = self.kept.setdefault(receiver, [])
        number = letters[-1].number + 1 if letters else 1
        name = f"{receiver}/{number}"
        known = {"reason": "Unreadable", "message": "no JSON", "tries": 1, **told}
        letter = DeadLetter(name, number, receiver, sender, utc(), len(payload), payload, **known)
        letters.append(letter)
        return name

    async def counts(self) -> Mapping[str, int]:
        return {name: len(each) for name, each in self.kept.items() if each}

    async def count(self, receiver: str) -> int:
        return len(self.kept.get(receiver, ()))

    async def all(self, receiver: str) -> list[DeadLetter]:
        return list(self.kept.get(receiver, ()))

    async def one(self, receiver: str, number: int) -> DeadLetter | None:
        return next((each for each in await self.all(receiver) if each.number == number), None)

    async def send_again(self, letter: DeadLetter) -> None:
        self.again.append(letter.id)

    async def drop(self, receiver: str, number: int) -> bool:
        before = await self.all(receiver)
        self.kept[receiver] = [each for each in before if each.number != number]
        return len(self.kept[receiver]) < len(before)


class MemoryBroker:
    def __init__(self, machine: Machine, *, external: bool = False) -> None:
        self._machine = machine
        self._external = external
        self.port = 4222
        self.ensured: list[Mapping[str, Rights]] = []
        self.problems: tuple[str, ...] = ()
        self.letters = MemoryLetters()
        self.taps: list[Rights] = []
        self.rotated: list[str] = []
        self.away = False
        self.full: frozenset[str] = frozenset()
        """Of whom a stream is refused, and so whoever reads one of theirs: as by a store that is full."""
        self.stays: ActionError | None = None
        """What cannot be removed."""
        self.bug: Exception | None = None
        self.tries = 0

    def launch(self) -> Launch | None:
        if self._external:
            return None
        return Launch(
            project="",
            name="broker",
            kind="broker",
            generation=1,
            attempt=1,
            epoch=0,
            hashes=Hashes("broker", "", "", "", ""),
            spec=b"{}",
            argv=("nats-server",),
            environment=None,
            code=None,
            files={},
            resources=Resources(memory=0, cpu=0, pids=0, tmp=0),
        )

    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def ensure(
        self, rights: Mapping[str, Rights], granted: Callable[[str], None] = lambda _: None
    ) -> Mapping[str, ActionError]:
        self.tries += 1
        await asyncio.sleep(0)
        if self.bug is not None:
            raise self.bug
        if self.away or (not self._external and "broker" not in self._machine.running()):
            raise UnreachableError("the broker does not answer")
        self.ensured.append(dict(rights))
        lost = {each for name in self.full & rights.keys() for each in rights[name].streams}
        refused = {
            name: ActionError("there is no room for a stream", reason="BrokerStreams")
            for name, item in rights.items()
            if not lost.isdisjoint((*item.streams, *(each.stream for each in item.consumers)))
        }
        for name in rights.keys() - refused.keys():
            granted(name)
        return refused if self.stays is None else {**refused, "": self.stays}

    def credentials(self, instance: str) -> bytes:
        if not self.ensured or instance not in self.ensured[-1]:
            raise ActionError(f"{instance} has no rights yet", reason="NoRights")
        times = self.rotated.count(instance)
        return f"creds of {instance}{f' anew {times}' if times else ''}".encode()

    async def rotate(self, rights: Rights) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise UnreachableError("the broker does not answer")
        self.rotated.append(rights.instance)

    @asynccontextmanager
    async def tapped(self, rights: Rights, lifetime: timedelta) -> AsyncIterator[bytes]:
        await asyncio.sleep(0)
        if rights.imports[0].account not in self.ensured[-1]:
            raise ActionError("nobody has that account", reason="BrokerClaims")
        self.taps.append(rights)
        try:
            yield f"creds of {rights.instance} for {lifetime}".encode()
        finally:
            self.taps.remove(rights)

    async def check(self) -> tuple[str, ...]:
        return self.problems


class MemoryCatalog:
    """Knows every plugin but those in `unknown`; its environments are empty folders that are not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.unknown: set[str] = set()
        self.unusable: dict[str, str] = {}
        """Plugin -> what is wrong with its file."""
        self.trading: dict[str, dict[str, object]] = {}
        self.refuse: dict[str, ActionError] = {}
        self.digests: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.slow: dict[str, asyncio.Event] = {}
        self.altered: set[str] = set()
        """Plugins whose folders are not as they were made, until they are prepared again."""
        self.prepared: list[str] = []
        """Plugins, once for each preparation."""

    async def resolve(self, wanted):
        await asyncio.sleep(0)
        found, problems = {}, []
        for each in wanted:
            if each.plugin in self.unknown:
                place = each.place
                problems.append(
                    Problem(
                        place.file,
                        place.line,
                        place.column,
                        f"no plugin '{each.plugin}' was found",
                        "put it into PLUGIN_DIR",
                        each.name,
                    )
                )
                continue
            if each.plugin in self.unusable:
                found[each.name] = self._unusable(each)
                continue
            digest = each.pinned or self.digests.get(each.plugin, f"sha256:{each.plugin}")
            found[each.name] = Artifact(
                plugin=each.plugin,
                kind=each.kind,
                version="1.0.0",
                digest=digest,
                entrypoint=f"{each.plugin}:Plugin",
                config_schema={"type": "object"},
                egress=(),
                secrets=(),
                requirements=(),
                code=self._folder / each.plugin,
                origin="memory",
                trading=self.trading.get(each.plugin, {}),
                image=self._image(each),
            )
        return found, problems

    def _image(self, wanted: Wanted) -> str:
        """What a tag means: what it did at the last apply, else what `tags` says."""
        if wanted.image is None:
            return ""
        now = f"{wanted.image}@{self.tags.get(wanted.image, 'sha256:first')}"
        return wanted.applied or now

    def _unusable(self, wanted: Wanted) -> Artifact:
        message, place = self.unusable[wanted.plugin], wanted.place
        problem = Problem(place.file, place.line, place.column, message, "mend it", wanted.name)
        return Artifact(
            plugin=wanted.plugin,
            kind=wanted.kind,
            version="",
            digest=f"sha256:unusable {wanted.plugin} {message}",
            entrypoint="",
            config_schema={},
            egress=(),
            secrets=(),
            requirements=(),
            code=self._folder / wanted.plugin,
            origin="memory",
            unusable=Unusable("ImportFailed", (problem,)),
        )

    async def image_of(self, artifact: Artifact, *, ran: bool = False) -> str | None:
        """It has none."""

    async def prepare(self, artifact: Artifact) -> Environment:
        self.prepared.append(artifact.plugin)
        await asyncio.sleep(0)
        if artifact.plugin in self.slow:
            await self.slow[artifact.plugin].wait()
        if artifact.plugin in self.refuse:
            raise self.refuse[artifact.plugin]
        self.altered.discard(artifact.plugin)
        return Environment(
            Path("python"),
            (),
            "environment",
            unaltered=lambda: artifact.plugin not in self.altered,
        )
