"""Changes limits of a running pod in place, and sees whether the node did it."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import POD, STATEFUL_SET, name_of
from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError
from orchestrator.runtime.kubernetes import container, identity, pods
from orchestrator.runtime.kubernetes.look import Look, Seen, set_limits
from orchestrator.spec.model import Resources

RESIZE_S = 30.0
LOOK_S = 1.0
_PLACE = "containers/0/resources"


class Resizing:
    def __init__(self, cluster: Cluster, look: Look) -> None:
        self._cluster = cluster
        self._look = look

    async def change(self, name: str, resources: Resources) -> None:
        """See `Runtime.update`. What was refused is as it was before."""
        seen = await self._look.of(name)
        if seen.pod is None or seen.workload is None or pods.phase(seen.pod) is not Phase.RUNNING:
            raise ActionError(f"{name} does not run: start it", reason="NotRunning")
        before = set_limits(seen.workload)
        await self._resize(name, seen, resources)
        try:
            await self._until_held(name, resources)
        except ActionError:
            if before is not None:
                await self._resize(name, seen, before)
            raise
        limits = msgspec.json.encode(resources).decode()
        place = f"/metadata/annotations/{identity.LIMITS.replace('/', '~1')}"
        self._look.take(
            await self._cluster.patch(
                STATEFUL_SET,
                name_of(seen.workload),
                [
                    {"op": "add", "path": place, "value": limits},
                    _step(f"/spec/template/spec/{_PLACE}", resources),
                ],
            )
        )

    async def _resize(self, name: str, seen: Seen, resources: Resources) -> None:
        assert seen.pod is not None  # noqa: S101 - `change` looked
        steps = [_step(f"/spec/{_PLACE}", resources)]
        try:
            await self._cluster.patch(POD, name_of(seen.pod), steps, subresource="resize")
        except ActionError as error:
            raise ActionError(
                f"{name} cannot be given {_words(resources)} while it runs: {error}",
                reason="UpdateRefused",
            ) from error

    async def _until_held(self, name: str, resources: Resources) -> None:
        end = time.monotonic() + RESIZE_S
        wanted = container.limits(resources)["limits"]
        ours = round(pods.quantity(wanted["memory"])), pods.quantity(wanted["cpu"])
        with self._look.listening(name) as changed:
            while True:
                changed.clear()
                pod = (await self._look.of(name)).pod
                if pod is None or pods.phase(pod) is not Phase.RUNNING:
                    raise ActionError(f"{name} ended meanwhile: start it", reason="NotRunning")
                if pods.limits(pod) == ours:
                    return
                said = pods.resizing(pod)
                if said is not None or time.monotonic() > end:
                    why = f"{said.reason}: {said.message}" if said else "its node does not do it"
                    raise ActionError(
                        f"{name}: the new limit is {_words(resources)}, and the cluster keeps the old "
                        f"one: {why}; give it more, or restart it",
                        reason="UpdateRefused",
                    )
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await changed.wait()


def _step(path: str, resources: Resources) -> Mapping[str, Any]:
    return {"op": "replace", "path": path, "value": container.limits(resources)}


def _words(resources: Resources) -> str:
    return f"{resources.memory / 2**20:.0f} MiB"
