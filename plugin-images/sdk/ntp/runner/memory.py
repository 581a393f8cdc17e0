"""What a plugin remembers from life to life: how far it had come, and what its objects knew then."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from ntp.connection import Link
from ntp.plugin import BasePlugin
from ntp.runner.core import border
from ntp.runner.core.intake import Intake
from ntp.runner.core.kept import Kept, Mark
from ntp.runner.core.objects import Maker, overrides, snapshots
from ntp.runner.keeper import Keeper

REMEMBER_S = 2.0
"""Seconds between two looks at how far it has come."""
LAG_S = 10.0
"""Of what others wait for: a power cut takes what the bus had captured and not yet written, so whoever
sends it begins again so far back. Longer than a listener needs to remember what it has done."""


class _Look(NamedTuple):
    """What is to be kept from `due` on, once `stored` is done."""

    due: float
    stored: "asyncio.Future[Any] | None"
    objects: dict[str, dict[str, Any]]
    marks: list[Mark]
    at_ms: int


class Memory:
    """Kept as one value, so what belongs together is never apart.

    Args:
        lag_s: how old what is kept has to be.

    Attributes:
        kept: what lies there now.
    """

    def __init__(self, maker: Maker[Any], refusals: border.Refusals, lag_s: float = 0.0) -> None:
        self._maker = maker
        self._refusals = refusals
        self._lag_s = lag_s
        self.kept = Kept()
        self._keeper: Keeper
        self._snapshots = False
        self._looks: deque[_Look] = deque()
        self._at = time.monotonic()
        self._turn = asyncio.Lock()

    async def begin(self, link: Link, plugin: BasePlugin) -> Kept:
        """Take up what the last life left; before any data.

        Raises:
            EndError: the bus does not say what it is.
        """
        self._keeper = Keeper(self._maker.storage, link.bucket)
        self.kept = await self._keeper.load()
        self._snapshots = overrides(plugin, "snapshot", BasePlugin)
        if self._snapshots:
            self._maker.kept = self.kept.objects
        return self.kept

    async def since(self, producers: Iterable[str], now_ms: int) -> Mapping[str, int]:
        """Return since when each is heard; of those that are new it is now, which is kept at once."""
        wanted = set(producers)
        known = {name: at for name, at in self.kept.since.items() if name in wanted}
        since = dict.fromkeys(wanted, now_ms) | known
        if since != self.kept.since:
            await self._save(since=since)
        return since

    @property
    def due(self) -> bool:
        """Whether it is time for another `look`."""
        return time.monotonic() - self._at >= REMEMBER_S

    def look(
        self,
        intake: Intake,
        objects: Mapping[str, BasePlugin],
        *,
        idle: bool,
        stored: "asyncio.Future[Any] | None" = None,
    ) -> None:
        """See how far everything was analysed; between two ticks. `idle`: nothing else has come.

        `stored` is done when what came of it until now was stored. Before that it is not kept, for what
        was analysed counts as done in the next life.
        """
        self._at = time.monotonic()
        known: dict[str, dict[str, Any]] = {}
        if self._snapshots:
            # What no tick has brought back in this life is kept for the next one.
            known = {**self.kept.objects, **snapshots(objects)}
        at_ms = _now_ms() if idle else 0
        self._looks.append(_Look(self._at + self._lag_s, stored, known, intake.marks(), at_ms))

    async def keep(self, *, all_of_it: bool = False) -> None:
        """Keep the newest look that is old enough, or the newest of all, if something has come since."""
        now, ready = time.monotonic(), None
        while self._looks and (all_of_it or self._looks[0].due <= now):
            if self._looks[0].stored is not None and not self._looks[0].stored.done():
                break
            ready = self._looks.popleft()
        if ready is not None and (ready.objects, ready.marks) != (
            self.kept.objects,
            self.kept.marks,
        ):
            at_ms = max(ready.at_ms, self.kept.at_ms)
            await self._save(objects=ready.objects, marks=ready.marks, at_ms=at_ms)

    async def positions(self, quantities: dict[str, str], fills: list[str]) -> bool:
        """Keep what a strategy holds; False: it is not kept, so its fills have to come again."""
        return await self._save(positions=quantities, fills=fills)

    async def lanes(self, marks: list[Mark], lanes: dict[str, list[Mark]], *, idle: bool) -> bool:
        """Keep how far an executor's books have come; False: it is not kept."""
        if (marks, lanes) == (self.kept.marks, self.kept.lanes):
            return True  # the time alone is no news: nothing came, so nothing can be missed
        at_ms = _now_ms() if idle else self.kept.at_ms
        return await self._save(marks=marks, lanes=lanes, at_ms=at_ms)

    async def _save(self, **changes: Any) -> bool:
        async with self._turn:
            kept = msgspec.structs.replace(self.kept, **changes)
            try:
                await self._keeper.save(kept)
            except (
                border.RefusedError,
                OSError,
            ) as error:  # the last one still holds; data goes on
                self._refusals.note(f"what the next life needs was not kept: {error}")
                return False
            self.kept = kept
            return True


def _now_ms() -> int:
    return int(time.time() * 1000)
