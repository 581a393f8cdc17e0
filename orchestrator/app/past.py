"""Revisions: what was applied, and one of them as something that can be applied again."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.app import Declaration, ask
from orchestrator.errors import ActionError
from orchestrator.settings import Settings


def revisions(settings: Settings) -> dict[str, Any]:
    """Return all that are kept, oldest first; `runs` marks the one that is applied now."""
    found: list[dict[str, Any]] = ask(settings, "revisions")["revisions"]
    now = applied(settings)
    return {
        "project": settings.project,
        "revision": now,
        "revisions": [{**each, "runs": each["number"] == now} for each in found],
    }


def applied(settings: Settings) -> int:
    """Return the number of the revision that is applied now; 0: none."""
    return int(ask(settings, "status")["revision"])


def revision(settings: Settings, number: int) -> dict[str, Any]:
    """Return one with its sources. Without settings: older releases kept any PLUGIN_* of an environment."""
    found = ask(settings, "revision", number=number)
    return {key: value for key, value in found.items() if key != "settings"}


def recall(settings: Settings, number: int) -> Declaration:
    """Return revision `number` as it was declared, with the code that it ran.

    Raises:
        ActionError: NoSuchRevision.
    """
    found = ask(settings, "revision", number=number)
    return Declaration(
        settings,
        tuple((file, text) for file, text in found["sources"]),
        said={key: str(value) for key, value in found["settings"].items()},
        pins=found["resolved"],
    )


def before(settings: Settings, now: int) -> int:
    """Return the number of the revision before `now`.

    Raises:
        ActionError: there is none.
    """
    older = [
        each["number"] for each in ask(settings, "revisions")["revisions"] if each["number"] < now
    ]
    if not older:
        raise ActionError(
            f"revision {now} is the first: there is none before it"
            if now
            else "nothing is applied: there is nothing to go back from",
            reason="NoSuchRevision",
            permanent=True,
        )
    return int(older[-1])


def outcome(settings: Settings) -> dict[str, Any]:
    """Return how things are, as an apply that changed nothing would."""
    found = ask(settings, "status")
    plugins = found["plugins"]
    ready = all(each["ready"] for each in plugins)
    return {"revision": found["revision"], "ready": ready, "plugins": plugins, "waiting": []}


def same(one: Declaration, other: Declaration) -> bool:
    """Tell whether applying both gives the same: files, settings and code."""
    return (one.sources, one.decisive, dict(one.pins)) == (
        other.sources,
        other.decisive,
        dict(other.pins),
    )


def difference(one: Declaration, other: Declaration, *, names: tuple[str, str]) -> dict[str, Any]:
    """Return how `other` differs from `one`: see `comparing.comparison`."""
    from orchestrator.app import comparing

    return comparing.comparison(one, other, names=names)


def graph(
    declared: Declaration, *, revision: int = 0, plugins: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return who hears whom in it: see `wired.graph`."""
    from orchestrator.app import wired

    return wired.graph(declared, revision=revision, plugins=plugins)
