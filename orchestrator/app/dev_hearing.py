"""What the controller says meanwhile, from threads of its own into one queue."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import app
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.settings import Settings

READY_S = 60.0
PAUSE_S = 0.25
"""Between two questions that nobody answers: no controller is there, or not yet that plugin."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person should know."""

    message: str


@dataclass(frozen=True, slots=True)
class Output:
    """A line that a plugin printed. `stream`: stdout, stderr, or ntp for the runtime's own."""

    name: str
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Ready:
    """How waiting for a save ended. `at`: Unix time; `plugins`: their status; empty: not known."""

    save: int
    at: float
    plugins: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Failed:
    """A plugin of a save did not start; it may be tried again."""

    save: int
    name: str
    state: str
    message: str


Heard = Note | Output | Ready | Failed
_UNDER_WAY = frozenset(
    {"Running", "Exhausted", "Starting", "Waiting", "Preparing", "Stopping", "Stopped", "Unknown"}
)
"""States of a plugin that has not failed, or of which that is not known."""


class Hearing:
    """Nothing in it ends by itself: its threads go with the process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()

    def taken(self) -> Iterator[Heard]:
        """Yield what has come since the last call."""
        while True:
            try:
                yield self._heard.get_nowait()
            except queue.Empty:
                return

    def replay(self, names: Sequence[str], ticks: int) -> None:
        """Have each new life of these plugins shown so many ticks, for as long as this process lives.

        Returns once that is so, or cannot be.
        """
        begun = threading.Event()
        self._spawn(self._hold, list(names), ticks, begun)
        begun.wait(READY_S)

    def follow(self, name: str) -> None:
        """Hear what a plugin prints, over all its lives."""
        self._spawn(self._lines, name)

    def await_ready(self, save: int, names: Sequence[str]) -> None:
        """Say `Ready` once they all are, or `Failed` with the first that is not."""
        self._spawn(self._wait, save, list(names))

    def _spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _hold(self, names: list[str], ticks: int, begun: threading.Event) -> None:
        while True:
            with contextlib.suppress(UnreachableError, ActionError):
                for message in app.call(self._settings, "replay", names=names, ticks=ticks):
                    if not message["ready"]:
                        self._heard.put(Note(message["message"]))
                    begun.set()
            begun.set()
            time.sleep(PAUSE_S)

    def _lines(self, name: str) -> None:
        while True:
            with contextlib.suppress(UnreachableError, ActionError):
                for line in app.call(self._settings, "logs", name=name, follow=True, tail=0):
                    if line.get("event") == "log":
                        self._heard.put(Output(name, line["stream"], line["text"]))
            time.sleep(PAUSE_S)

    def _wait(self, save: int, names: list[str]) -> None:
        plugins: Sequence[Mapping[str, Any]] = ()
        with contextlib.suppress(UnreachableError, ActionError):
            for message in app.call(self._settings, "wait", names=names, deadline=READY_S):
                if message.get("event") == "progress" and message["state"] not in _UNDER_WAY:
                    told = Failed(save, message["name"], message["state"], message["message"])
                    self._heard.put(told)
                    return
                plugins = message.get("result", {}).get("plugins", plugins)
        self._heard.put(Ready(save, time.time(), plugins))
