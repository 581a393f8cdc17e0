"""Since when the tokens of each instance serve: a ConfigMap that the egress proxy mounts, and reads a minute later.

    PROJECT.INSTANCE: GENERATION SINCE    tokens issued before SINCE are withdrawn; generation 0: it is gone
    PROJECT: SINCE                        the same for instances that have no line

A token is issued no earlier than its line says, and later than any token before it: it serves at once, whatever
the proxy has read, and the older ones serve until it has.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from orchestrator.cluster.kinds import CONFIG_MAP, Body
from orchestrator.cluster.objects import Objects
from orchestrator.errors import ActionError

GONE = 0
"""In place of a generation: they begin at 1."""
KEPT = 500
"""Lines of instances that are gone; older ones are summed up in the project's."""


class Line(NamedTuple):
    """`since`: milliseconds since 1970, or one more than the last, where the clock went back."""

    generation: int
    since: int

    def __str__(self) -> str:
        return f"{self.generation} {self.since}"


class Serving:
    """It keeps nothing in memory: another controller may have written since.

    Args:
        project: whose lines these are; the lines of others stay.
        cluster: open.
        body: the ConfigMap without its lines.
        kept: how many lines of instances that are gone.
    """

    def __init__(self, project: str, cluster: Objects, body: Body, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._project = project
        self._cluster = cluster
        self._body = body
        self._going = asyncio.Lock()

    async def issued(self, name: str, generation: int, *, new: bool) -> int:
        """Return when the token of a launch was issued, as soon as no older one serves for long.

        The same generation has the same token, unless the instance is `new`.
        """
        told = await self._told()
        last = _line(told, self._key(name))
        if last is not None and last.generation == generation and not new:
            return last.since
        before = max(_floor(told, self._project), last.since if last else 0)
        made = Line(generation, max(time.time_ns() // 1_000_000, before + 1))
        await self._tell({self._key(name): str(made)})
        return made.since

    async def gone(self, name: str) -> None:
        """Withdraw what an instance has."""
        async with self._going:
            told = await self._told()
            last = _line(told, self._key(name))
            if last is not None and last.generation != GONE:
                told[self._key(name)] = str(Line(GONE, last.since + 1))
                await self._tell({self._key(name): told[self._key(name)], **self._summed_up(told)})

    def _summed_up(self, told: Mapping[str, str]) -> dict[str, str | None]:
        found = ((_line(told, key), key) for key in told if key.startswith(self._key("")))
        old = sorted((line.since, key) for line, key in found if line and line.generation == GONE)
        if len(old) <= self._kept:
            return {}
        dropped = old[: len(old) - self._kept]
        floor = max(_floor(told, self._project), dropped[-1][0])
        return {**{key: None for _, key in dropped}, self._project: str(floor)}

    async def _told(self) -> dict[str, str]:
        found = await self._cluster.get(CONFIG_MAP, self._body["metadata"]["name"])
        return dict((found or {}).get("data") or {})

    async def _tell(self, lines: Mapping[str, str | None]) -> None:
        name = self._body["metadata"]["name"]
        try:
            await self._cluster.patch(CONFIG_MAP, name, {"data": lines})
        except ActionError as refused:
            if refused.reason != "NotFound":
                raise
            await self._cluster.apply(CONFIG_MAP, self._body, force=True)
            await self._cluster.patch(CONFIG_MAP, name, {"data": lines})

    def _key(self, name: str) -> str:
        return f"{self._project}.{name}"


def _line(told: Mapping[str, str], key: str) -> Line | None:
    """Return a line; None: there is none, or somebody wrote something else there."""
    try:
        return Line(*map(int, told.get(key, "").split()))
    except (TypeError, ValueError):
        return None


def _floor(told: Mapping[str, str], project: str) -> int:
    text = told.get(project, "0")
    return int(text) if text.isdecimal() else 0
