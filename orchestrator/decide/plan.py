"""Name the next actions. At most one for each plugin; then the world is looked at again.

Any prefix of what is returned may be carried out, in any order, and planning again is right: that is
what makes a crash at any point harmless. Blind (`observed.instances` is None) means no action.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ntp.contract.names import Channel, Kind
from orchestrator.decide.actions import Action, Push, Remove, Start, Stop, StopReason, Update, Wait
from orchestrator.decide.causes import ending, fell_back, why_absent, why_again, why_changed
from orchestrator.decide.context import Capabilities, Context
from orchestrator.decide.earlier import of_others
from orchestrator.decide.halting import tell_halt
from orchestrator.decide.hold import held_for
from orchestrator.decide.layers import differing
from orchestrator.decide.memory import (
    beat_of,
    is_ready,
    labelled,
    refusal,
    remember,
    running_generation,
)
from orchestrator.decide.push import Way, course, runs, tell
from orchestrator.decide.silence import unresponsive
from orchestrator.decide.state import Hashes, Instance, Observed, Phase, Record
from orchestrator.spec.model import Desired
from orchestrator.spec.wiring import edges


def plan(
    desired: Desired,
    observed: Observed,
    *,
    hashes: Mapping[str, Hashes],
    capabilities: Capabilities,
    now: datetime,
    going: Collection[str] = (),
    only: Collection[str] | None = None,
    context: Context | None = None,
) -> list[Action]:
    """Return the next actions, sorted by name, system instances first.

    Args:
        desired: the applied revision; only its names, kinds, inputs and timeouts are read.
        observed: one picture of the world.
        hashes: of every desired plugin, as it is wanted.
        capabilities: of the runtime.
        now: aware UTC.
        going: names with an action still under way; nothing is planned for them.
        only: names to plan for; None: all.
        context: policy, system instances, words.
    """
    if observed.instances is None:
        return []
    planner = _Planner(
        desired=desired,
        observed=observed,
        instances=observed.instances,
        hashes=hashes,
        capabilities=capabilities,
        now=now,
        going=frozenset(going),
        only=None if only is None else frozenset(only),
        context=context or Context(),
    )
    return list(planner.actions())


@dataclass(slots=True)
class _Planner:
    desired: Desired
    observed: Observed
    instances: Mapping[str, Instance]
    hashes: Mapping[str, Hashes]
    capabilities: Capabilities
    now: datetime
    going: frozenset[str]
    only: frozenset[str] | None
    context: Context
    starts: int = 0
    silent: Mapping[str, str] = field(default_factory=dict)
    hearers: Mapping[str, Collection[str]] | None = None

    def actions(self) -> Iterator[Action]:
        self.silent = unresponsive(
            self.desired,
            self.observed,
            now=self.now,
            policy=self.context.policy,
            only=self.only,
        )
        # For a few marked names nobody else is even looked at: 10,000 of them cost time.
        known = {*self.desired.plugins, *self.instances} if self.only is None else self.only
        system = sorted(each for each in self.context.system if self.only is None or each in known)
        for name in [*system, *sorted(known - {*self.context.system})]:
            if name in self.going:
                continue
            action = self._next(name)
            if action is None:
                continue
            self.starts += isinstance(action, Start)
            yield action

    def _next(self, name: str) -> Action | None:
        instance = self.instances.get(name)
        is_system = name in self.context.system
        spec = self.desired.plugins.get(name)
        if spec is None and not is_system:
            return self._unwanted(name, instance)
        record = remember(
            name,
            self.observed,
            now=self.now,
            policy=self.context.policy.of_system() if is_system else self.context.policy,
            timeout=spec.timeout if spec else timedelta(0),
            beats=not is_system,
            fallback=name in self.context.previous,
        )
        if record.stopped_by_hand:
            if instance is None or instance.rests:
                return None
            return Stop(name, "stopped by hand", StopReason.BY_HAND)
        if instance is None or instance.phase is Phase.CREATED:
            return self._start(name, record, instance, cause=self._absent(record, instance))
        match instance.phase:
            case Phase.STOPPING:
                why = record.stop_reason if record.stopping == instance.id else ""
                reason_again = StopReason(why) if why else StopReason.CHANGED
                return Stop(name, "was being stopped when we looked", reason_again)
            case Phase.EXITED:
                return self._ended(name, record, instance)
            case Phase.RUNNING:
                return self._running(name, record, instance)

    def _unwanted(self, name: str, instance: Instance | None) -> Action | None:
        if instance is None or self.desired.revision == 0:
            # Before the first apply nobody has said yet what is wanted: it may be of lost records.
            return None
        cause = f"not in revision {self.desired.revision} of plugins.yaml"
        if instance.phase is Phase.EXITED:
            return Remove(name, cause)
        return Stop(name, cause, StopReason.UNWANTED)

    def _running(self, name: str, record: Record, instance: Instance) -> Action | None:
        if record.replace == instance.id or record.rotate:
            what = "another credential" if record.rotate else "restart"
            again = Stop(name, f"{what} asked for by hand", StopReason.RESTART)
            return again if name in self.context.system else self._unless_refused(record, again)
        if name in self.context.system:
            return of_others(instance, self.context.system[name])
        halt = tell_halt(record, instance, self.observed, self.context.policy, self.now)
        if halt is not None and not isinstance(halt, Wait):
            return halt  # before anything that may take its time
        wanted = self._target(name, record)
        layers = differing(labelled(record, instance), wanted)
        way = course(
            layers,
            in_place=self.capabilities.update_in_place,
            pushable=lambda: self._pushable(record, instance),
            beat=beat_of(name, self.observed),
        )
        cause = self._changed(record, instance, layers) if way.ways else ""
        if Way.RECREATE in way.ways:
            told = f"{cause}; {way.why}" if way.why else cause
            return self._unless_refused(record, Stop(name, told, StopReason.CHANGED))
        if name in self.silent:
            return Stop(name, self.silent[name], StopReason.UNRESPONSIVE)
        if Way.UPDATE in way.ways:
            return self._unless_refused(record, Update(name, cause))
        if Way.PUSH in way.ways:
            action = tell(
                record,
                instance,
                self.observed,
                timeout=self.desired.plugins[name].timeout,
                cause=cause,
                policy=self.context.policy,
                now=self.now,
            )
            return self._unless_refused(record, action)
        return halt

    def _pushable(self, record: Record, instance: Instance) -> bool:
        # What a failed change goes back to shall be as it was when it was healthy: started with it.
        if running_generation(record) < record.generation:
            return False
        # What was pushed since differs from its label in what can be pushed only, so the label will do.
        return self.context.pushable(instance.name, instance.generation)

    def _ended(self, name: str, record: Record, instance: Instance) -> Action | None:
        if runs(record, instance) != running_generation(record):
            return self._start(name, record, instance, cause=self._absent(record, instance))
        planned = record.stopping == instance.id and record.stop_reason != StopReason.UNRESPONSIVE
        end = record.last_exit
        if planned or end is None:
            by_hand = record.stop_reason == StopReason.RESTART
            cause = "restart asked for by hand" if by_hand else "not running"
            return self._start(name, record, instance, cause=cause)
        told = ending(end, instance)
        if self.capabilities.restarts_by_itself:
            return Wait(name, None, f"{told}; the platform starts it again")
        if end.permanent:
            return Wait(name, None, f"{told}; waits for a changed entry or `ntpctl start {name}`")
        if record.gave_up:
            failures = f"gave up after {record.failures} failures"
            return Wait(
                name, None, f"{failures}, the last: {told}; `ntpctl start {name}` tries again"
            )
        return self._start(name, record, instance, cause=why_again(end, record, instance))

    def _start(
        self, name: str, record: Record, instance: Instance | None, *, cause: str
    ) -> Action | None:
        wait = self._not_yet(name, record)
        if wait is not None:
            return wait
        generation = running_generation(record)
        attempt = max(1, record.attempt)
        if instance is not None and runs(record, instance) == generation:
            ended = instance.phase is Phase.EXITED
            attempt = max(attempt, instance.attempt + ended)
        if generation < record.generation:
            cause = fell_back(record)
        return Start(name, generation, attempt, cause)

    def _not_yet(self, name: str, record: Record) -> Wait | None:
        if record.refusal and record.refusal_permanent:
            return Wait(name, None, refusal(record))
        if self._backs_off(record):
            end = record.last_exit
            words = ending(end, self.instances.get(name)) if end else "backing off"
            return Wait(name, record.not_before, refusal(record) if record.refusal else words)
        if name in self.context.system:
            return None
        for before in sorted(self.context.system):
            if not is_ready(before, self.observed, beats=False):
                return Wait(name, None, f"the {before} does not run yet")
        return self._full(name) or self._held(name, record)

    def _held(self, name: str, record: Record) -> Wait | None:
        if self.desired.plugins[name].kind is not Kind.DATA_SOURCE or record.attempt > 0:
            return None
        return held_for(
            name,
            self.observed,
            listeners=self._listeners().get(name, ()),
            record=record,
            policy=self.context.policy,
            now=self.now,
        )

    def _listeners(self) -> Mapping[str, Collection[str]]:
        """Who hears which data source; found when the first source is about to start."""
        if self.hearers is None:
            found: dict[str, set[str]] = {}
            for edge in edges(self.desired):
                if edge.channel is Channel.DATA:
                    found.setdefault(edge.producer, set()).add(edge.consumer)
            self.hearers = found
        return self.hearers

    def _backs_off(self, record: Record) -> bool:
        # A clock that was set back must not hold a plugin back for longer than any back-off does.
        longest = self.now + self.context.policy.longest_delay
        return record.not_before is not None and self.now < record.not_before <= longest

    def _full(self, name: str) -> Wait | None:
        most = self.capabilities.max_instances
        if most is None:
            return None
        alive = sum(each.phase is not Phase.EXITED for each in self.instances.values())
        if alive + self.starts < most:
            return None
        return Wait(name, None, f"this runtime holds {most} instances, and all are in use")

    def _unless_refused(self, record: Record, action: Stop | Update | Push | Wait) -> Action:
        """What the new one needs was refused: the old one keeps running until that is mended."""
        if record.refusal and record.refusal_permanent:
            return Wait(action.name, None, refusal(record))
        if record.refusal and self._backs_off(record):
            return Wait(action.name, record.not_before, refusal(record))
        return action

    def _target(self, name: str, record: Record) -> Hashes:
        previous = self.context.previous.get(name)
        if previous is not None and running_generation(record) == previous.generation:
            return previous.hashes
        return self.hashes[name]

    def _changed(self, record: Record, instance: Instance, differ: Collection[str]) -> str:
        told = self.context.difference(instance.name, runs(record, instance))
        return why_changed(record, told, differ, drift=instance.drift)

    def _absent(self, record: Record, instance: Instance | None) -> str:
        return why_absent(record, instance, self.desired.revision)
