"""How long nobody leads on a cluster: a release with two controllers, whose leader ends in three ways."""

import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import LEASE
from orchestrator.cluster.place import Place
from tests.benchmarks.figure import Figure
from tests.worlds import cluster as clusters
from tests.worlds.release import Release

TIMES = 3
WITHIN_S = 120
CONTROLLERS = "app.kubernetes.io/component=controller"


def measure() -> list[Figure]:
    try:
        with (
            clusters.found() as there,
            there.namespace() as namespace,
            tempfile.TemporaryDirectory(prefix="ntp-bench-failover-") as folder,
        ):
            there.define()
            release = Release(there, namespace, Path(folder))
            release.install({"defaults": None, "controller": {"replicas": 2}})
            return [_figure(release, *way) for way in WAYS]
    except clusters.AbsentClusterError as error:
        print(f"no figures of a cluster: {error}", file=sys.stderr)
        return []


def _delete(release: Release, pod: str) -> None:
    release.kubectl("delete", "pod", pod, "--wait=false")


def _kill(_release: Release, pod: str) -> None:
    os.kill(_process(pod), signal.SIGKILL)


def _pause(_release: Release, pod: str) -> None:
    """Stop it for good: what a node that is lost, or cut off, does to it."""
    os.kill(_process(pod), signal.SIGSTOP)


def _process(pod: str) -> int:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"orchestrator" in command and f"NTP_POD={pod}".encode() in environment.split(b"\0"):
            return int(entry.name)
    raise AssertionError(f"the leader's process in {pod} is not on this machine")


WAYS: tuple[tuple[str, Callable[[Release, str], None], str], ...] = (
    (
        "its pod is deleted",
        _delete,
        "It gives its lease back, and the other looks every two seconds.",
    ),
    (
        "`kill -9`",
        _kill,
        (
            "Its kubelet starts it again, and who is started anew in a pod waits for no lease of that pod. Where "
            "that takes long, as after a second kill, the other has it after 15 s."
        ),
    ),
    (
        "it is paused",
        _pause,
        (
            "As with a node that is lost: nobody gives the lease back or starts it again, so it has to run out, "
            "15 s after it was renewed last."
        ),
    ),
)


def _figure(release: Release, what: str, end: Callable[[Release, str], None], note: str) -> Figure:
    took = [asyncio.run(_once(release, end)) for _ in range(TIMES)]
    print(f"  {what}: {took}", file=sys.stderr, flush=True)
    return Figure(
        f"the leader of two controllers ends, {what}: until another leads",
        f"{statistics.median(took):.1f} s",
        f"at most {max(took):.1f} s of {TIMES}",
        target="< 20 s",
        note=note,
    )


def _renewed(release: Release) -> set[str]:
    """Return two fresh pods: one that was killed before is started again ever later."""
    release.kubectl("delete", "pods", "-l", CONTROLLERS, "--grace-period=1")
    words = ("rollout", "status", "deployment/ntp-controller", f"--timeout={WITHIN_S}s")
    release.kubectl(*words)
    return {*release.pods(CONTROLLERS)}


async def _once(release: Release, end: Callable[[Release, str], None]) -> float:
    pods = await asyncio.to_thread(_renewed, release)
    place = Place(kubeconfig=release.cluster.kubeconfig, namespace=release.namespace)
    async with asyncio.timeout(WITHIN_S), Cluster(place) as cluster:
        leases, changed = cluster.informer(LEASE), asyncio.Event()

        async def until(claim: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            while True:
                changed.clear()
                body = (await leases.objects()).get(release.name)
                if body is not None and claim(body["spec"]):
                    return dict(body["spec"])
                await changed.wait()

        with leases.listening(changed):
            before = await until(lambda spec: _holder(spec) in pods)
            held, leader = int(before.get("leaseTransitions") or 0), _holder(before)
            began = time.monotonic()
            await asyncio.to_thread(end, release, leader)
            await until(
                lambda spec: (
                    bool(spec.get("holderIdentity"))
                    and int(spec.get("leaseTransitions") or 0) > held
                )
            )
            return time.monotonic() - began


def _holder(spec: dict[str, Any]) -> str:
    """Return the pod that has the lease; empty: it was given back."""
    return str(spec.get("holderIdentity") or "").partition("_")[0]
