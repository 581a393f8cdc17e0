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
        self._wake = asyncio.Event()
        self._wake.set()

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
        """Return who is to be looked at, None: all; they are no longer marked."""
        now = asyncio.get_running_loop().time()
        for name in [name for name, at in self._due.items() if at <= now]:
            del self._due[name]
            self._names.add(name)
        self._names.discard(_LATER)
        names, everybody = self._names, self._all
        self._names, self._all = set(), False
        return None if everybody else names

    async def wait(self, longest: timedelta) -> None:
        """Return when something was marked or is due; after `longest`, less up to a third, mark all."""
        now = asyncio.get_running_loop().time()
        relist = now + longest.total_seconds() * random.uniform(0.67, 1.0)  # noqa: S311 - no secret
        due = min(self._due.values(), default=relist)
        try:
            async with asyncio.timeout_at(min(due, relist)):
                await self._wake.wait()
        except TimeoutError:
            self._all = self._all or relist <= due
        self._wake.clear()
