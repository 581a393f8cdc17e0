"""What the controller decides and observes as Events of the cluster: for `kubectl describe` and its kin.

They are a courtesy: bounded in number and rate, counted where they repeat, and dropped where the API
server does not take them. `ntpctl events` has all.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import EVENT
from orchestrator.errors import ConflictError, NtpError
from orchestrator.ports import Event
from orchestrator.store.kubernetes.packing import labels
from orchestrator.store.kubernetes.plugin_sets import PLUGIN_SET, Set

WAITING: Final = 200
EACH_S: Final = 1.0
BURST: Final = 25
KNOWN: Final = 1_000
LONGEST: Final = 1024
"""Characters of a message, as the API server allows."""
WORTH: Final = frozenset({"Applied", "GaveUp", "StoppedByHand", "StartAsked", "Halted", "Resumed"})
"""Reasons of what is normal and yet worth telling; whatever is a warning is."""


class Announcing:
    def __init__(self, cluster: Cluster, release: str, sets: Callable[[], tuple[Set, ...]]) -> None:
        self._cluster = cluster
        self._release = release
        self._sets = sets
        self._queue: deque[Event] = deque(maxlen=WAITING)
        self._counts: dict[str, int] = {}
        """Of those that we made, the newest last."""
        self._wake = asyncio.Event()
        self._tokens, self._at = float(BURST), time.monotonic()

    def offer(self, event: Event) -> None:
        """Have an event told soon, if it is worth it. Never waits."""
        if event.type == "Warning" or event.reason in WORTH:
            self._queue.append(event)
            self._wake.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._turn()
                event = self._queue.popleft()
                for one in self._about(event):
                    with suppress(NtpError):
                        await self._tell(event, one)

    async def _turn(self) -> None:
        now = time.monotonic()
        self._tokens = min(float(BURST), self._tokens + (now - self._at) / EACH_S)
        self._at = now
        if self._tokens < 1.0:
            await asyncio.sleep((1.0 - self._tokens) * EACH_S)
        self._tokens -= 1.0

    def _about(self, event: Event) -> list[Set]:
        """Return the PluginSets that it is about: that of the plugin, or all of the namespace."""
        sets = list(self._sets())
        own = [one for one in sets if event.name in one.plugins]
        return own or (sets if not event.name else [])

    async def _tell(self, event: Event, one: Set) -> None:
        who = f"{event.name}: " if event.name else ""
        message = f"{who}{event.message}"[:LONGEST]
        same = hashlib.sha256(f"{one.uid}\n{event.reason}\n{message}".encode()).hexdigest()[:16]
        name = f"{one.name}.{same}"
        at = event.at.astimezone(UTC)
        body = self._body(name, event, one, message, at)
        try:
            await self._cluster.create(EVENT, body)
            self._counts[name] = event.count
        except ConflictError:
            # Of one that the controller before us made it is not known how often: twice at least.
            count = self._counts.pop(name, 1) + event.count
            self._counts[name] = count
            await self._cluster.patch(EVENT, name, {"count": count, "lastTimestamp": _time(at)})
        while len(self._counts) > KNOWN:
            del self._counts[next(iter(self._counts))]

    def _body(self, name: str, event: Event, one: Set, message: str, at: datetime) -> Any:
        return EVENT.body(
            name,
            metadata={"labels": labels(self._release)},
            involvedObject={
                "apiVersion": PLUGIN_SET.api_version,
                "kind": PLUGIN_SET.kind,
                "name": one.name,
                "namespace": self._cluster.namespace,
                "uid": one.uid,
            },
            type=event.type,
            reason=event.reason,
            message=message,
            firstTimestamp=_time(at),
            lastTimestamp=_time(at),
            count=event.count,
            source={"component": "ntp"},
            reportingComponent="ntp.dev/controller",
            reportingInstance=self._release,
        )


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
