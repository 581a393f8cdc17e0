"""What is true of a plugin, each with the time since when. Pure, as `plan` is."""

from dataclasses import dataclass
from datetime import datetime

from ntp.contract.beat import Beat
from orchestrator.decide.actions import Action
from orchestrator.decide.report import Condition, PluginStatus

DEAD = "DeadLetters"


@dataclass(frozen=True, slots=True)
class Verdict:
    state: str
    message: str
    ready: bool = False
    stalled: bool = False
    next_try: datetime | None = None


def conditions(
    verdict: Verdict,
    action: Action | None,
    beat: Beat | None,
    before: PluginStatus | None,
    now: datetime,
    *,
    letter: str = "",
) -> tuple[Condition, ...]:
    """Return Ready, Reconciling and Stalled, as Flux has them; then what the plugin says of itself.

    `letter`: of its dead letters, in words; empty: there are none.
    """
    busy = not verdict.stalled and not verdict.ready and verdict.state != "Stopped"
    doing = action.cause if action else verdict.message
    fresh = [
        Condition("Ready", verdict.ready, verdict.state, verdict.message),
        Condition("Reconciling", busy, type(action).__name__ if action else "Nothing", doing),
        Condition("Stalled", verdict.stalled, verdict.state, verdict.message),
    ]
    waiting = [Condition(DEAD, status=True, reason=DEAD, message=letter)] if letter else []
    old = {each.type: each for each in before.conditions} if before else {}
    own = tuple(
        Condition(each.type, each.status, each.reason, each.message, each.since)
        for each in (beat.conditions if beat else ())
        if each.type not in {"Ready", "Reconciling", "Stalled"}
    )
    first, last = (
        tuple(_dated(each, old.get(each.type), now) for each in some) for some in (fresh, waiting)
    )
    return first + own + last


def _dated(fresh: Condition, old: Condition | None, now: datetime) -> Condition:
    same = old is not None and (old.status, old.reason) == (fresh.status, fresh.reason)
    since = old.since if old is not None and same else now
    return Condition(fresh.type, fresh.status, fresh.reason, fresh.message, since)
