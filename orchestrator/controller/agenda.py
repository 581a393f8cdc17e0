"""Wakes the loop: which names are to be looked at, and when something falls due."""

import asyncio
import random
from datetime import timedelta

_LATER = "later"


class Agenda:
    """Marks carry no data, so none can be lost; many marks are one look."""

    def __init__(self) -> None:
        self._all = True
        self._names: set[str] = set()
        self._due: dict[str, float] = {}
        self._relist: float | None = None
        """When all are to be looked at again, however often some of them are until then."""
        self._wake = asyncio.Event()
        self._wake.set()

    @property
    def woken(self) -> bool:
        """Whether something was marked since the last look began."""
        return self._wake.is_set()

    def mark(self, *names: str) -> None:
        self._names.update(names)
        self._wake.set()

    def mark_all(self) -> None:
        self._all = True
        self._wake.set()

    def put_off(self, at: float) -> None:
        """Look at all, but not before `at`, unless something else wakes."""
        self._all = True
        self._due[_LATER] = at

    def wake(self) -> None:
        """Look at the world soon, at nobody in particular."""
        self._wake.set()

    def remind(self, name: str, at: float) -> None:
        """Mark `name` at `at`, in seconds of the loop's clock; replaces an earlier reminder."""
        self._due[name] = at

    def take(self) -> set[str] | None:
        """Return who is to be looked at, None: all; they are no longer marked.

        The look has to begin now: whatever woke until then is seen by it, and wakes for no other.
        """
        self._wake.clear()
        now = asyncio.get_running_loop().time()
        for name in [name for name, at in self._due.items() if at <= now]:
            del self._due[name]
            self._names.add(name)
        self._names.discard(_LATER)
        names, everybody = self._names, self._all
        self._names, self._all = set(), False
        if everybody:
            self._relist = None
        return None if everybody else names

    async def wait(self, longest: timedelta) -> None:
        """Return when something was marked or is due.

        All are marked `longest`, less up to a third, after they were taken last.
        """
        clock = asyncio.get_running_loop().time
        if self._relist is None:
            spread = random.uniform(0.67, 1.0)  # noqa: S311 - no secret
            self._relist = clock() + longest.total_seconds() * spread
        try:
            async with asyncio.timeout_at(min([self._relist, *self._due.values()])):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._all = self._all or clock() >= self._relist
