"""Takes an ended container away and keeps what is to be remembered of it. Blocking."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ntp.confine import shim_files
from orchestrator.errors import ActionError
from orchestrator.runtime.docker import output, places
from orchestrator.runtime.docker.engine import AbsentError, Engine
from orchestrator.runtime.docker.identity import Label


def bury(engine: Engine, folder: Path, label: Label, listed: Mapping[str, Any]) -> None:
    """Remove a container that does not run; its output stays in the run folder."""
    container = str(listed["Id"])
    with suppress(AbsentError):
        output.keep(engine, folder, container, since=label.created)
    engine.remove(container)


def forget_life(folder: Path) -> None:
    for name in (places.CONTAINER, places.STOPPING, places.EXIT, places.LIMITS):
        shim_files.remove(str(folder / name))


def insist_ended(name: str, listed: Mapping[str, Any]) -> None:
    """Raise ActionError (StillRunning) where it runs."""
    if listed["State"] in {"running", "paused", "restarting"}:
        raise ActionError(f"{name} runs: stop it first", reason="StillRunning")
