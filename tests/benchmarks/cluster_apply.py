"""Thirty plugins on a cluster of one node, beside `kubectl apply` of the very objects that become of them.

The peer's objects are what our controller made: exported, without what the cluster and the owner wrote on
them, in a namespace of their own. Its pods are ready when the kubelet says so; they cannot reach the broker
of the other namespace, so what they do once they run is to ask for it again. Ours are compared by the same
word of the kubelet; and when each has said its first beat, which is what `ntpctl apply` waits for.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import POD, Body
from orchestrator.cluster.place import Place
from orchestrator.decide.state import Phase
from orchestrator.runtime.kubernetes.pods import phase
from tests.benchmarks.figure import Figure
from tests.worlds import cluster as clusters
from tests.worlds.release import Release

PLUGINS = 30
ROUNDS = 3
WITHIN_S = 300
OURS = "app.kubernetes.io/managed-by=ntp,app.kubernetes.io/name=ntp-plugin"
KINDS = ("secrets", "networkpolicies", "statefulsets")
WRITTEN = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences")  # fmt: skip
USUAL = {
    name: {"resources": {"requests": {"cpu": cpu}}, **more}
    for name, cpu, more in (
        ("controller", "50m", {}),
        ("nats", "50m", {"storage": {"size": "8Gi"}}),
    )
}
"""What the chart asks for by itself, where releases of tests are content with less."""
EACH = {"resources": {"memory": "128MB", "cpu": 0.4}}
"""Asks for a tenth of its cores: thirty have room beside what else a node of two has to do."""
ENTRY = (
    "    - {{name: plugin_{number}, plugin: bollinger_strategy, config: {{period: {period}}}}}\n"
)


def measure() -> list[Figure]:
    try:
        with (
            clusters.found() as there,
            there.namespace() as mine,
            there.namespace() as other,
            tempfile.TemporaryDirectory(prefix="ntp-bench-cluster-") as folder,
        ):
            there.define()
            return _figures(Ours(there, mine, Path(folder)), Kubectl(there, other, Path(folder)))
    except clusters.AbsentClusterError as error:
        print(f"no figures of a cluster: {error}", file=sys.stderr)
        return []


def _figures(ours: "Ours", peer: "Kubectl") -> list[Figure]:
    taken: dict[str, list[float]] = {"ours": [], "running": [], "again": [], "peer": []}
    for turn in range(ROUNDS):
        if turn:
            taken["peer"].append(peer.up())
            peer.down()
        running, ready = ours.up()
        taken["running"].append(running)
        taken["ours"].append(ready)
        taken["again"].append(ours.apply())
        if not turn:
            peer.take(ours.exported())
        ours.down()
    taken["peer"].append(peer.up())
    print(f"  {taken}", file=sys.stderr, flush=True)
    middle = {what: statistics.median(found) for what, found in taken.items()}
    plain = f"`kubectl apply` of the same objects {middle['peer']:.1f} s"
    of = f"{PLUGINS} plugins on a cluster of one node"
    return [
        Figure(
            f"{of}: from the command until all pods are ready",
            f"{middle['running']:.1f} s",
            plain,
            ratio=middle["running"] / middle["peer"],
            target="<= 1.1x",
            note=f"Medians of {ROUNDS} rounds in turn, by the kubelet's word for both. The peer's are the "
            f"{len(KINDS) * PLUGINS} objects that our controller made, in a namespace of their own; they reach "
            "no broker, and need none to be called ready.",
        ),
        Figure(
            f"{of}: from the command until each has said its first beat",
            f"{middle['ours']:.1f} s",
            f"{plain}, until their pods are ready",
            ratio=middle["ours"] / middle["peer"],
            note="More than the peer is asked for: nobody hears from its plugins.",
        ),
        Figure(
            f"{of}: the same command again, nothing to do",
            f"{middle['again']:.1f} s",
        ),
    ]


class Ours:
    """A release, by its commands."""

    def __init__(self, cluster, namespace: str, folder: Path) -> None:
        self.folder = folder / "ours"
        self.folder.mkdir()
        self.release = Release(cluster, namespace, self.folder)
        # The plugins come later, and bring these; none of them needs the proxy.
        self.release.install({"defaults": None, "egressProxy": {"enabled": False}, **USUAL})
        self.release.kubectl("rollout", "status", "deployment/ntp-controller", "--timeout=120s")

    def up(self) -> tuple[float, float]:
        """Return the seconds until all pods are ready, and until all plugins are."""
        self._declare(PLUGINS)
        return _timed(self.release.cluster.kubeconfig, self.release.namespace, self.apply)

    def apply(self) -> float:
        began = time.monotonic()
        self.release.ntpctl("apply", "--yes", "--allow-deletes", within_s=WITHIN_S)
        return time.monotonic() - began

    def exported(self) -> list[dict]:
        found = self.release.get(",".join(KINDS), "-l", OURS)["items"]
        return sorted(found, key=lambda each: KINDS.index(_plural(each)))

    def down(self) -> None:
        self._declare(0)
        self.apply()
        self.release.until(lambda: not self.release.pods(OURS))

    def _declare(self, count: int) -> None:
        entries = "".join(ENTRY.format(number=number, period=20) for number in range(count))
        plugins = f"plugins:\n  strategies:\n{entries}" if count else "plugins: {}\n"
        (self.folder / "plugins.yaml").write_text(
            f"name: ntp\ndefaults: {json.dumps(EACH)}\n{plugins}"
        )


class Kubectl:
    """The peer."""

    def __init__(self, cluster, namespace: str, folder: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.file = folder / "objects.json"

    def take(self, bodies: list[dict]) -> None:
        for body in bodies:
            body.pop("status", None)
            body["metadata"] = {
                key: value
                for key, value in body["metadata"].items()
                if key not in {*WRITTEN, "namespace"}
            }
        listed = {"apiVersion": "v1", "kind": "List", "items": bodies}
        self.file.write_text(json.dumps(listed))

    def up(self) -> float:
        ready, applied = _timed(
            self.cluster.kubeconfig, self.namespace, lambda: self._kubectl("apply", "-f", self.file)
        )
        return max(ready, applied)

    def down(self) -> None:
        self._kubectl("delete", "-f", self.file, "--wait=true")
        self._kubectl("wait", "pods", "--all", "--for=delete", f"--timeout={WITHIN_S}s")

    def _kubectl(self, *words) -> str:
        found: str = self.cluster.kubectl("-n", self.namespace, *words, within_s=WITHIN_S)
        return found


def _plural(body: dict) -> str:
    return next(kind for kind in KINDS if body["kind"].lower() in {kind[:-1], kind[:-3] + "y"})


def _timed(kubeconfig: str, namespace: str, command: Callable[[], object]) -> tuple[float, float]:
    """Run a command; return the seconds until all pods are ready, and until it returned."""

    async def run() -> tuple[float, float]:
        place = Place(kubeconfig=kubeconfig, namespace=namespace)
        async with asyncio.timeout(WITHIN_S), Cluster(place) as cluster:
            pods = cluster.informer(POD, OURS)
            await pods.objects()
            began = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.to_thread(command))
                changed = asyncio.Event()
                with pods.listening(changed):
                    while sum(map(_is_ready, (await pods.objects()).values())) < PLUGINS:
                        await changed.wait()
                        changed.clear()
                ready = time.monotonic() - began
            return ready, time.monotonic() - began

    return asyncio.run(run())


def _is_ready(pod: Body) -> bool:
    """Tell whether the kubelet calls a pod ready, whose container has no probe: it runs."""
    return bool((pod.get("status") or {}).get("containerStatuses")) and phase(pod) is Phase.RUNNING
