"""Say how each plugin is, in one word and one sentence, and as conditions. Pure, as `plan` is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ntp.contract.beat import Beat, Stage
from ntp.contract.names import Kind
from orchestrator.decide import letters
from orchestrator.decide.actions import Action, Push, Remove, Start, Stop, StopReason, Update, Wait
from orchestrator.decide.causes import ending, fell_back
from orchestrator.decide.conditions import DEAD, Verdict, conditions
from orchestrator.decide.halting import heard
from orchestrator.decide.memory import NOBODY, beat_of, refusal, running_generation
from orchestrator.decide.push import runs
from orchestrator.decide.report import FlowTotals, PluginStatus
from orchestrator.decide.state import Instance, Observed, Phase, Record, Usage
from orchestrator.decide.words import reason, sentence
from orchestrator.spec.egress import mapped, written
from orchestrator.spec.model import Desired, PluginSpec

LOOPING = 3
"""Failures in a row that are a crash loop."""
_HALTABLE = frozenset({Kind.STRATEGY, Kind.EXECUTOR})
WORRIES = 3
"""Warnings of one plugin that its sentence holds."""
_DOWN_FOR_GOOD = "waits for a changed entry or `ntpctl start`"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the loop knows besides desired and observed."""

    going: Mapping[str, str] = field(default_factory=dict)
    """Name -> what is being done right now, in words: `installing its requirements`."""
    parked: Mapping[str, str] = field(default_factory=dict)
    """Name -> why it is left alone: it was replanned without progress."""
    postponed: Mapping[str, str] = field(default_factory=dict)
    """Name -> why what is planned for it could not be done, and is tried again."""
    flows: Mapping[str, FlowTotals] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)
    dead: Mapping[str, int] | None = None
    """Name -> how many dead letters lie there; None: nobody has counted them yet."""
    before: Mapping[str, PluginStatus] = field(default_factory=dict)
    """The statuses told last: `since` is theirs for as long as nothing changes."""


def statuses(
    desired: Desired,
    observed: Observed,
    actions: Sequence[Action],
    *,
    now: datetime,
    seen: Seen | None = None,
) -> list[PluginStatus]:
    """Return one status for each desired plugin, sorted by name. `actions`: what `plan` says now."""
    context = seen or Seen()
    planned = {action.name: action for action in actions}
    return [
        status(desired.plugins[name], observed, planned.get(name), now=now, seen=context)
        for name in sorted(desired.plugins)
    ]


def status(
    spec: PluginSpec, observed: Observed, action: Action | None, *, now: datetime, seen: Seen
) -> PluginStatus:
    name = spec.name
    record = observed.records.get(name, NOBODY)
    instance = None if observed.instances is None else observed.instances.get(name)
    beat = beat_of(name, observed)
    halted = observed.halts.words(name) if spec.kind in _HALTABLE else ""
    running = instance is not None and instance.phase is Phase.RUNNING
    waits = heard(spec, observed, beat) if running else ""
    verdict = _verdict(spec, observed, action, seen)
    dead = seen.dead.get(name, 0) if seen.dead is not None else None
    letter = letters.told(dead, name) if dead else ""
    own = verdict.message or (f"{DEAD}: {letter}" if letter and verdict.ready else "")
    told = "; ".join(filter(None, [waits, halted, own]))
    verdict = replace(verdict, message=told)
    before = seen.before.get(name)
    same = before is not None and before.state == verdict.state
    began = instance.started if instance and verdict.ready else None
    since = before.since if before is not None and same else began or now
    end = record.last_exit
    return PluginStatus(
        name=name,
        kind=spec.kind.value,
        plugin=spec.plugin,
        version=spec.version,
        state=verdict.state,
        message=verdict.message,
        ready=verdict.ready,
        generation=runs(record, instance) if instance else record.generation,
        restarts=record.restarts,
        place=f"{spec.place.file}:{spec.place.line}",
        since=since,
        started=instance.started if instance and instance.phase is Phase.RUNNING else None,
        kills=record.kills,
        next_try=verdict.next_try,
        stage=beat.stage.value if beat else "",
        conditions=conditions(verdict, action, beat, before, now, letter=letter),
        dead_letters=dead,
        isolation=instance.isolation if instance else None,
        usage=instance.usage if instance else Usage(),
        cpu_share=seen.cpu.get(name),
        last_exit=end,
        last_output=end.last_output if end else (),
        flow=_flow(seen.flows.get(name), instance),
        signal=beat.signal if beat else None,
        replayed=beat.replayed if beat else None,
        indicators=beat.indicators if beat else {},
        report=beat.report if beat else {},
        egress=tuple(written(host) for host in spec.egress),
        egress_mapped=mapped(spec.detours),
        # A door tells the runtime; of a proxy, which serves many, the plugin itself knows what it asked for.
        egress_refused={
            **(instance.refused if instance else {}),
            **(beat.egress_refused if beat else {}),
        },
        halted=halted,
        halt_pending=waits,
    )


def _flow(heard: FlowTotals | None, instance: Instance | None) -> FlowTotals | None:
    """What its last beat counted; a rate is of now, and who does not run sends nothing."""
    runs_now = instance is not None and instance.phase is Phase.RUNNING
    if heard is None or runs_now:
        return heard
    return replace(heard, sent_per_s=0.0, received_per_s=0.0)


def _verdict(
    spec: PluginSpec,
    observed: Observed,
    action: Action | None,
    seen: Seen,
) -> Verdict:
    name = spec.name
    instance = None if observed.instances is None else observed.instances.get(name)
    record = observed.records.get(name, NOBODY)
    if observed.instances is None:
        before = seen.before.get(name)
        last = f"; it was {before.state} when last seen" if before else ""
        return Verdict("Unknown", f"the runtime does not answer{last}")
    if name in seen.parked:
        return Verdict("Flapping", seen.parked[name], stalled=True)
    if name in seen.going:
        return _going(action, seen.going[name])
    if instance is not None and instance.phase is Phase.RUNNING:
        why = seen.postponed.get(name)
        if why and action is not None:
            return Verdict("Running", f"{action.cause}; that waits: {why}")
        return _running(record, instance, observed, action)
    if instance is not None and instance.phase is Phase.STOPPING:
        return Verdict("Stopping", record.stop_reason)
    if record.stopped_by_hand:
        return Verdict("Stopped", f"by hand, not in plugins.yaml; `ntpctl start {name}`")
    return _absent(spec, record, instance, action, why=seen.postponed.get(name, ""))


def _going(action: Action | None, words: str) -> Verdict:
    stops = isinstance(action, Stop | Remove)
    return Verdict("Stopping" if stops else "Preparing", words)


def _running(
    record: Record,
    instance: Instance,
    observed: Observed,
    action: Action | None,
) -> Verdict:
    beat = beat_of(instance.name, observed)
    if isinstance(action, Stop):
        word = "Unresponsive" if action.reason is StopReason.UNRESPONSIVE else "Stopping"
        return Verdict(word, action.cause)
    if runs(record, instance) == running_generation(record) < record.generation:
        end = record.last_exit
        why = f": {ending(end, instance)}" if end else ""
        return Verdict("FellBack", f"{fell_back(record)}{why}", stalled=True)
    if record.refusal:
        what = "the change is refused, the one before keeps running: "
        return Verdict("Refused", what + refusal(record), stalled=True, next_try=record.not_before)
    often = "once" if record.failures == 1 else f"{record.failures} times"
    troubled = f"failed {often} of late" if record.failures else ""
    if observed.listening_since is None:
        # Deaf: what was healthy before is taken to be so.
        known = beat is not None or record.healthy_generation >= instance.generation
        words = "not heard: the bus does not answer; it is left running"
        return Verdict("Running" if known else "Starting", words)
    if beat is None:
        return Verdict("Starting", troubled or "started, no beat yet")
    match beat.stage:
        case Stage.STARTING:
            return Verdict("Starting", _worry(beat) or troubled)
        case Stage.DRAINING:
            return Verdict("Stopping", "drains")
        case Stage.READY | Stage.EXHAUSTED:
            # A change that nobody could plan yet (where the bus is, is not known) is pending as well.
            pending = isinstance(action, Update | Push | Wait)
            pending = pending or runs(record, instance) < record.generation
            word = "Running" if beat.stage is Stage.READY else "Exhausted"
            through = "all data is through" if beat.stage is Stage.EXHAUSTED else ""
            return Verdict(word, _worry(beat) or through or troubled, ready=not pending)


def _worry(beat: Beat) -> str:
    """The plugin's own warnings: each whose type is its reason, or that is not met.

    All of them: one that was over long ago may stand before the one that matters now.
    """
    told = [
        f"{each.reason}: {each.message}"
        for each in beat.conditions
        if not each.status or each.type == each.reason
    ]
    more = len(told) - WORRIES
    if more > 0:
        told[WORRIES:] = [f"and {more} more, see `ntpctl status {beat.instance}`"]
    return "; ".join(told)


def _absent(
    spec: PluginSpec,
    record: Record,
    instance: Instance | None,
    action: Action | None,
    *,
    why: str,
) -> Verdict:
    if record.refusal:
        return Verdict(
            record.refusal_reason or "Refused",
            record.refusal,
            stalled=True,
            next_try=None if record.refusal_permanent else record.not_before,
        )
    planned = instance is not None and record.stopping == instance.id
    unresponsive = record.stop_reason == StopReason.UNRESPONSIVE
    end = record.last_exit
    if end is None or (planned and not unresponsive):
        words = why or (action.cause if isinstance(action, Wait | Start) else "")
        until = action.until if isinstance(action, Wait) else None
        return Verdict("Waiting", words, next_try=until)
    limit = instance.usage.memory_limit if instance else 0
    told = sentence(end, memory_limit=limit or spec.resources.memory)
    word = reason(end)
    if end.permanent:
        return Verdict(word, f"{told}; {_DOWN_FOR_GOOD}", stalled=True)
    if record.gave_up:
        message = f"{record.failures} failures in a row, the last: {word}: {told}; `ntpctl start {spec.name}`"
        return Verdict("GaveUp", message, stalled=True)
    stalled = record.failures >= LOOPING
    if word in ("Exited", "Crashed", "Killed", "Lost"):
        # The sentence alone says which of them it was.
        word = "CrashLoop" if stalled else "BackOff"
    return Verdict(word, told, stalled=stalled, next_try=record.not_before)
