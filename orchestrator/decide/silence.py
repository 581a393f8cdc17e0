"""Which running plugins have fallen silent. Silence counts from when we began to listen."""

from collections.abc import Mapping
from datetime import datetime

from orchestrator.decide.memory import beat_of
from orchestrator.decide.policy import Policy
from orchestrator.decide.state import Observed, Phase
from orchestrator.decide.words import span
from orchestrator.spec.model import Desired

ALONE = 4
"""A sole plugin has nobody to be compared with: it is given this many times as long, in which the
bus connection's own pings tell whether the silence is ours."""


def unresponsive(
    desired: Desired, observed: Observed, *, now: datetime, policy: Policy
) -> Mapping[str, str]:
    """Return name -> cause of each plugin that runs and was not heard for too long.

    When all are silent the fault is ours, or the bus's: then nobody is.
    """
    if observed.instances is None or observed.listening_since is None:
        return {}
    running = {
        name: instance
        for name, instance in observed.instances.items()
        if instance.phase is Phase.RUNNING and name in desired.plugins
    }
    silent: dict[str, str] = {}
    for name, instance in running.items():
        heard = observed.heard.get(name) if beat_of(name, observed) else None
        since = max(
            moment for moment in (heard, observed.listening_since, instance.started) if moment
        )
        patience = policy.beat_interval * policy.beats_missed + desired.plugins[name].timeout
        if len(running) == 1:
            patience *= ALONE
        if now - since > patience:
            what = "fell silent" if heard else "was never heard"
            silent[name] = f"Unresponsive: {what}, no beat for {span(now - since)}"
    return silent if len(silent) < len(running) or len(running) == 1 else {}
