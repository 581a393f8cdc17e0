"""The Kubernetes runtime: each plugin a workload of the cluster, which restarts it. Port `Runtime`."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import POD
from orchestrator.decide.state import Instance, Isolation
from orchestrator.errors import Problem
from orchestrator.launch import Launch
from orchestrator.ports import Capabilities, LogLine
from orchestrator.runtime.kubernetes import look, output, policies
from orchestrator.runtime.kubernetes.births import Births
from orchestrator.runtime.kubernetes.egress import Egress
from orchestrator.runtime.kubernetes.look import Look
from orchestrator.runtime.kubernetes.objects import Ground
from orchestrator.runtime.kubernetes.resizing import Resizing
from orchestrator.runtime.kubernetes.stops import Stops
from orchestrator.spec.model import Resources

AT_ONCE = 64
"""Starts that wait for their pods at a time: nodes do the work, and a wait costs nothing."""
STARTING, STOPPING = 12, 6
"""Their requests under way. Stops do not wait for starts, and what is kept or halted waits for neither."""


class KubernetesRuntime:
    """Instances of one project as workloads of one namespace.

    Args:
        project: the release; its objects are told by this name from those of others.
        cluster: open; it owns the connections and the watches.
        ground: what all pods of the namespace have in common.
    """

    name = "kubernetes"

    def __init__(self, project: str, cluster: Cluster, ground: Ground) -> None:
        self._cluster = cluster
        self._look = Look(project, cluster)
        starting = cluster.apart(STARTING)
        self._egress = Egress(project, starting, ground)
        self._births = Births(project, starting, self._look, ground, self._egress)
        self._stops = Stops(project, cluster.apart(STOPPING), self._look)
        self._resizing = Resizing(cluster, self._look)
        self._starting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._knows = False
        self.capabilities = Capabilities(
            update_in_place=True,
            restarts_by_itself=True,
            reads_kernel=False,
            limits_processes=False,
            bounds_storage=False,
            keeps_output=False,
            runs_folders=False,
            # No kubelet lets go of a stop that it has begun (kubernetes/kubernetes#83916).
            hurries=False,
            at_once=AT_ONCE,
        )

    async def observe(self) -> Mapping[str, Instance]:
        """Return every instance of this project: no call where nothing changed."""
        if not self._knows:
            # Before any plan is made of it. Kubernetes resizes pods since 1.33.
            can = await self._cluster.serves(POD, "resize")
            self.capabilities = replace(self.capabilities, update_in_place=can)
            self._knows = True
        return await self._look.now()

    async def start(self, launch: Launch) -> None:
        """Write what is not as wanted, or adopt (see the port).

        ActionError has the cluster's reason and words: ImagePullBackOff, Unschedulable, QuotaExceeded.
        The cluster goes on trying; starting again only waits again.
        """
        async with self._starting[launch.name]:
            await self._births.begin(launch)

    async def stop(self, name: str, *, grace: timedelta, cause: str) -> None:
        """SIGTERM, at most `grace` (whole seconds, at least one), then the whole pod.

        One that was asked for before with more grace is waited for: its kubelet hears of no shorter one.
        """
        await self._stops.end(name, grace_s=grace.total_seconds(), cause=cause)

    async def remove(self, name: str, *, delete_data: bool) -> None:
        """Forget a stopped instance. ActionError (StillRunning) if it runs: stop it first."""
        await self._stops.remove(name, delete_data=delete_data)
        await self._egress.gone(name)

    async def update(self, name: str, resources: Resources) -> None:
        """Change memory and CPU of a running pod in place; its processes are not limited."""
        await self._resizing.change(name, resources)

    def logs(self, name: str, *, follow: bool, tail: int) -> AsyncIterator[LogLine]:
        """See `output.read`. Nothing for an instance that is not there."""
        return output.read(self._cluster, self._look, name, follow=follow, tail=tail)

    async def events(self) -> AsyncIterator[None]:
        """Yield when something may have changed; at once when it listens."""
        with self._look.listening() as changed:
            await self._look.now()
            while True:
                yield None
                await changed.wait()
                changed.clear()

    def no_own_network(self) -> Problem | None:
        return policies.NO_OWN_NETWORK

    async def isolation(self) -> Isolation:
        """Return what every pod of ours has, and which version of Kubernetes gives it."""
        version = await self._cluster.version()
        return Isolation(3, (f"Kubernetes {version}", *look.ALWAYS), look.NEVER)

    async def close(self, *, delete_data: bool) -> None:
        """Delete the data of the project, if wanted; nothing else was made for it as a whole."""
        if delete_data:
            await self._stops.delete_all_data()
