"""Notice the end of any shim at once, ours or adopted, without a task or a poll for each."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.runtime.process.folder import RunFolder

POLL_S = 1.0
"""How often to look at those that cannot be waited for: no pidfd left, or none in this kernel."""


class Lives:
    """Waits for the end of every shim it was told of. Belongs to one event loop; `close` it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._ends: dict[int, int] = {}
        """pid of a shim -> pidfd"""
        self._polled: dict[str, RunFolder] = {}

    def nudge(self) -> None:
        """Something was begun or ended by ourselves."""
        self._changed.set()

    def follow(self, shims: Mapping[int, RunFolder]) -> None:
        """Wait for these too. `shims`: pid -> run folder that it holds."""
        for pid, folder in shims.items():
            if pid in self._ends or folder.name in self._polled:
                continue
            try:
                end = os.pidfd_open(pid)
            except ProcessLookupError:
                self.nudge()
                continue
            except OSError:
                self._polled[folder.name] = folder
                continue
            if folder.shim_pid() != pid or not folder.is_held():
                os.close(end)  # it ended before we had hold of it: this may be another process
                self.nudge()
                continue
            self._ends[pid] = end
            self._loop.add_reader(end, self._ended, pid)

    async def change(self) -> None:
        """Return when something may have changed since the last call."""
        while not self._changed.is_set():
            try:
                async with asyncio.timeout(POLL_S if self._polled else None):
                    await self._changed.wait()
            except TimeoutError:
                for name in [n for n, folder in self._polled.items() if not folder.is_held()]:
                    del self._polled[name]
                    self.nudge()
        self._changed.clear()

    def close(self) -> None:
        for pid in list(self._ends):
            self._forget(pid)

    def _ended(self, pid: int) -> None:
        self._forget(pid)
        self.nudge()

    def _forget(self, pid: int) -> None:
        end = self._ends.pop(pid)
        self._loop.remove_reader(end)
        os.close(end)


async def ended(folder: RunFolder, *, deadline_s: float) -> bool:
    """Wait until nobody holds the folder; False at the deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    pid, end = folder.shim_pid(), None
    gone = asyncio.Event()
    with suppress(OSError):
        if pid is not None:
            end = os.pidfd_open(pid)
            loop.add_reader(end, gone.set)
    try:
        while folder.is_held():
            left = deadline - loop.time()
            if left <= 0:
                return False
            # The pidfd wakes us at once; the lock alone decides.
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.02 if end is None or gone.is_set() else 1)):
                    await (asyncio.sleep(1) if gone.is_set() else gone.wait())
        return True
    finally:
        if end is not None:
            loop.remove_reader(end)
            os.close(end)
