"""What the loop remembers of an instance over its lives. Pure: the old record and what is seen, in;
the new record, out. Seeing the same again changes nothing, so a crash between two writes is harmless.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from ntp.contract.beat import Beat, Stage
from orchestrator.decide.actions import StopReason
from orchestrator.decide.backoff import delay
from orchestrator.decide.layers import differing
from orchestrator.decide.policy import Policy
from orchestrator.decide.push import config_of, confirmed, runs
from orchestrator.decide.state import Exit, Hashes, Instance, Observed, Phase, Record
from orchestrator.decide.words import killed
from orchestrator.errors import ActionError

READY = frozenset({Stage.READY, Stage.EXHAUSTED})
NOBODY = Record()


def beat_of(name: str, observed: Observed) -> Beat | None:
    """Return the last beat of the life that is running, None if that life was not heard yet."""
    instance = None if observed.instances is None else observed.instances.get(name)
    beat, heard = observed.beats.get(name), observed.heard.get(name)
    if instance is None or beat is None or heard is None:
        return None
    if beat.generation != instance.generation:
        return None
    if instance.started is not None and heard < instance.started:
        return None
    return beat


def is_ready(name: str, observed: Observed, *, beats: bool = True) -> bool:
    """`beats` False: a system instance, which is ready when it runs."""
    instance = None if observed.instances is None else observed.instances.get(name)
    if instance is None or instance.phase is not Phase.RUNNING:
        return False
    if not beats:
        return True
    beat = beat_of(name, observed)
    return beat is not None and beat.stage in READY


def remember(
    name: str,
    observed: Observed,
    *,
    now: datetime,
    policy: Policy,
    timeout: timedelta = timedelta(0),
    beats: bool = True,
    fallback: bool = False,
) -> Record:
    """Return the record of `name` brought up to date with what is observed.

    Args:
        name: of the instance; no entry in `observed.instances` is no life.
        observed: blind (`instances` None) teaches nothing.
        now: aware UTC.
        policy: the windows and counts.
        timeout: of the plugin; its new generation is given that much longer to become healthy.
        beats: False for a system instance.
        fallback: whether a healthy generation is there to go back to.
    """
    record = observed.records.get(name, NOBODY)
    if observed.instances is None:
        return record
    instance = observed.instances.get(name)
    if instance is not None:
        record = confirmed(record, instance, beat_of(name, observed), now)
    if instance is not None and instance.phase is Phase.RUNNING:
        ready = is_ready(name, observed, beats=beats)
        record = _alive(record, instance, now, policy, ready=ready)
    if instance is not None and (ended := _uncounted(record, instance)):
        record = _ended(name, record, *ended, policy, may_give_up=beats)
    if fallback and _failed(record, instance, observed, now, policy.generation_deadline + timeout):
        record = replace(
            accepted(record),
            failed_generation=record.generation,
            failed_because=refusal(record) if record.refusal else "",
            failures=0,
            not_before=None,
            gave_up=False,
            attempt=0,
        )
    return record


def _uncounted(record: Record, instance: Instance) -> tuple[Instance, Exit] | None:
    """Return a life that ended and was not counted yet: this one, or the one that it followed."""
    if instance.exit is not None:
        return (instance, instance.exit) if record.counted != instance.id else None
    if instance.last_exit is None or record.counted == instance.last_life:
        return None
    return replace(instance, id=instance.last_life, started=None), instance.last_exit


def begin(record: Record, *, attempt: int, by_itself: bool, now: datetime) -> Record:
    """A life is about to be begun; told before it is, so that no crash of ours forgets it.

    `by_itself`: it follows one that failed, nobody asked for it.
    """
    again = attempt > record.attempt and attempt > 1 and by_itself
    return replace(
        record,
        attempt=attempt,
        begun=record.begun or now,
        restarts=record.restarts + again,
        replace="",
        pushing=None,
    )


def renew(record: Record, now: datetime, *, number: int | None = None) -> Record:
    """The entry was changed: a new generation, which the failures of the old one do not burden."""
    return replace(
        accepted(record),
        generation=record.generation + 1 if number is None else number,
        failures=0,
        not_before=None,
        gave_up=False,
        attempt=0,
        wanted=now,
        begun=None,
        last_exit=None,
    )


def forgive(record: Record) -> Record:
    """A person said "try again": nothing holds the next start back."""
    return replace(
        accepted(record),
        failures=0,
        not_before=None,
        gave_up=False,
        stopped_by_hand=False,
        failed_generation=0,
        begun=None,
        last_exit=None if record.last_exit and record.last_exit.permanent else record.last_exit,
    )


def refused(record: Record, name: str, why: ActionError, now: datetime, policy: Policy) -> Record:
    """A start, or what must come before it, was refused: say why, and try again later."""
    refusals = record.refusals + 1
    wait = delay(refusals, first=policy.first_delay, longest=policy.longest_delay, seed=name)
    return replace(
        record,
        not_before=now + wait,
        refusal=str(why),
        refusal_reason=why.reason,
        refusal_permanent=why.permanent,
        refusals=refusals,
    )


def accepted(record: Record) -> Record:
    """What was refused is not any more."""
    if not record.refusal:
        return record
    return replace(
        record,
        refusal="",
        refusal_reason="",
        refusal_permanent=False,
        refusals=0,
        not_before=None,
    )


def limited(
    record: Record, instance: Instance, *, generation: int, wanted: Hashes, now: datetime
) -> Record:
    """The limits of a life were changed in place to those of `generation`, whose hashes are `wanted`.

    If that was all in which it differed, it is of that generation from here on: its end is that one's.
    """
    told = replace(record, updated=instance.id, updated_resources=wanted.resources)
    if set(differing(labelled(told, instance), wanted)) - {"policy"}:
        return told
    return replace(
        told,
        pushed=instance.id,
        pushed_generation=generation,
        pushed_config=config_of(told, instance),
        begun=now if generation == record.generation else record.begun,
    )


def _alive(
    record: Record, instance: Instance, now: datetime, policy: Policy, *, ready: bool
) -> Record:
    lived = now - (instance.started or now)
    if lived >= policy.stable and record.failures:
        record = replace(record, failures=0)
    generation = runs(record, instance)
    if generation != instance.generation:
        lived = now - max(instance.started or now, record.begun or now)
    if ready and generation > record.healthy_generation and lived >= policy.healthy:
        record = replace(record, healthy_generation=generation)
    return record


def _ended(
    name: str, record: Record, instance: Instance, end: Exit, policy: Policy, *, may_give_up: bool
) -> Record:
    planned = record.stopping == instance.id
    if planned and record.stop_reason != StopReason.UNRESPONSIVE:
        return replace(record, counted=instance.id)
    if why := "unresponsive" if planned else killed(end):
        record = replace(record, kills={**record.kills, why: record.kills.get(why, 0) + 1})
    if runs(record, instance) != running_generation(record):
        # The end of another generation says nothing about the wanted one.
        return replace(record, counted=instance.id)
    if planned:
        end = replace(end, reason="Unresponsive", message="no beat was heard from it any more")
    lived = end.at - (instance.started or end.at)
    failures = 0 if lived >= policy.stable else record.failures + 1
    wait = delay(failures, first=policy.first_delay, longest=policy.longest_delay, seed=name)
    return replace(
        record,
        counted=instance.id,
        restarts=record.restarts + instance.begun_again,
        last_exit=end,
        failures=failures,
        not_before=end.at + wait,
        # Who is begun again by the platform is not ours to give up.
        gave_up=may_give_up and not instance.begun_again and failures >= policy.give_up_after,
    )


def labelled(record: Record, instance: Instance) -> Hashes:
    """Return the hashes of a life: its label's, but for what was changed since, which no label shows."""
    known = instance.hashes
    limits = record.updated_resources if record.updated == instance.id else known.resources
    if instance.drift:
        limits = f"drift: {instance.drift}"
    return replace(known, resources=limits, config=config_of(record, instance))


def refusal(record: Record) -> str:
    return f"{record.refusal_reason or 'Refused'}: {record.refusal}"


def running_generation(record: Record) -> int:
    """The generation that is to run: the wanted one, or the healthy one before it if that failed."""
    fell_back = record.failed_generation == record.generation and record.generation > 0
    return record.healthy_generation if fell_back else record.generation


def _failed(
    record: Record, instance: Instance | None, observed: Observed, now: datetime, within: timedelta
) -> bool:
    """Whether the wanted generation had its chance, and one to go back to is there."""
    if not 0 < record.healthy_generation < record.generation:
        return False
    if record.failed_generation == record.generation or record.stopped_by_hand:
        return False
    if record.refusal and (instance is None or instance.phase is Phase.EXITED):
        return True
    if record.begun is None:
        return False
    if record.gave_up or (record.last_exit is not None and record.last_exit.permanent):
        return True
    begun = record.begun
    if instance is not None and instance.phase is Phase.RUNNING:
        # Who runs may well be healthy: deaf, or new to listening, we cannot say that it is not.
        if observed.listening_since is None:
            return False
        begun = max(begun, observed.listening_since)
    return now - begun >= within
