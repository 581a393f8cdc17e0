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

    A listener that failed for good, was refused for good or was stopped by hand is not waited for. The
    deadline counts from its last start, so that an installation of requirements does not use it up; of one
    that failed or was refused, and is tried again, from when the source was wanted.
    """
    wanted = record.wanted
    if wanted is None:
        return None
    waiting = [each for each in sorted(listeners) if _coming(each, observed)]
    if not waiting:
        return None
    longest = wanted + policy.longest_hold

    def until(listener: str) -> datetime:
        tried = observed.records.get(listener, NOBODY)
        if tried.failures or tried.refusal:
            return wanted + policy.hold
        life = (observed.instances or {}).get(listener)
        if life is None:
            return longest
        return min(max(wanted, life.started or wanted) + policy.hold, longest)

    still = [each for each in waiting if now < until(each)]
    if not still:
        return None
    words = f"held back until those who listen are ready: {', '.join(still)}"
    return Wait(name, max(map(until, still)), words)


def _coming(name: str, observed: Observed) -> bool:
    """Whether `name` is not ready but may be soon."""
    record = observed.records.get(name, NOBODY)
    if record.stopped_by_hand or record.refusal_permanent or record.gave_up:
        return False
    if record.last_exit is not None and record.last_exit.permanent:
        return False
    instance = (observed.instances or {}).get(name)
    if instance is not None and instance.phase is Phase.RUNNING and not observed.listening_since:
        # Deaf, we cannot tell whether it is ready: the deadline decides.
        return True
    return not is_ready(name, observed)
