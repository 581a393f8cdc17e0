"""The environment of a user who has set nothing of ours."""

import os

OURS = ("NTP_", "PLUGIN_")


def plain() -> dict[str, str]:
    """As ours, without what is set for ntp; no engine answers, whatever the machine has."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
