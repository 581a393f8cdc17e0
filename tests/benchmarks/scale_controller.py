"""The command line's `serve` on a cluster, as the chart runs it, that counts what it asks of the API server.

    python -m tests.benchmarks.scale_controller serve --project NAME    with the chart's environment

Two things are of the measurement: StatefulSets have pods ask for a scheduler that nobody is, so that a
simulated node (`tests.benchmarks.fake_node`, another process) takes them; and each line of standard
input is answered by a line of JSON, with what was counted since the last.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from orchestrator import entry
from orchestrator.app import (
    bare_structlog,  # noqa: F401 - as `serve` does, before anybody imports structlog
    on_cluster,
)
from orchestrator.cluster.calls import Calls
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import POD, STATEFUL_SET, Body, Kind, name_of, selector
from orchestrator.cluster.objects import Objects
from orchestrator.controller.outside import Outside
from orchestrator.ports import Store
from orchestrator.runtime.kubernetes import identity
from orchestrator.settings import Settings
from orchestrator.store.kubernetes.beside import beside
from orchestrator.store.kubernetes.lease import ClusterLease
from orchestrator.store.kubernetes.plugin_sets import PluginSets
from orchestrator.store.kubernetes.store import ClusterStore
from tests.benchmarks.fake_node import SCHEDULER, TOUCHED

LOOK_S = 0.05


class Unscheduled(Objects):
    """Has pods ask for a scheduler that nobody is."""

    async def apply(self, kind: Kind, body: Body, **how: Any) -> Body:
        if kind is STATEFUL_SET:
            body["spec"]["template"]["spec"]["schedulerName"] = SCHEDULER
        return await super().apply(kind, body, **how)


class Counts:
    """What happened since the last time that somebody asked."""

    def __init__(self, cluster: Cluster, project: str) -> None:
        self._asked: Counter[str] = Counter()
        self._written = 0
        self._away = 0.0
        self._lags: dict[str, float] = {}
        self._wanted = asyncio.Event()
        self._pods = cluster.informer(POD, selector(identity.ours(project)))
        calls, apart = cluster._calls, cluster.apart

        def counted(at_once: int) -> Objects:
            objects = apart(at_once)
            self._count(objects._calls)
            return Unscheduled(objects._calls)

        self._count(calls)
        cluster.apart = counted  # type: ignore[method-assign]

    def told(self) -> dict[str, Any]:
        self._wanted.set()
        told = {
            "asked": dict(self._asked),
            "written": self._written,
            "away": self._away,
            "lags": [*self._lags.values()],
        }
        self._asked.clear()
        self._written, self._away = 0, 0.0
        return told

    def _count(self, calls: Calls) -> None:
        async def ask(method: str, path: str, **given: Any) -> bytes:
            kinds = [part for part in path.split("/") if part.isalpha() and part.endswith("s")]
            self._asked[f"{method} {kinds[-1] if kinds else path}"] += 1
            self._written += method != "GET"
            return await Calls.ask(calls, method, path, **given)

        calls.ask = ask  # type: ignore[method-assign]

    async def watch_loop(self) -> None:
        """Note how long the loop was away from everybody who waited for it."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(LOOK_S)
            self._away = max(self._away, time.monotonic() - began - LOOK_S)

    async def watch_pods(self) -> None:
        """Note how long after the node began to write it, each touch is in the controller's copy.

        From the first question on: to look at all pods at each change of one costs a start something.
        """
        await self._wanted.wait()
        changed = asyncio.Event()
        with self._pods.listening(changed):
            while True:
                await changed.wait()
                changed.clear()
                now = time.monotonic()
                for pod in (await self._pods.objects()).values():
                    at = (pod["metadata"].get("annotations") or {}).get(TOUCHED)
                    if at is not None:
                        self._lags.setdefault(f"{name_of(pod)} {at}", now - float(at))


def main() -> None:
    opened = on_cluster.outside

    @asynccontextmanager
    async def outside(
        settings: Settings, images: dict[str, str], cluster: Cluster, lease: ClusterLease
    ) -> AsyncIterator[tuple[Outside, PluginSets]]:
        counts = Counts(cluster, settings.project)
        async with (
            opened(settings, images, cluster, lease) as (given, sets),
            beside(counts.watch_loop()),
            beside(counts.watch_pods()),
        ):
            loop = asyncio.get_running_loop()
            loop.add_reader(0, _answer, counts, given.store)
            print("leads", flush=True)
            try:
                yield given, sets
            finally:
                loop.remove_reader(0)
                print("leads no longer", flush=True)

    on_cluster.outside = outside
    entry.main()


def _answer(counts: Counts, store: Store) -> None:
    if not os.read(0, 4096):
        asyncio.get_running_loop().remove_reader(0)
        return
    assert isinstance(store, ClusterStore)
    print(json.dumps({**counts.told(), "pending": store.pending}), flush=True)


if __name__ == "__main__":
    main()
