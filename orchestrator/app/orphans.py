"""What runs of a project that has no records here any more: nobody looks after it, so it is told."""

from orchestrator.app import house, was_applied
from orchestrator.errors import NtpError
from orchestrator.runtime.uids import owner_of
from orchestrator.settings import Settings


def told(settings: Settings) -> str:
    """Return what is left and how to remove it, as one sentence; empty: nothing is left."""
    if was_applied(settings):
        return ""
    try:
        left = house.left_behind(settings)
    except NtpError:
        return ""  # an engine that refuses or hangs is told where it is asked for more
    found = [each for each in left if each != f"folder {settings.state}"]
    if not found:
        return ""
    words = f"left of project '{settings.project}', whose records are gone: {', '.join(found)}"
    if any(each.startswith("container ") for each in found):
        wanted = f"label=io.ntp.owner={owner_of(settings.project, settings.state)}"
        return f"{words}; `docker rm --force $(docker ps --all --quiet --filter {wanted})`"
    return f"{words}; end and remove them by hand"
