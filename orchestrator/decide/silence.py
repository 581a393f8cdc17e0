"""Which running plugins have fallen silent. Silence counts from when we began to listen."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice

from orchestrator.decide.memory import beat_of
from orchestrator.decide.policy import Policy
from orchestrator.decide.state import Instance, Observed, Phase
from orchestrator.decide.words import span
from orchestrator.spec.model import Desired

ALONE = 4
"""A sole plugin has nobody to be compared with: it is given this many times as long, in which the
bus connection's own pings tell whether the silence is ours."""


def unresponsive(
    desired: Desired,
    observed: Observed,
    *,
    now: datetime,
    policy: Policy,
    only: Collection[str] | None = None,
) -> Mapping[str, str]:
    """Return name -> cause of each plugin (of `only`) that runs and was not heard for too long.

    While nobody is heard the fault is ours, or the bus's; and the silence before somebody was heard
    again says nothing of those who are still on their way back.
    """
    if observed.instances is None or observed.listening_since is None:
        return {}
    instances = observed.instances
    alone = len(list(islice(_running(desired, instances), 2))) == 1
    if observed.hearing_since is None and not alone:
        return {}
    ears = observed.listening_since if alone else observed.hearing_since
    silent: dict[str, str] = {}
    if only is not None:
        instances = {name: instances[name] for name in only if name in instances}
    for name, instance in _running(desired, instances):
        heard = observed.heard.get(name) if beat_of(name, observed) else None
        moments = (heard, observed.listening_since, ears, instance.started)
        since = max(moment for moment in moments if moment is not None)
        patience = policy.beat_interval * policy.beats_missed + desired.plugins[name].timeout
        if now - since > patience * (ALONE if alone else 1):
            what = "fell silent" if heard else "was never heard"
            silent[name] = f"{what}: no beat for {span(now - since)}"
    return silent


def _running(desired: Desired, instances: Mapping[str, Instance]) -> Iterator[tuple[str, Instance]]:
    for name, instance in instances.items():
        if instance.phase is Phase.RUNNING and name in desired.plugins:
            yield name, instance


def hearing(
    before: datetime | None, heard: Iterable[datetime], *, now: datetime, policy: Policy
) -> datetime | None:
    """Return `Observed.hearing_since`, given what it was at the look before this one."""
    newest = max(heard, default=None)
    if newest is None or now - newest > policy.beat_interval * policy.beats_missed:
        return None
    return before or now
