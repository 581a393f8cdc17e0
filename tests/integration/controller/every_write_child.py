"""A controller that kills itself: `every_write_child.py TRACE N before|after [SKIPPED]`.

The real house with thin wrappers around its ports. Each write is numbered from 1 and told to the file
TRACE; the Nth one ends this process, by SIGKILL, before it was begun or after it was made. N = 0 ends
nothing. SKIPPED, such as `Runtime.remove`, names a write that is claimed and never made: the sabotage
that the checks of this campaign have to see.
"""

import asyncio
import contextlib
import inspect
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.app import on_machine
from orchestrator.app.logging import configure
from orchestrator.control.protocol import SOCKET
from orchestrator.control.server import serving
from orchestrator.controller.controller import Controller
from orchestrator.settings import find
from orchestrator.store.lease import FileLease

WRITES = {
    "Store": {"save", "put", "put_all", "forget", "log", "set"},
    "Runtime": {"start", "stop", "remove", "update", "close"},
    "Broker": {"ensure"},
    "Bus": {"control"},
}


class Trace:
    """Numbers the writes and tells of each: `N begun|made PORT.WRITE INSTANCE`, one line each."""

    def __init__(self, file: Path, fatal: int, side: str, skipped: str) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._fatal, self._side = fatal, side
        self.skipped = skipped
        self._last = 0

    @contextlib.contextmanager
    def write(self, word: str, about: str) -> Iterator[None]:
        self._last += 1
        mine = self._last
        self._tell(mine, "begun", word, about)
        self._end_if(mine, "before")
        yield
        self._tell(mine, "made", word, about)
        self._end_if(mine, "after")

    def _tell(self, *words: object) -> None:
        os.write(self._descriptor, (" ".join(map(str, words)).strip() + "\n").encode())

    def _end_if(self, number: int, side: str) -> None:
        if (number, side) == (self._fatal, self._side):
            os.kill(os.getpid(), signal.SIGKILL)


class Counted:
    """A port: everything goes to the real one, writes through the trace."""

    def __init__(self, port: str, real: Any, trace: Trace) -> None:
        self._port, self._real, self._trace = port, real, trace

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name not in WRITES[self._port]:
            return found
        word = f"{self._port}.{name}"
        return (self._awaited if inspect.iscoroutinefunction(found) else self._called)(word, found)

    def _called(self, word: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **named: Any) -> Any:
            with self._trace.write(word, _about(args)):
                return None if word == self._trace.skipped else real(*args, **named)

        return write

    def _awaited(
        self, word: str, real: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Awaitable[Any]]:
        async def write(*args: Any, **named: Any) -> Any:
            with self._trace.write(word, _about(args)):
                return None if word == self._trace.skipped else await real(*args, **named)

        return write


def _about(args: tuple[Any, ...]) -> str:
    """Return whom a write concerns: a launch says its name, most others are given it first."""
    first = args[0] if args else ""
    named = getattr(first, "name", first)
    return named if isinstance(named, str) else ""


async def serve(trace: Trace) -> None:
    """Run as `orchestrator.app.on_machine.serve` does, with counted ports."""
    settings = find([], project="office")
    async with FileLease(settings.state) as lease, on_machine.outside(settings, lease) as given:
        controller = Controller(
            replace(
                given,
                store=Counted("Store", given.store, trace),
                runtime=Counted("Runtime", given.runtime, trace),
                broker=Counted("Broker", given.broker, trace),
                bus=Counted("Bus", given.bus, trace),
            )
        )
        async with serving(settings.state / SOCKET, controller):
            await controller.run()


if __name__ == "__main__":
    configure()
    file, number, side, *rest = sys.argv[1:]
    asyncio.run(serve(Trace(Path(file), int(number), side, rest[0] if rest else "")))
