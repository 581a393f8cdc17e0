"""1,000 plugins on a cluster: what they cost the API server, and what the controller weighs."""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import POD, selector
from orchestrator.cluster.place import Place
from orchestrator.runtime.kubernetes import identity
from tests.benchmarks import project
from tests.benchmarks.fake_node import FakeNode
from tests.benchmarks.figure import Figure, percentile
from tests.benchmarks.scale_controller import PROJECT, QUIET_S
from tests.worlds import cluster as clusters

COUNT = int(os.environ.get("NTP_BENCH_PLUGINS", "1000"))
TOUCHES = 100
DEADLINE_S = 1800.0
MIB = 1 << 20


def measure() -> list[Figure]:
    try:
        with clusters.found() as there, there.namespace() as namespace:
            os.environ["KUBECONFIG"] = there.kubeconfig
            began, ended = asyncio.run(_run(namespace))
    except clusters.AbsentClusterError as error:
        print(f"scale: left out, {error}", file=sys.stderr)
        return []
    return _figures(began, ended)


async def _run(namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="ntp-bench-scale-") as folder:
        async with asyncio.timeout(DEADLINE_S), Cluster(Place(namespace=namespace)) as cluster:
            node = FakeNode(cluster, selector(identity.ours(PROJECT)))
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(node.run())
                child = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tests.benchmarks.scale_controller"),
                    *(str(COUNT), namespace, folder),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=(log := Path(folder, "log").open("w+")),  # noqa: SIM115 - closed below
                    cwd=project.ROOT,
                )
                try:
                    assert child.stdin is not None
                    assert child.stdout is not None
                    began = await child.stdout.readline()
                    if began:
                        await _touch(cluster, node)
                    child.stdin.close()
                    ended = await child.stdout.readline()
                    await child.wait()
                finally:
                    if child.returncode is None:
                        child.kill()
                        await child.wait()
                    running.cancel()
                    log.seek(0)
                    said = log.read()[-3000:]
                    log.close()
            assert ended, said
            return json.loads(began), json.loads(ended)


async def _touch(cluster: Cluster, node: FakeNode) -> None:
    pods = cluster.informer(POD, selector(identity.ours(PROJECT)))
    names = sorted(await pods.objects())
    for number in range(TOUCHES):
        await node.touch(names[number * 7 % len(names)])
        await asyncio.sleep(0.05)


def _figures(began: dict[str, Any], ended: dict[str, Any]) -> list[Figure]:
    assert ended["ready"] == COUNT, ended
    each = sum(began["asked"].values()) / COUNT
    kinds = ", ".join(f"{what} {number / COUNT:.1f}" for what, number in sorted(began["asked"].items()) if number >= COUNT / 2)  # fmt: skip
    lags, quiet = ended["lags"], began["quiet"]
    of = f"{COUNT:,} plugins on a cluster (their node is simulated)"
    return [
        Figure(
            f"{of}: from `apply` until all are ready",
            f"{began['converged_s']:.0f} s",
            f"{began['converged_s'] / COUNT * 1e3:.0f} ms each",
            note="Controller, runtime, store, kube-apiserver, etcd and its StatefulSet controller are real; "
            "a fake node says of each pod that it runs, broker and bus are in memory. All on one machine. "
            f"The controller took {began['cpu_s']:.0f} s of a processor; its loop was away from others for "
            f"{began['stalls'][-1] * 1e3:.0f} ms at most.",
        ),
        Figure(
            f"{of}: calls of the API a plugin",
            f"{each:.1f}, {began['written'] / COUNT:.1f} of them writes",
            note=f"A plugin: {kinds}.",
        ),
        Figure(
            f"{of}: resident memory of the controller",
            f"{ended['rss'] / MIB:.1f} MiB",
            f"with none {began['bare'] / MIB:.1f} MiB; at most {ended['peak'] / MIB:.1f} MiB",
            target="120 MB",
        ),
        Figure(
            f"{of}: {QUIET_S:.0f} s in which nothing changes",
            f"{quiet['written']} writes, {sum(quiet['asked'].values())} calls in all",
            target="0 writes, at most 1 list a kind",
            note="Beside the renewals of the lease, one every two seconds.",
        ),
        Figure(
            f"{of}: from a node's write to the controller's copy, p50 / p99 of {len(lags)}",
            f"{percentile(lags, 0.5) * 1e3:.0f} ms / {percentile(lags, 0.99) * 1e3:.0f} ms",
            note="With etcd's write in it.",
        ),
    ]
