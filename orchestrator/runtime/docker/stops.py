"""Ends containers: a word, a grace, a kill; and the reason, written down first. Blocking."""

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from orchestrator.errors import ActionError, ConflictError
from orchestrator.runtime.docker import places, word
from orchestrator.runtime.docker.engine import Engine
from orchestrator.runtime.docker.identity import Label
from orchestrator.runtime.docker.places import Places

KILL_S = 15.0
RUNNING = frozenset({"running", "paused", "restarting"})
Found = Callable[[str], list[tuple[Label, Mapping[str, Any]]]]


class Stops:
    """`found`: the containers of an instance, by its name. `ended`: is told who ended, before we return."""

    def __init__(
        self, engine: Engine, there: Places, found: Found, ended: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._places = there
        self._found = found
        self._ended = ended

    def end(self, name: str, *, grace_s: float, reason: str, cause: str) -> None:
        """SIGTERM, at most `grace_s`, then SIGKILL for all of it. Absent or stopped is success."""
        for _, listed in self._found(name):
            if listed["State"] in RUNNING:
                container = str(listed["Id"])
                self._note(name, reason, cause)
                if listed["State"] == "paused":
                    with suppress(ConflictError):  # somebody was quicker
                        self._engine.unpause(container)
                try:
                    self._end(name, container, listed["Pid"], grace_s)
                finally:
                    self._ended(container)

    def _end(self, name: str, container: str, pid: int, grace_s: float) -> None:
        if grace_s > 0:
            deadline = time.monotonic() + grace_s
            if not word.told(container, pid, signal.SIGTERM):
                self._engine.kill(container, signal.SIGTERM)
            if self._engine.ended(container, within_s=deadline - time.monotonic()):
                return
        self._engine.kill(container, signal.SIGKILL)
        if not self._engine.ended(container, within_s=KILL_S):
            raise ActionError(f"{name} cannot be killed", reason="LeftoverAlive")

    def _note(self, name: str, reason: str, cause: str) -> None:
        """Whoever comes after us knows that its end was no accident."""
        path = self._places.run(name) / places.STOPPING
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            places.record(path, {"reason": reason, "cause": " ".join(cause.split())})
