"""1,000 plugins on a cluster: what they cost the API server, and what the controller weighs.

Real: the chart's controller (`ntpctl serve`), kube-apiserver, etcd, the cluster's own StatefulSet controller, and a
nats-server with the accounts and streams of all. Simulated: the node, and the plugins' beats.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestrator.app.declared_spec import spec_of
from orchestrator.bus.authority import Authority
from orchestrator.bus.external import OPERATOR, SYSTEM
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import POD, selector
from orchestrator.cluster.place import Place
from orchestrator.runtime.kubernetes import identity
from orchestrator.store.kubernetes.plugin_sets import PLUGIN_SET
from tests.benchmarks import many_entries, project, rig
from tests.benchmarks.fake_node import FakeNode
from tests.benchmarks.figure import Figure, percentile
from tests.benchmarks.simulated_beats import SimulatedBeats
from tests.worlds import cluster as clusters
from tests.worlds import nats_cluster

PROJECT = "bench"
COUNT = int(os.environ.get("NTP_BENCH_PLUGINS", "1000"))
TOUCHES = 100
DEADLINE_S = 1800.0
SETTLE_S = 75.0
"""A life counts as a stable one after a minute, which is written down."""
QUIET_S = 30.0
"""Three listings of the controller, and all that it does by itself."""
LOOK_S = 1.0
IMAGE = f"localhost/simulated@sha256:{'0' * 64}"
STORE = 1 << 40
"""What JetStream may promise: 38 MiB a strategy. Nothing is written into it."""
MIB = 1 << 20


def measure() -> list[Figure]:
    try:
        with (
            clusters.found() as there,
            there.namespace() as namespace,
            tempfile.TemporaryDirectory(prefix="ntp-bench-scale-") as folder,
            nats_cluster.cluster(Path(folder, "nats"), size=1, store=STORE) as nats,
        ):
            there.define()
            os.environ["KUBECONFIG"] = there.kubeconfig
            return _figures(asyncio.run(_run(namespace, Path(folder), nats)))
    except clusters.AbsentClusterError as error:
        print(f"scale: left out, {error}", file=sys.stderr)
        return []


class _Controller:
    """The measured process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode()

    async def counted(self) -> dict[str, Any]:
        """Return what was counted since the last time."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        line = await self.line()
        assert line.startswith("{"), f"the controller lost its lease, or ended: {line!r}"
        told: dict[str, Any] = json.loads(line)
        return told

    def memory(self, field: str = "VmRSS") -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = next(each for each in status.splitlines() if each.startswith(f"{field}:"))
        return int(found.split()[1]) * 1024

    def check(self) -> None:
        """AssertionError: it has ended."""
        assert self._process.returncode is None, f"it ended with {self._process.returncode}"

    def cpu_s(self) -> float:
        return rig.cpu_s(self._process.pid)


async def _run(namespace: str, folder: Path, nats: nats_cluster.Cluster) -> dict[str, Any]:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(Place(namespace=namespace)) as cluster,
        _controller(namespace, folder, nats) as controller,
    ):
        pods = cluster.informer(POD, selector(identity.ours(PROJECT)))
        node = FakeNode(cluster, selector(identity.ours(PROJECT)))
        keys = Authority(folder / PROJECT / "broker" / "keys", project=PROJECT, external=nats.external)  # fmt: skip
        beats = SimulatedBeats(pods, nats.address(0), keys.core_credentials())
        async with asyncio.TaskGroup() as tasks:
            going = [tasks.create_task(node.run()), tasks.create_task(beats.run())]
            found = await _measure(cluster, node, controller)
            for task in going:
                task.cancel()
        return found | {"beats": beats.sent}


@asynccontextmanager
async def _controller(
    namespace: str, folder: Path, nats: nats_cluster.Cluster
) -> AsyncIterator[_Controller]:
    """Yield it once it leads."""
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    for name, content in ((OPERATOR, nats.external.operator_seed), (SYSTEM, nats.external.system_credentials)):  # fmt: skip
        (keys / name).touch(mode=0o600)
        (keys / name).write_bytes(content)
    images = folder / "images.yaml"
    images.write_text("".join(f"{each}: {IMAGE}\n" for each in many_entries.PLUGINS))
    with (folder / "log").open("w+") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.benchmarks.scale_controller"),
            *("serve", "--project", PROJECT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=project.ROOT,
            env={
                **os.environ,
                "MALLOC_MMAP_THRESHOLD_": "131072",
                "NTP_RUNTIME": "kubernetes",
                "NTP_NAMESPACE": namespace,
                "NTP_NATS": f"nats://{nats.address(0)}?keys={keys}",
                "NTP_METRICS": "127.0.0.1:0",
                "NTP_STATE": str(folder),
                "NTP_CACHE": str(folder / "cache"),
                "NTP_PLUGIN_IMAGES": str(images),
                "NTP_BROKER_PODS": "app.kubernetes.io/component=nats",
                "NTP_POD": f"{PROJECT}-controller",
            },
        )
        controller = _Controller(process)
        try:
            assert "leads" in await controller.line()
            yield controller
        except Exception as error:
            log.seek(0)
            error.add_note(log.read()[-3000:])
            raise
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _measure(cluster: Cluster, node: FakeNode, controller: _Controller) -> dict[str, Any]:
    bare = controller.memory()
    spec = spec_of([("plugins.yaml", many_entries.text(COUNT))])
    await controller.counted()
    before, began = controller.cpu_s(), time.monotonic()
    await cluster.create(PLUGIN_SET, PLUGIN_SET.body(PROJECT, spec=spec))
    while await _ready(cluster) < COUNT:
        controller.check()
        await asyncio.sleep(LOOK_S)
    found = {"took_s": time.monotonic() - began, "cpu_s": controller.cpu_s() - before}
    start = await controller.counted()
    await asyncio.sleep(SETTLE_S)
    while (await controller.counted())["pending"]:
        await asyncio.sleep(LOOK_S)
    await asyncio.sleep(QUIET_S)
    quiet = await controller.counted()
    await _touch(cluster, node)
    while len(lags := (await controller.counted())["lags"]) < TOUCHES:
        await asyncio.sleep(LOOK_S)
    assert await _ready(cluster) == COUNT
    memory = {"bare": bare, "rss": controller.memory(), "peak": controller.memory("VmHWM")}
    return found | memory | {"start": start, "quiet": quiet, "lags": lags}


async def _ready(cluster: Cluster) -> int:
    """Return how many are ready, as the PluginSet says."""
    body = await cluster.get(PLUGIN_SET, PROJECT) or {}
    ready, _, of = str((body.get("status") or {}).get("ready") or "0/0").partition("/")
    return int(ready) if of == str(COUNT) else 0


async def _touch(cluster: Cluster, node: FakeNode) -> None:
    pods = cluster.informer(POD, selector(identity.ours(PROJECT)))
    names = sorted(await pods.objects())
    for number in range(TOUCHES):
        await node.touch(names[number * 7 % len(names)])
        await asyncio.sleep(0.05)


def _figures(found: dict[str, Any]) -> list[Figure]:
    start, quiet, lags = found["start"], found["quiet"], found["lags"]
    asked = start["asked"]
    each = sum(asked.values()) / COUNT
    kinds = ", ".join(f"{what} {number / COUNT:.1f}" for what, number in sorted(asked.items()) if number >= COUNT / 2)  # fmt: skip
    of = f"{COUNT:,} plugins on a cluster (their node is simulated)"
    return [
        Figure(
            f"{of}: from the PluginSet until all are ready",
            f"{found['took_s']:.0f} s",
            f"{found['took_s'] / COUNT * 1e3:.0f} ms each",
            note="The controller is `ntpctl serve` as the chart runs it; kube-apiserver, etcd, the StatefulSet controller "
            "and a nats-server with all accounts and streams are real; a fake node says of each pod that it runs, and "
            "one sender beats for all, each once a second. All on one machine. "
            f"The controller took {found['cpu_s']:.0f} s of a processor; its loop was away from others for "
            f"{start['away'] * 1e3:.0f} ms at most.",
        ),
        Figure(
            f"{of}: calls of the API a plugin",
            f"{each:.1f}, {start['written'] / COUNT:.1f} of them writes",
            note=f"A plugin: {kinds}.",
        ),
        Figure(
            f"{of}: resident memory of the controller",
            f"{found['rss'] / MIB:.1f} MiB",
            f"with none {found['bare'] / MIB:.1f} MiB; at most {found['peak'] / MIB:.1f} MiB",
            target="120 MB",
            note=f"{found['rss'] / 1e6:.1f} MB, with the bus: {found['beats']:,} beats were heard until then.",
        ),
        Figure(
            f"{of}: {QUIET_S:.0f} s in which nothing changes",
            f"{quiet['written']} writes, {sum(quiet['asked'].values())} calls in all",
            target="0 writes, at most 1 list a kind",
            note="Beside the renewals of the lease, one every two seconds: "
            f"{', '.join(f'{what} {number}' for what, number in sorted(quiet['asked'].items())) or 'none'}.",
        ),
        Figure(
            f"{of}: from a node's write to the controller's copy, p50 / p99 of {len(lags)}",
            f"{percentile(lags, 0.5) * 1e3:.0f} ms / {percentile(lags, 0.99) * 1e3:.0f} ms",
            note="With etcd's write in it.",
        ),
    ]
