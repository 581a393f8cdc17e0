"""What runs of a project that has no records here any more: nobody looks after it, so it is told."""

from collections.abc import Sequence

from orchestrator.app import was_applied
from orchestrator.errors import NtpError
from orchestrator.runtime.uids import owner_of
from orchestrator.settings import Settings


def told(settings: Settings) -> str:
    """Return what is left and how to remove it, as one sentence; empty: nothing is left."""
    found = _left(settings)
    if not found:
        return ""
    words = f"left of project '{settings.project}', whose records are gone: {', '.join(found)}"
    if any(each.startswith("container ") for each in found):
        wanted = f"label=io.ntp.owner={owner_of(settings.project, settings.state)}"
        return f"{words}; `docker rm --force $(docker ps --all --quiet --filter {wanted})`"
    return f"{words}; `ntpctl apply` takes their place, `ntpctl down` after it removes all"


def replaced(settings: Settings) -> str:
    """Say that an apply takes the place of what runs without records; empty: nothing does."""
    kinds = [each.partition(" ")[0] for each in _left(settings)]
    for kind, many in (("container", "containers"), ("process", "processes")):
        if kind in kinds:  # processes of containers are no second thing
            return (
                f"of an earlier life of project '{settings.project}', whose records are gone, these "
                f"{many} are left: {kinds.count(kind)}; apply replaces what is declared, and ends the "
                "rest\n  `ntpctl doctor` names each"
            )
    return ""


def _left(settings: Settings) -> Sequence[str]:
    if was_applied(settings):
        return ()
    # Late: it is a third of a second of imports, and most projects are applied.
    from orchestrator.app import house

    try:
        left = house.left_behind(settings)
    except NtpError:
        return ()  # an engine that refuses or hangs is told where it is asked for more
    return [each for each in left if each != f"folder {settings.state}"]
