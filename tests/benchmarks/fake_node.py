"""A simulated node: it starts nothing, and says of every pod of a namespace that it runs.

The pods ask for a scheduler that nobody is, so no real node takes them; what a kubelet would write about
them is written here, to the real API server.
"""

import asyncio
import time
from datetime import UTC, datetime

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import POD, Body, name_of
from orchestrator.errors import NtpError

SCHEDULER = "simulated-node"
SIMULATED = "simulated"
"""Image of containers that nobody runs."""
TOUCHED = "ntp.dev/touched"
"""Annotation: the monotonic clock of this machine just before it was written."""
AT_ONCE = 8


class FakeNode:
    """As long as `run` does. `started`: pods that it said to run."""

    def __init__(self, cluster: Cluster, labels: str) -> None:
        self._cluster = cluster
        self._pods = cluster.informer(POD, labels)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.started: set[str] = set()

    async def run(self) -> None:
        changed = asyncio.Event()
        with self._pods.listening(changed):
            async with asyncio.TaskGroup() as tasks:
                while True:
                    changed.clear()
                    for pod in [*(await self._pods.objects()).values()]:
                        uid = pod["metadata"]["uid"]
                        if uid not in self.started:
                            self.started.add(uid)
                            tasks.create_task(self._start(pod))
                    await changed.wait()

    async def touch(self, name: str) -> None:
        """Write on a pod, with the time, as a kubelet writes its status."""
        note = {"metadata": {"annotations": {TOUCHED: f"{time.monotonic():.6f}"}}}
        await self._cluster.patch(POD, name, note)

    async def _start(self, pod: Body) -> None:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        container = pod["spec"]["containers"][0]
        status = {
            "phase": "Running",
            "startTime": now,
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": now}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": SIMULATED,
                    "imageID": SIMULATED,
                    "containerID": f"simulated://{pod['metadata']['uid']}",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": now}},
                    "resources": container["resources"],
                }
            ],
        }
        async with self._turns:
            try:
                await self._cluster.patch(
                    POD, name_of(pod), {"status": status}, subresource="status"
                )
            except NtpError:
                self.started.discard(
                    pod["metadata"]["uid"]
                )  # gone, or the server is busy: once more
