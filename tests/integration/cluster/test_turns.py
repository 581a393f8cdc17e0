"""Who waits for whom where the API server is slow: a mass start keeps no store, stop or halt waiting."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP
from orchestrator.launch import Environment, Image
from orchestrator.runtime.kubernetes import objects
from orchestrator.runtime.kubernetes.objects import Ground
from orchestrator.runtime.kubernetes.runtime import AT_ONCE, STARTING, KubernetesRuntime
from tests.worlds.api_server import serving
from tests.worlds.pods import launch

IMAGE = Image(f"registry.example/feed@sha256:{'0' * 64}", frozenset())
RUNS = Environment(Path("/usr/bin/python3"), (), "sha256:0", image=IMAGE)
MARK = CONFIG_MAP.body("mark", data={"by": "one"})


def of(name):
    return replace(launch(name), environment=RUNS, egress=())


def workload(*, replicas):
    body = objects.workload(of("old"), Ground())
    body["spec"]["replicas"] = replicas
    body["metadata"] |= {"uid": "w", "generation": 1, "resourceVersion": str(9 - replicas)}
    return body | {"status": {"observedGeneration": 1, "replicas": 0}}


class Slow:
    """Answers lists and what is asked of `old` and `mark`; whatever starts ask it answers never."""

    def __init__(self):
        self.held = []
        self.changed = asyncio.Condition()

    async def __call__(self, request):
        parts = request.path.strip("/").split("/")
        name = parts[parts.index("n") + 2 :]
        if "watch" in request.query:
            await asyncio.Event().wait()
        if not name and request.method == "GET":
            found = [workload(replicas=1)] if parts[-1] == "statefulsets" else []
            return web.json_response({"metadata": {"resourceVersion": "8"}, "items": found})
        if name and name[0].startswith("new"):
            async with self.changed:
                self.held.append(name[0])
                self.changed.notify_all()
            await asyncio.Event().wait()
        if parts[-2] == "statefulsets":
            return web.json_response(workload(replicas=0))
        if request.method == "GET":
            return web.json_response({"reason": "NotFound"}, status=404)
        return web.json_response(MARK)


@pytest.mark.timeout(60)
async def test_a_mass_start_on_a_slow_server_keeps_neither_the_store_nor_stops_waiting(tmp_path):
    slow = Slow()
    async with (
        serving(tmp_path, slow) as place,
        Cluster(place) as cluster,
        asyncio.TaskGroup() as group,
    ):
        runtime = KubernetesRuntime("shop", cluster, Ground())
        starts = [group.create_task(runtime.start(of(f"new{each}"))) for each in range(AT_ONCE)]
        async with slow.changed:
            await slow.changed.wait_for(lambda: len(slow.held) == STARTING)
        assert await cluster.replace(CONFIG_MAP, MARK) == MARK
        await runtime.stop("old", grace=timedelta(seconds=1), cause="Halted")
        assert len(slow.held) == STARTING, "no more than these were sent"
        for each in starts:
            each.cancel()
