"""A changed symbol list is pushed into a running data source, changed risk limits into a running executor;
any other change of config is a new start.

A push is asked for, never assumed: what was sent is remembered before it is sent, and only a beat
of that very life says that it was taken. In between nobody knows which of the two configs it runs,
so it counts as neither: whatever is wanted meanwhile is pushed as well, or started anew.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ntp.contract.beat import Beat, Stage
from ntp.contract.names import Kind
from orchestrator.decide.actions import Push, Stop, StopReason, Wait
from orchestrator.decide.layers import RECREATE, Layers, digest
from orchestrator.decide.policy import Policy
from orchestrator.decide.state import Hashes, Instance, Observed, Pushing, Record
from orchestrator.decide.words import span

MOST_BYTES = 64 * 1024
"""Of the symbols; the broker takes about twice as much in one message."""
UNKNOWN = ""
"""The hash of a config that no entry has."""


class Way(StrEnum):
    RECREATE = "recreate"
    UPDATE = "update"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Course:
    """What brings a running plugin to what is wanted, one after the other; none: it is there."""

    ways: tuple[Way, ...] = ()
    why: str = ""
    """Why it is a new start although a push would do; empty: it would not."""


def course(
    layers: Collection[str],
    *,
    in_place: bool,
    pushable: Callable[[], bool],
    beat: Beat | None,
) -> Course:
    """Return how the layers that differ are brought to what is wanted.

    Args:
        layers: their names.
        in_place: whether the runtime changes limits of what runs.
        pushable: whether what differs in the config can be told; asked if nothing else decides.
        beat: the last one of this life, if it was heard.
    """
    anew = [layer for layer in layers if layer in RECREATE]
    limits = "resources" in layers
    if (limits and not in_place) or (anew and (anew != ["config"] or not pushable())):
        return Course((Way.RECREATE,))
    if anew and (why := unwilling(beat)):
        return Course((Way.RECREATE,), why)
    return Course(((Way.UPDATE,) if limits else ()) + ((Way.PUSH,) if anew else ()))


def can_be_pushed(old: Layers, new: Layers) -> bool:
    """Tell whether two states of one entry differ in what a running life can be told, at most."""
    before, after = dict(old["config"]), dict(new["config"])
    match new["identity"]["kind"]:
        case Kind.DATA_SOURCE:
            one, other = dict(before.pop("config")), dict(after.pop("config"))
            lists = [one.pop("symbols", None), other.pop("symbols", None)]
            hidden = "symbols" in before.get("secrets", {})
            told = not hidden and all(_plain_symbols(each) for each in lists)
        case Kind.EXECUTOR:
            one, other, told = {}, {}, True
            before.pop("risk", None)
            after.pop("risk", None)
        case _:
            return False
    # By digest: to Python 1, 1.0 and True are the same.
    return told and digest([before, one]) == digest([after, other])


def unwilling(beat: Beat | None) -> str:
    """Say why this life takes no push; empty: it may. One that was not heard yet is asked."""
    if beat is None:
        return ""
    if beat.pushed is not None and beat.pushed.refusal:
        return f"it does not take them while it runs: {beat.pushed.refusal}"
    match beat.stage:
        case Stage.READY:
            return ""
        case Stage.EXHAUSTED:
            return "all its data is through, so it begins again"
        case Stage.STARTING | Stage.DRAINING:
            return "it is not ready, so nothing is lost by a new start"


def in_flight(record: Record, instance: Instance) -> Pushing | None:
    """Return what was sent to this life and not confirmed yet."""
    told = record.pushing
    return told if told is not None and told.life == instance.id else None


def runs(record: Record, instance: Instance) -> int:
    """Return the generation whose config a life has: its label's, or the one that it confirmed."""
    return record.pushed_generation if record.pushed == instance.id else instance.generation


def config_of(record: Record, instance: Instance) -> str:
    """Return the hash of the config that a life has, UNKNOWN while a push is in flight."""
    if in_flight(record, instance) is not None:
        return UNKNOWN
    return record.pushed_config if record.pushed == instance.id else instance.hashes.config


def tell(
    record: Record,
    instance: Instance,
    observed: Observed,
    *,
    timeout: timedelta,
    cause: str,
    policy: Policy,
    now: datetime,
) -> Push | Stop | Wait:
    """Return how the wanted generation is pushed on: sent, waited for, sent again, given up.

    `timeout` is the plugin's: the longest that each of its two callbacks takes.
    """
    name = instance.name
    if observed.listening_since is None:
        return Wait(name, None, f"{cause}; the bus does not answer")
    told = in_flight(record, instance)
    if told is None or told.generation != record.generation:
        return Push(name, record.generation, cause)
    # While nobody at all is heard, the silence of this one says nothing.
    ears = observed.hearing_since
    patience = policy.push_deadline + 2 * timeout
    if ears is not None and now - max(told.begun, ears) >= patience:
        why = f"it did not say within {span(patience)} that it took them"
        return Stop(name, f"{cause}; {why}", StopReason.CHANGED)
    again = told.sent + policy.push_again
    if told.sent <= now < again:
        return Wait(name, again, f"{cause}; sent, not confirmed yet")
    return Push(name, record.generation, cause)


def sending(
    record: Record, instance: Instance, *, generation: int, wanted: Hashes, now: datetime
) -> Record:
    """The config of `generation` is about to be sent, or sent again."""
    told = in_flight(record, instance)
    again = told is not None and told.generation == generation and told.begun <= now
    begun = told.begun if told is not None and again else now
    return replace(record, pushing=Pushing(instance.id, generation, wanted.config, begun, now))


def confirmed(record: Record, instance: Instance, beat: Beat | None, now: datetime) -> Record:
    """Believe the life that says that it took what was sent to it, and nothing else."""
    told = in_flight(record, instance)
    said = None if beat is None else beat.pushed
    if told is None or said is None or said.refusal or said.generation != told.generation:
        return record
    return replace(
        record,
        pushing=None,
        pushed=instance.id,
        pushed_generation=told.generation,
        pushed_config=told.config,
        # From here on it may prove healthy, or fail, as a life that was started with it.
        begun=now if told.generation == record.generation else record.begun,
    )


def _plain_symbols(value: Any) -> bool:
    """Whether these can be sent as they stand: a variable among them may be a secret."""
    if not isinstance(value, list) or not value:
        return False
    if not all(isinstance(each, str) and "${" not in each for each in value):
        return False
    return sum(len(each.encode()) + 3 for each in value) <= MOST_BYTES
