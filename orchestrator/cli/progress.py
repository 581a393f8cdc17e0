"""Progress of a change on stderr, its outcome on stdout; exit 5 where something was not ready."""

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from orchestrator.cli.failure import say
from orchestrator.cli.output import console, emit
from orchestrator.errors import ActionError

if TYPE_CHECKING:
    from rich.status import Status


_FIGURES = re.compile(r"\d+")
QUIET = frozenset({"Waiting", "Preparing", "Starting", "Stopping"})


class Progress:
    """On a terminal one line that changes; elsewhere a line for each plugin that is ready or failing."""

    def __init__(self, done: str = "ready") -> None:
        self._done = done
        self._status: Status | None = None
        self._ready = -1
        self._said: dict[str, tuple[str, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._status is not None:
            self._status.stop()

    def tell(self, message: dict[str, Any]) -> None:
        words = f"{message['ready']}/{message['total']} {self._done}  {message['name']} {message['state']}"
        if message["message"]:
            # The fix of a problem is told at the end; progress is a line each.
            words += f": {message['message'].splitlines()[0]}"
        if sys.stderr.isatty():
            self._show(words)
        elif self._is_news(message):
            say(words)
        self._ready = message["ready"]

    def _show(self, words: str) -> None:
        from rich.text import Text

        if self._status is None:
            from rich.status import Status

            self._status = Status(Text(words), console=console(stderr=True))
            self._status.start()
        else:
            self._status.update(Text(words))

    def _is_news(self, message: dict[str, Any]) -> bool:
        """Tell whether a line is due: a try that fails as the one before is none."""
        if message["ready"] == self._ready and message["state"] in QUIET:
            return False
        # Counts and countdowns move by themselves.
        said = message["state"], _FIGURES.sub("", message["message"])
        repeats = self._said.get(message["name"]) == said
        self._said[message["name"]] = said
        return message["ready"] != self._ready or not repeats


def outcome_of(messages: Iterable[dict[str, Any]], *, done: str = "ready") -> dict[str, Any]:
    """Print what happens until the outcome; return that."""
    outcome: dict[str, Any] = {}
    with Progress(done) as progress:
        for message in messages:
            if message.get("event") == "progress":
                progress.tell(message)
            elif "result" in message:
                outcome = message["result"]
    return outcome


def conclude(
    outcome: dict[str, Any], *, output: str, done: str = "ready", wait: bool = True
) -> dict[str, Any]:
    """Print the outcome; raise ActionError where it was waited for and is not what was asked for."""
    if output != "table":
        emit(outcome, output)
    waiting = outcome["waiting"]
    if wait and waiting and not outcome["ready"]:
        for each in waiting:
            say(f"{each['name']}: {each['state']}: {each['message']}")
        raise ActionError(f"not everything became {done}")
    return outcome


def settle(messages: Iterable[dict[str, Any]], *, output: str) -> dict[str, Any]:
    """Print what happens until the outcome, and that; raise ActionError where not all are ready."""
    return conclude(outcome_of(messages), output=output)
