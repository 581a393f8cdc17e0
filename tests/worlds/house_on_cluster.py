"""A controller on a cluster as a process of its own: real store, Lease and PluginSets; plugins and bus in memory.

    python -m tests.worlds.house_on_cluster PROJECT     with NTP_NAMESPACE, NTP_POD, NTP_STATE and KUBECONFIG

A line of standard input is a Python expression, in which `machine` is what runs; its value is printed.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import structlog

from ntp.contract.names import object_name
from orchestrator.app import on_cluster
from orchestrator.app.cluster_edits import following
from orchestrator.controller.outside import Outside
from orchestrator.settings import find
from orchestrator.store.kubernetes.announcing import Announcing
from orchestrator.store.kubernetes.beside import beside
from orchestrator.store.kubernetes.lease import ClusterLease
from orchestrator.store.kubernetes.plugin_sets import PluginSets
from orchestrator.store.kubernetes.secrets import ClusterSecrets, Values
from tests.worlds.house import FAST
from tests.worlds.memory import Machine, MemoryRuntime
from tests.worlds.memory_bus import MemoryBroker, MemoryBus, MemoryCatalog


def main(project):
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    settings = find(project=project)
    settings.state.mkdir(parents=True, exist_ok=True)
    machine = Machine()

    @contextlib.asynccontextmanager
    async def opened(cluster, lease: ClusterLease):
        async with contextlib.AsyncExitStack() as stack:
            release = object_name(project)
            store = await stack.enter_async_context(on_cluster.stored(cluster, lease, release))
            sets = PluginSets(cluster)
            announcing = Announcing(cluster, release, lambda: sets.now)
            store.told = announcing.offer
            await stack.enter_async_context(beside(announcing.run()))
            values = Values(cluster, f"{release}-secrets")
            said = {"project": project}
            edits = await stack.enter_async_context(following(sets, values, said, store))
            catalog = MemoryCatalog(Path(settings.state))
            given = Outside(
                project=project,
                runtime=MemoryRuntime(machine, name="kubernetes"),
                broker=MemoryBroker(machine),
                bus=MemoryBus(machine),
                catalog=lambda _: catalog,
                store=store,
                secrets=ClusterSecrets(values, key=store.digest_key),
                lease=lease,
                policy=FAST,
                followed=edits,
            )
            loop = asyncio.get_running_loop()
            loop.add_reader(0, answer, {"machine": machine, "store": store, "lease": lease})
            print("leads", lease.epoch, flush=True)
            try:
                yield given, sets
            finally:
                loop.remove_reader(0)
                print("leads no longer", flush=True)

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(on_cluster.take_turns(settings, opened))


def answer(names):
    line = os.read(0, 65536).decode()
    if not line:
        asyncio.get_running_loop().remove_reader(0)
        return
    print(eval(line, {}, names), flush=True)  # noqa: S307 - the test's own words


if __name__ == "__main__":
    main(sys.argv[1])
