"""Keeps the status of every PluginSet as things are; written only when it says something else."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog

from orchestrator.cluster.cluster import Cluster
from orchestrator.decide.report import ProjectStatus
from orchestrator.errors import ActionError, NtpError
from orchestrator.store.kubernetes.plugin_sets import PLUGIN_SET, PluginSets, Set
from orchestrator.store.kubernetes.set_status import Decision, status_of

log = structlog.get_logger()
EVERY_S: Final = 0.5
SHARE: Final = 4.0
"""So many times longer than a look took is waited for the next: with many plugins it costs something."""
WORDS_S: Final = 10.0
"""Between two writes of which only the words differ: a message may count seconds."""

REFUSED_S: Final = 30.0
"""How long one whose status was refused is left alone."""


class TellingSets:
    """`glance` says how all plugins are, as of the last look at them."""

    def __init__(
        self, cluster: Cluster, sets: PluginSets, glance: Callable[[], ProjectStatus]
    ) -> None:
        self._cluster = cluster
        self._sets = sets
        self._glance = glance
        self._written: dict[str, tuple[str, dict[str, Any], float]] = {}
        """Name -> uid, the status that we wrote last, and when."""
        self._refused: dict[str, float] = {}
        """Name -> when one whose status was refused is tried again."""
        self.decision: Decision | None = None
        self.writes = 0

    async def run(self) -> None:
        """For ever. The API server being away is nobody's fault here: it is tried again."""
        pause = EVERY_S
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                await self._tell()
                pause = max(EVERY_S, SHARE * (time.monotonic() - began))
            except NtpError as error:
                log.warning("pluginset.status.failed", cause=str(error))
                pause = min(2 * pause, 30.0)

    async def _tell(self) -> None:
        sets = await self._sets.look()
        project = self._glance()
        there = {each.name for each in sets}
        self._written = {name: each for name, each in self._written.items() if name in there}
        self._refused = {name: until for name, until in self._refused.items() if name in there}
        for one in sets:
            if time.monotonic() < self._refused.get(one.name, 0.0):
                continue
            try:
                await self._tell_one(one, project)
            except ActionError as error:
                # Its own affair: the others are told.
                self._refused[one.name] = time.monotonic() + REFUSED_S
                log.warning("pluginset.status.refused", pluginset=one.name, cause=str(error))

    async def _tell_one(self, one: Set, project: ProjectStatus) -> None:
        last_uid, last, at = self._written.get(one.name, ("", {}, 0.0))
        before = last if last_uid == one.uid else msgspec.json.decode(one.told) or {}
        fresh = status_of(one, self.decision, project, before)
        # A new controller says nothing before it has taken up what is there.
        if fresh == before or (self.decision is None and before):
            return
        now = time.monotonic()
        if _essence(fresh) == _essence(before) and now - at < WORDS_S:
            return
        body = PLUGIN_SET.body(one.name, metadata={"uid": one.uid}, status=fresh)
        try:
            self._sets.take(
                await self._cluster.apply(PLUGIN_SET, body, force=True, subresource="status")
            )
        except ActionError as refused:
            if refused.reason != "NotFound":
                raise
            return  # deleted meanwhile
        self.writes += 1
        self._written[one.name] = (one.uid, fresh, now)


def _essence(status: dict[str, Any]) -> Any:
    """Return what of a status is worth a write at once: not its words."""
    return (
        status.get("observedGeneration"),
        status.get("revision"),
        status.get("ready"),
        [(c["type"], c["status"], c["reason"]) for c in status.get("conditions") or ()],
        [(p["name"], p.get("state"), p.get("restarts")) for p in status.get("plugins") or ()],
        status.get("problems"),
    )
