"""An engine that is there and cannot run plugins: said before anything is begun."""

from orchestrator.app import STORE
from orchestrator.errors import Problem
from orchestrator.settings import Settings

FIX = (
    "set NTP_RUNTIME=process, whose sandbox needs no engine and no root; "
    "or name an engine of root's in DOCKER_HOST"
)


def refusal(settings: Settings) -> Problem | None:
    """Return why what the project is to run in cannot run it; None: nothing is known against it."""
    named = settings.runtime or _recorded(settings)
    if named != "docker":
        return None
    from orchestrator.runtime.docker import presence

    if presence.is_rootless(settings.environment):
        return Problem("environment", 0, 0, why(settings), FIX)
    return None


def _recorded(settings: Settings) -> str:
    from orchestrator.store import glance  # late: who names a runtime needs no database

    return glance.runtime_of(settings.state / STORE)


def why(settings: Settings) -> str:
    """Say it of an engine that is rootless."""
    from orchestrator.runtime.docker import presence

    return (
        f"the Docker Engine at {presence.place(settings.environment)} is rootless: its containers have "
        "neither this machine's loopback, where the broker and the door are met, nor its users, who own "
        "the plugins' files"
    )
