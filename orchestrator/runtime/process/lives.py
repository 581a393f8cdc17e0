"""Notice the end of any shim at once, ours or adopted, without a task or a poll for each."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.runtime.process.folder import RunFolder

POLL_S = 1.0
"""How often to look at those that cannot be waited for: no pidfd left, or none in this kernel."""


class Lives:
    """Waits for the end of every life it was told of. Belongs to one event loop; `close` it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._ends: dict[str, int] = {}
        """Life -> pidfd of its shim."""
        self._polled: dict[str, RunFolder] = {}
        self._over: set[str] = set()
        """Told of once; what is shown for longer, since something of it does not go, is no news."""

    def nudge(self) -> None:
        """Something was begun or ended by ourselves."""
        self._changed.set()

    def follow(self, living: Mapping[str, RunFolder]) -> None:
        """Wait for exactly these: id of a life -> its run folder. Those known already cost nothing."""
        for life in self._ends.keys() - living.keys():
            # Somebody's look saw its end before we did: the news is still ours to tell.
            self._forget(life)
            self.nudge()
        self._polled = {life: self._polled[life] for life in self._polled.keys() & living.keys()}
        self._over &= living.keys()
        for life in living.keys() - self._ends.keys() - self._polled.keys() - self._over:
            self.add(life, living[life])

    def add(self, life: str, folder: RunFolder) -> None:
        """Wait for this one too."""
        pid = folder.shim_pid()
        if pid is None or life in self._ends:
            return  # it is just beginning; the next look knows more
        try:
            end = os.pidfd_open(pid)
        except ProcessLookupError:
            self._end(life)
            return
        except OSError:
            self._polled[life] = folder
            return
        if folder.shim_pid() != pid or not folder.is_held():
            os.close(end)  # it ended before we had hold of it: this may be another process
            self._end(life)
            return
        self._ends[life] = end
        self._loop.add_reader(end, self._end, life)

    async def change(self) -> None:
        """Return when something may have changed since the last call."""
        while not self._changed.is_set():
            try:
                async with asyncio.timeout(POLL_S if self._polled else None):
                    await self._changed.wait()
            except TimeoutError:
                for life in [x for x, folder in self._polled.items() if not folder.is_held()]:
                    self._end(life)
        self._changed.clear()

    def close(self) -> None:
        for life in list(self._ends):
            self._forget(life)

    def _end(self, life: str) -> None:
        self._forget(life)
        self._over.add(life)
        self.nudge()

    def _forget(self, life: str) -> None:
        self._polled.pop(life, None)
        end = self._ends.pop(life, None)
        if end is not None:
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
