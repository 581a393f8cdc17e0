"""The controller of a cluster with COUNT plugins whose pods nobody runs; says what it cost.

    python -m tests.benchmarks.scale_controller COUNT NAMESPACE FOLDER

Real: controller, runtime and store of Kubernetes, kube-apiserver, etcd, the cluster's own StatefulSet
controller. Simulated: the node (tests.benchmarks.fake_node, another process), broker and bus, so that
1,000 plugins need no 1,000 containers. Prints lines of JSON: when all run, then what it cost.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from ntp.contract.beat import Beat, Stage
from orchestrator.cluster.calls import Calls
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import POD, STATEFUL_SET, Body, Kind, name_of, selector
from orchestrator.cluster.objects import Objects
from orchestrator.cluster.place import Place
from orchestrator.controller.controller import Controller
from orchestrator.controller.outside import Outside
from orchestrator.decide.report import Outcome
from orchestrator.decide.state import Phase
from orchestrator.launch import Environment, Image
from orchestrator.runtime.kubernetes import identity, pods
from orchestrator.runtime.kubernetes.objects import Ground
from orchestrator.runtime.kubernetes.runtime import KubernetesRuntime
from orchestrator.spec.model import Artifact
from orchestrator.store.kubernetes.lease import ClusterLease, Identity
from orchestrator.store.kubernetes.lease import Tempo as LeaseTempo
from orchestrator.store.kubernetes.store import ClusterStore
from orchestrator.store.secrets import LocalSecrets
from tests.benchmarks import many_entries
from tests.benchmarks.fake_node import SCHEDULER, TOUCHED
from tests.worlds.memory import Machine
from tests.worlds.memory_bus import MemoryBroker, MemoryCatalog

PROJECT = "bench"
PATIENT = LeaseTempo(timedelta(seconds=90), timedelta(seconds=60), timedelta(seconds=2))
"""API server, etcd and everybody else share two cores here: a busy one must not end the measurement."""
DEADLINE = timedelta(minutes=25)
SETTLE_S = 75.0
"""A life counts as a stable one after a minute, which is written down."""
QUIET_S = 30.0
"""Three listings of the controller, and all that it does by itself."""
IMAGE = Image(f"localhost/simulated@sha256:{'0' * 64}", frozenset())


class Unscheduled(Objects):
    """Has pods ask for a scheduler that nobody is."""

    async def apply(self, kind: Kind, body: Body, **how: Any) -> Body:
        if kind is STATEFUL_SET:
            body["spec"]["template"]["spec"]["schedulerName"] = SCHEDULER
        return await super().apply(kind, body, **how)


class Counted(Cluster):
    """Counts what is asked of the API server, whoever's turn it is."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.asked: Counter[str] = Counter()
        self.written = 0
        self._count(self._calls)

    def apart(self, at_once: int) -> Objects:
        calls = self._calls.apart(at_once)
        self._count(calls)
        return Unscheduled(calls)

    def _count(self, calls: Calls) -> None:
        async def ask(method: str, path: str, **given: Any) -> bytes:
            kinds = [part for part in path.split("/") if part.isalpha() and part.endswith("s")]
            self.asked[f"{method} {kinds[-1] if kinds else path}"] += 1
            self.written += method != "GET"
            return await Calls.ask(calls, method, path, **given)

        calls.ask = ask  # type: ignore[method-assign]


class SimulatedBus:
    """Hears a beat of everybody who runs, as their node says."""

    def __init__(self, cluster: Cluster) -> None:
        self._pods = cluster.informer(POD, selector(identity.ours(PROJECT)))
        self.listening_since: datetime | None = datetime.now(UTC)
        self._beats: dict[str, Beat] = {}
        self._lives: set[str] = set()

    def beats(self) -> Mapping[str, tuple[Beat, datetime]]:
        now = datetime.now(UTC)
        return {name: (beat, now) for name, beat in self._beats.items()}

    async def changes(self) -> AsyncIterator[str]:
        changed = asyncio.Event()
        with self._pods.listening(changed):
            while True:
                changed.clear()
                for pod in [*(await self._pods.objects()).values()]:
                    life, label = pods.life(pod), None
                    if life not in self._lives and pods.phase(pod) is Phase.RUNNING:
                        self._lives.add(life)
                        label = identity.read(pod)
                    if label is not None:
                        at = pods.started(pod) or datetime.now(UTC)
                        given = {"at": at, "started": at, "stage": Stage.READY, "number": 1}
                        beat = Beat(label.name, label.kind, life, label.generation, **given)
                        self._beats[label.name] = beat
                        yield label.name
                await changed.wait()

    def attend(self, *, closely: bool) -> None:
        """Nobody beats here."""

    async def control(self, instance: str, payload: Mapping[str, Any]) -> None:
        """Nobody listens here."""


class ImageCatalog(MemoryCatalog):
    """Every plugin is an image, as on a cluster."""

    async def prepare(self, artifact: Artifact) -> Environment:  # noqa: ARG002 (all are the same)
        return Environment(Path("/usr/bin/python3"), (), "sha256:simulated", image=IMAGE)


async def main(count: int, namespace: str, folder: Path) -> None:
    async with Counted(Place(namespace=namespace)) as cluster:
        lease = ClusterLease(
            cluster, PROJECT, identity=Identity("bench", alone=True), tempo=PATIENT
        )
        async with (
            lease,
            ClusterStore.opened(
                cluster, PROJECT, epoch=lambda: lease.epoch, held=lease.held
            ) as store,
        ):
            runtime = KubernetesRuntime(PROJECT, cluster, Ground(broker={"is": "broker"}))
            catalog = ImageCatalog(folder)
            controller = Controller(
                Outside(
                    project=PROJECT,
                    runtime=runtime,
                    broker=MemoryBroker(Machine(), external=True),
                    bus=SimulatedBus(cluster),
                    catalog=lambda _: catalog,
                    store=store,
                    secrets=LocalSecrets(folder, folder=folder, environment={}),
                    lease=lease,
                )
            )
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(controller.run())
                listening = tasks.create_task(_lags(cluster, lags := {}))
                stalls: list[float] = []
                watching = tasks.create_task(_stalls(stalls))
                await _measure(controller, cluster, store, count, lags=lags, stalls=stalls)
                for task in (running, listening, watching):
                    task.cancel()


async def _measure(
    controller: Controller,
    cluster: Counted,
    store: ClusterStore,
    count: int,
    *,
    lags: dict[str, float],
    stalls: list[float],
) -> None:
    bare = _rss()
    began = time.monotonic()
    await _apply(controller, count)
    took = time.monotonic() - began
    asked = dict(cluster.asked)
    told = {
        "converged_s": took,
        "asked": asked,
        "written": cluster.written,
        "bare": bare,
        "stalls": sorted(stalls)[-5:],
        "cpu_s": time.process_time(),
    }
    await asyncio.sleep(SETTLE_S)
    while store.pending:
        await asyncio.sleep(0.1)
    cluster.asked.clear()
    cluster.written = 0
    await asyncio.sleep(QUIET_S)
    renewals = sum(cluster.asked.pop(what) for what in [*cluster.asked] if "leases" in what)
    told["quiet"] = {"asked": dict(cluster.asked), "written": cluster.written - renewals}
    _say(told)
    # The node writes on pods now; it closes our input when it has.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    status = await controller.status(None)
    ready = sum(plugin.ready for plugin in status.plugins)
    _say({"ready": ready, "lags": [*lags.values()], "rss": _rss(), "peak": _rss("VmHWM")})


async def _stalls(stalls: list[float]) -> None:
    """Note how long the loop was away from everybody who waited for it."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.05)
        stalls.append(time.monotonic() - began - 0.05)


async def _lags(cluster: Cluster, lags: dict[str, float]) -> None:
    """Note how long after the node began to write it, each touch is in the controller's copy."""
    found = cluster.informer(POD, selector(identity.ours(PROJECT)))
    changed = asyncio.Event()
    with found.listening(changed):
        while True:
            await changed.wait()
            changed.clear()
            now = time.monotonic()
            for pod in (await found.objects()).values():
                at = (pod["metadata"].get("annotations") or {}).get(TOUCHED)
                key = f"{name_of(pod)} {at}"
                if at is not None and key not in lags:
                    lags[key] = now - float(at)


async def _apply(controller: Controller, count: int) -> None:
    outcome = None
    applying = controller.apply(
        [("plugins.yaml", many_entries.text(count))],
        settings={},
        secrets={},
        expect=None,
        allow_deletes=False,
        pins={},
        wait=True,
        deadline=DEADLINE,
    )
    async with aclosing(applying) as items:
        async for item in items:
            outcome = item
    assert isinstance(outcome, Outcome), outcome
    assert outcome.ready, outcome.waiting[:3]


def _say(told: object) -> None:
    print(json.dumps(told), flush=True)


def _rss(field: str = "VmRSS") -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"the kernel shows no {field}")


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
