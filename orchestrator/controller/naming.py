"""Whom a person means by a name."""

from collections.abc import Collection

from orchestrator.errors import ActionError
from orchestrator.spec.complaint import near


def insist(name: str | None, there: Collection[str]) -> None:
    """Refuse a name that nobody has. ActionError (NoSuchPlugin) says who there is."""
    if name is None or name in there:
        return
    meant = near(name, sorted(there))
    raise ActionError(
        f"no plugin is named '{name}'; "
        + (f"did you mean '{meant}'? " if meant else "")
        + f"there are: {', '.join(sorted(there)) or 'none'}",
        reason="NoSuchPlugin",
        permanent=True,
    )
