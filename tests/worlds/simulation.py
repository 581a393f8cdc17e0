"""A world of plugins without processes: what `plan` names is carried out, time passes, lives end."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from ntp.contract.beat import Beat, Pushed, Stage
from orchestrator.decide.actions import Action, Push, Remove, Start, Stop, Update
from orchestrator.decide.context import Context, Previous
from orchestrator.decide.memory import (
    begin,
    forgive,
    limited,
    remember,
    renew,
    running_generation,
)
from orchestrator.decide.plan import plan
from orchestrator.decide.policy import Policy
from orchestrator.decide.push import can_be_pushed, sending
from orchestrator.decide.state import Exit, Hashes, Instance, Observed, Phase, Record
from orchestrator.ports import Capabilities
from orchestrator.spec.model import Desired, PluginSpec
from tests.worlds.specs import NOON, hashes_of, layers_of

CAN = Capabilities(update_in_place=True, restarts_by_itself=False)


@dataclass
class Simulation:
    """Records are what a store would keep; everything else a controller may forget at any time."""

    desired: Desired
    now: datetime = NOON
    can: Capabilities = CAN
    policy: Policy = field(default_factory=Policy)
    instances: dict[str, Instance] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    heard: dict[str, datetime] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    """These run, but no beat of theirs is heard."""
    unready: set[str] = field(default_factory=set)
    exhausted: set[str] = field(default_factory=set)
    lossy: set[str] = field(default_factory=set)
    """What is pushed to these gets lost; or the controller dies before it is sent."""
    refusing: set[str] = field(default_factory=set)
    """These take no push, and nobody knows what they run with after one."""
    runs: dict[str, str] = field(default_factory=dict)
    """Id of a life -> hash of the config that it really has."""
    told: dict[str, Pushed] = field(default_factory=dict)
    """Id of a life -> what it answers to the newest push that it got."""
    said: dict[str, Pushed | None] = field(default_factory=dict)
    """Name -> the same, as its last beat had it."""
    entries: dict[tuple[str, int], PluginSpec] = field(default_factory=dict)
    """(name, generation)."""
    system: dict[str, Hashes] = field(default_factory=dict)
    previous: dict[str, Previous] = field(default_factory=dict)
    listening_since: datetime | None = NOON - timedelta(hours=1)
    lives: int = 0
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.desired.plugins:
            self.records.setdefault(name, renew(Record(), self.now))
        self._keep_entries()

    def _keep_entries(self) -> None:
        for name, each in self.desired.plugins.items():
            self.entries[name, self.records[name].generation] = each

    def apply(self, wanted: Desired) -> None:
        """As the controller does: an entry with another hash is a new generation."""
        before, after = hashes_of(self.desired), hashes_of(wanted)
        for name in wanted.plugins:
            if before.get(name) == after[name]:
                continue
            record = self.records.get(name, Record())
            if 0 < record.healthy_generation == record.generation and name in before:
                self.previous[name] = Previous(record.generation, before[name])
            self.records[name] = renew(record, self.now)
        self.desired = wanted
        self._keep_entries()

    def pushable(self, name: str, generation: int) -> bool:
        old = self.entries[name, generation]
        return can_be_pushed(layers_of(old), layers_of(self.desired.plugins[name]))

    def observed(self, *, blind: bool = False) -> Observed:
        beats = {
            name: Beat(
                instance=name,
                kind="strategy",
                incarnation=self.instances[name].id,
                generation=self.instances[name].generation,
                number=1,
                at=at,
                started=at,
                stage=self._stage(name),
                pushed=self.said.get(name),
            )
            for name, at in self.heard.items()
            if name in self.instances
        }
        return Observed(
            instances=None if blind else dict(self.instances),
            beats=beats,
            heard=dict(self.heard),
            records=dict(self.records),
            listening_since=self.listening_since,
            hearing_since=self.listening_since if self._hears() else None,
        )

    def _stage(self, name: str) -> Stage:
        if name in self.unready:
            return Stage.STARTING
        return Stage.EXHAUSTED if name in self.exhausted else Stage.READY

    def successor(self) -> None:
        """Another controller takes over: it knows what the store kept of the last one, and no beat."""
        kept = msgspec.json.encode(self.records)
        self.records = msgspec.json.decode(kept, type=dict[str, Record])
        self.heard.clear()
        self.listening_since = self.now

    def _hears(self) -> bool:
        newest = max(self.heard.values(), default=None)
        return newest is not None and self.now - newest <= timedelta(seconds=3)

    def plan(self, *, blind: bool = False, only: Collection[str] | None = None) -> list[Action]:
        return plan(
            self.desired,
            self.observed(blind=blind),
            hashes=hashes_of(self.desired),
            capabilities=self.can,
            now=self.now,
            only=only,
            context=Context(
                policy=self.policy,
                system=self.system,
                previous=self.previous,
                pushable=self.pushable,
            ),
        )

    def remember(self) -> None:
        observed = self.observed()
        for name in [*self.desired.plugins, *self.system]:
            spec = self.desired.plugins.get(name)
            self.records[name] = remember(
                name,
                observed,
                now=self.now,
                policy=self.policy,
                timeout=spec.timeout if spec else timedelta(0),
                beats=spec is not None,
                fallback=name in self.previous,
            )

    def carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Start():
                    self._start(action)
                case Stop():
                    self.stopped.append(action.name)
                    self.end(action.name, signal=15, stop=action)
                case Remove():
                    del self.instances[action.name]
                    self.records.pop(action.name, None)
                case Update():
                    self._limit(action)
                case Push():
                    self._push(action)

    def _limit(self, action: Update) -> None:
        record = self.records[action.name]
        number, wanted = running_generation(record), hashes_of(self.desired)[action.name]
        if number != record.generation:
            wanted = self.previous[action.name].hashes
        self.records[action.name] = limited(
            record, self.instances[action.name], generation=number, wanted=wanted, now=self.now
        )

    def _push(self, action: Push) -> None:
        life, wanted = self.instances[action.name], hashes_of(self.desired)[action.name]
        assert life.phase is Phase.RUNNING
        self.records[action.name] = sending(
            self.records[action.name],
            life,
            generation=action.generation,
            wanted=wanted,
            now=self.now,
        )
        newest = self.told[life.id].generation if life.id in self.told else life.generation
        if action.name in self.lossy or action.generation <= newest:
            return
        refuses = action.name in self.refusing
        self.told[life.id] = Pushed(action.generation, "subscribe() said no" if refuses else "")
        self.runs[life.id] = "torn" if refuses else wanted.config

    def _start(self, action: Start) -> None:
        running = self.instances.get(action.name)
        assert running is None or running.phase in (Phase.EXITED, Phase.CREATED), "a double"
        record = self.records.get(action.name, Record())
        by_itself = running is not None and record.stopping != running.id
        self.records[action.name] = begin(
            record, attempt=action.attempt, by_itself=by_itself, now=self.now
        )
        self.lives += 1
        self.started.append(action.name)
        digests = hashes_of(self.desired) | self.system
        previous = self.previous.get(action.name)
        fell_back = previous is not None and previous.generation == action.generation
        hashes = previous.hashes if previous and fell_back else digests[action.name]
        self.runs[f"life-{self.lives}"] = hashes.config
        self.instances[action.name] = Instance(
            name=action.name,
            generation=action.generation,
            attempt=action.attempt,
            hashes=hashes,
            phase=Phase.RUNNING,
            id=f"life-{self.lives}",
            created=self.now,
            started=self.now,
        )

    def end(
        self,
        name: str,
        *,
        code: int | None = None,
        signal: int | None = None,
        oom: bool = False,
        reason: str = "",
        permanent: bool = False,
        stop: Stop | None = None,
    ) -> None:
        """The life of `name` ends: by itself, or because of `stop`."""
        instance = self.instances[name]
        if stop is not None:
            self.records[name] = replace(
                self.records.get(name, Record()), stopping=instance.id, stop_reason=stop.reason
            )
        if instance.phase is Phase.EXITED:
            return
        end = Exit(self.now, code=code, signal=signal, oom=oom, reason=reason, permanent=permanent)
        self.instances[name] = replace(instance, phase=Phase.EXITED, exit=end)
        self.heard.pop(name, None)

    def restart(self, name: str) -> None:
        instance = self.instances.get(name)
        life = instance.id if instance else ""
        self.records[name] = replace(forgive(self.records[name]), replace=life)

    def stop_by_hand(self, name: str) -> None:
        self.records[name] = replace(self.records[name], stopped_by_hand=True)

    def pass_time(self, length: timedelta) -> None:
        """Everybody who runs and is not silent is heard at the end of it."""
        self.now += length
        for name, instance in self.instances.items():
            audible = name in self.desired.plugins and name not in self.silent
            if instance.phase is Phase.RUNNING and audible and self.listening_since is not None:
                self.heard[name] = self.now
                self.said[name] = self.told.get(instance.id)

    def step(self, *, prefix: int | None = None, length: timedelta = timedelta(seconds=1)) -> None:
        self.remember()
        actions = self.plan()
        self.carry_out(actions[:prefix])
        self.pass_time(length)

    def settle(self, *, within: timedelta = timedelta(hours=6)) -> None:
        """Let time pass until nothing is done any more; AssertionError if that never comes."""
        ends = self.now + within
        quiet = 0
        while quiet < 3:
            assert self.now < ends, f"never settled: {self.plan()}"
            doing = [each for each in self.plan() if not _waits(each)]
            before = self.now
            self.step()
            waits = [each.until for each in self.plan() if _waits(each) and each.until]
            if not doing and waits:
                self.pass_time(max(min(waits) - before, timedelta(seconds=1)))
            quiet = 0 if doing or waits else quiet + 1


def _waits(action: Action) -> bool:
    return type(action).__name__ == "Wait"
