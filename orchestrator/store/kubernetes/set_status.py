"""What a PluginSet's status says: pure, and the same text for the same state of things.

Conditions as kstatus reads them (https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus):
Ready; Reconciling while it will get there by itself; Stalled when it will not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from orchestrator.decide.report import PluginStatus, ProjectStatus
from orchestrator.errors import Problem
from orchestrator.store.kubernetes.plugin_sets import Set
from orchestrator.store.kubernetes.written import fields, place_of

MOST_LINES: Final = 1_000
"""Plugins that a status lists, those that are not ready first: an object holds 1.5 MB."""
MOST_PROBLEMS: Final = 50
LONGEST: Final = 300
ACCEPTED: Final = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of an edit. `reason` empty: it was applied."""

    sources: tuple[tuple[str, str], ...]
    reason: str = ACCEPTED
    message: str = ""
    problems: tuple[Problem, ...] = ()
    revision: int = 0
    """What was applied last when it was decided: what is told of plugins before it is of another one."""


def status_of(
    one: Set, decision: Decision | None, project: ProjectStatus, before: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the status of a PluginSet.

    Args:
        one: the PluginSet.
        decision: the newest; None: there was none in this life of the controller.
        project: how all plugins are.
        before: its status as it is: for times that stay.
    """
    decided = decision is not None and (one.file, one.text) in decision.sources
    names = set(one.plugins)
    plugins = [each for each in project.plugins if each.name in names]
    lines = sorted(plugins, key=lambda each: (each.ready, each.name))
    observed = one.generation if decided else int(before.get("observedGeneration") or 0)
    verdicts = _verdicts(one, decision if decided else None, plugins, seen=project.revision)
    return {
        **({"observedGeneration": observed} if observed else {}),
        "revision": project.revision,
        "ready": f"{sum(each.ready for each in plugins)}/{len(plugins)}",
        "conditions": _dated(verdicts, before, project.at, observed),
        "plugins": [_line(each) for each in lines[:MOST_LINES]],
        "problems": _problems(one, decision) if decision is not None and decided else [],
    }


def refused(one: Set, decision: Decision) -> str:
    """Say why an edit was refused, for whoever looks at one PluginSet of it; empty: it was not."""
    if not decision.reason:
        return ACCEPTED
    if not decision.problems:
        return decision.message
    own = [each for each in decision.problems if each.file == one.file]
    if own:
        known = fields(one.text, one.file)
        first = own[0]
        more = f" (and {len(own) - 1} more in .status.problems)" if len(own) > 1 else ""
        return f"{place_of(first, known)}: {first.message}; {first.fix}{more}"
    others = sorted({each.file for each in decision.problems})
    return f"nothing of this namespace is applied until {', '.join(others)} has no problem"


def _verdicts(
    one: Set, decision: Decision | None, plugins: Sequence[PluginStatus], *, seen: int
) -> Iterable[tuple[str, bool, str, str]]:
    """Yield type, status, reason and message of each condition."""
    waiting = [each for each in plugins if not each.ready and each.state != "Stopped"]
    stalled = [each for each in waiting if any(c.type == "Stalled" and c.status for c in each.conditions)]  # fmt: skip
    if decision is None:
        yield "Ready", False, "Pending", "the controller has not taken it up yet"
        yield "Reconciling", True, "Pending", "the controller has not taken it up yet"
        yield "Stalled", False, "Pending", ""
        return
    if decision.reason:
        why = refused(one, decision)
        yield "Ready", False, decision.reason, f"what ran goes on; {why}"
        yield "Reconciling", False, decision.reason, ""
        yield "Stalled", True, decision.reason, why
        return
    if seen < decision.revision:
        told = f"revision {decision.revision} was applied and is being carried out"
        yield "Ready", False, "Applied", told
        yield "Reconciling", True, "Applied", told
        yield "Stalled", False, "Applied", ""
        return
    if waiting:
        first = (stalled or waiting)[0]
        more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
        told = f"{first.name}: {first.message}{more}"
        yield "Ready", False, first.state, told
        yield "Reconciling", not stalled, first.state, "" if stalled else told
        yield "Stalled", bool(stalled), first.state, told if stalled else ""
        return
    yield "Ready", True, "AllReady", f"{len(plugins)} of {len(plugins)} as declared"
    yield "Reconciling", False, "AllReady", ""
    yield "Stalled", False, "AllReady", ""


def _dated(
    verdicts: Iterable[tuple[str, bool, str, str]],
    before: Mapping[str, Any],
    now: datetime,
    observed: int,
) -> list[dict[str, Any]]:
    old = {each["type"]: each for each in before.get("conditions") or ()}
    made = []
    for type_, truth, reason, message in verdicts:
        said = "True" if truth else "False"
        known = old.get(type_, {})
        same = known.get("status") == said
        made.append(
            {
                "type": type_,
                "status": said,
                "reason": reason,
                "message": message[:LONGEST],
                "lastTransitionTime": known["lastTransitionTime"] if same else _time(now),
                **({"observedGeneration": observed} if observed else {}),
            }
        )
    return made


def _line(plugin: PluginStatus) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "kind": plugin.kind,
        "state": plugin.state,
        "ready": plugin.ready,
        "restarts": plugin.restarts,
        # Of one that is ready it would change with each tick.
        "message": "" if plugin.ready else plugin.message[:LONGEST],
    }


def _problems(one: Set, decision: Decision) -> list[dict[str, str]]:
    own = [each for each in decision.problems if each.file == one.file][:MOST_PROBLEMS]
    known = fields(one.text, one.file) if own else {}
    return [
        {"place": place_of(each, known), "message": each.message, "fix": each.fix} for each in own
    ]


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
