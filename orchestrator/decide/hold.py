"""Who listens comes before who sends: a data source is held back until its listeners are ready."""

from collections.abc import Collection
from datetime import datetime

from orchestrator.decide.actions import Wait
from orchestrator.decide.memory import NOBODY, is_ready
from orchestrator.decide.policy import Policy
from orchestrator.decide.state import Observed, Phase, Record


def held_for(
    name: str,
    observed: Observed,
    *,
    listeners: Collection[str],
    record: Record,
    policy: Policy,
    now: datetime,
) -> Wait | None:
    """Return the Wait that holds back source `name` before its first life, None when it may start.

    A listener that failed, was refused or was stopped by hand is not waited for. The deadline counts
    from the last start of a listener, so that an installation of requirements does not use it up.
    """
    instances = observed.instances or {}
    if record.wanted is None:
        return None
    waiting = [each for each in sorted(listeners) if _coming(each, observed)]
    if not waiting:
        return None
    begun = [instances[each].started for each in waiting if each in instances]
    pending = len(begun) < len(waiting)
    latest = max([record.wanted, *(moment for moment in begun if moment is not None)])
    until = record.wanted + policy.longest_hold
    if not pending:
        until = min(until, latest + policy.hold)
    if now >= until:
        return None
    return Wait(name, until, f"held back until those who listen are ready: {', '.join(waiting)}")


def _coming(name: str, observed: Observed) -> bool:
    """Whether `name` is not ready but may be soon."""
    record = observed.records.get(name, NOBODY)
    if record.stopped_by_hand or record.refusal or record.failures:
        return False
    if record.last_exit is not None and record.last_exit.permanent:
        return False
    instance = (observed.instances or {}).get(name)
    if instance is not None and instance.phase is Phase.RUNNING and not observed.listening_since:
        # Deaf, we cannot tell whether it is ready: the deadline decides.
        return True
    return not is_ready(name, observed)
