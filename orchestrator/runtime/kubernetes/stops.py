"""Ends lives: the workload is set to none, its pod is told, and how it ended is written down."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from orchestrator.cluster.kinds import CLAIM, POD, SECRET, STATEFUL_SET, Body, name_of, selector
from orchestrator.cluster.objects import Objects
from orchestrator.decide.state import Exit, Phase
from orchestrator.errors import ActionError, ConflictError, UnreachableError
from orchestrator.runtime.kubernetes import identity, pods
from orchestrator.runtime.kubernetes.identity import object_name
from orchestrator.runtime.kubernetes.look import (
    Ended,
    Look,
    Seen,
    Stopping,
    end_of,
    has_none,
    rests,
    stopping,
)

MARGIN_S = 60.0
"""Beyond a plugin's own grace: for the kubelet to kill it and to say so."""
LEAST_GRACE_S = 1
"""0 would take the pod's object away at once, whether or not the node has ended it: two could run."""
LOOK_S = 1.0
GONE_S = 60.0


class Stops:
    def __init__(
        self,
        project: str,
        cluster: Objects,
        look: Look,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project = project
        self._cluster = cluster
        self._look = look
        self._clock = clock

    async def end(self, name: str, *, grace_s: float, cause: str) -> None:
        """Stop it, and wait until nothing of it runs. Absent or stopped is success."""
        seen = await self._look.of(name)
        if seen.workload is None:
            return
        if seen.pod is None and rests(seen.workload) and end_of(seen.workload):
            return
        workload = object_name(name)
        grace = max(LEAST_GRACE_S, math.ceil(grace_s))
        before = stopping(seen.workload)
        longest = max(grace, before.grace_s if before else 0)
        asked = Stopping(cause, datetime.now(UTC), longest)
        note = msgspec.json.encode(asked).decode()
        self._look.take(
            await self._cluster.patch(
                STATEFUL_SET,
                workload,
                {
                    "metadata": {"annotations": {identity.STOPPING: note}},
                    "spec": {"replicas": 0},
                },
            )
        )
        if seen.pod is not None:
            with contextlib.suppress(ConflictError):
                uid = str(seen.pod["metadata"]["uid"])
                await self._cluster.delete(POD, name_of(seen.pod), uid=uid, grace_s=grace)
        # The node may be giving it the longest yet: what was shortened is not heard there (see `hurries`).
        await self._until_gone(name, longest + MARGIN_S)
        await self._write_down(name, seen.pod, asked)

    async def remove(self, name: str, *, delete_data: bool) -> None:
        """Delete a stopped instance's objects; its claim stays unless its data go, too."""
        seen = await self._look.of(name)
        if seen.pod is not None and pods.phase(seen.pod) is Phase.RUNNING:
            raise ActionError(f"{name} runs: stop it first", reason="StillRunning")
        if seen.workload is not None:
            uid = str(seen.workload["metadata"]["uid"])
            await self._cluster.delete(STATEFUL_SET, object_name(name), uid=uid)
            await self._until_gone(name, GONE_S, workload_too=True)
        if delete_data:
            await self._delete_claim(object_name(name))

    async def delete_all_data(self) -> None:
        """Delete every claim of this project."""
        chosen = selector(identity.ours(self._project))
        for claim in (await self._cluster.list(CLAIM, chosen)).items:
            await self._delete_claim(name_of(claim))

    async def _delete_claim(self, name: str) -> None:
        found = await self._cluster.get(CLAIM, name)
        if found is None or not identity.is_ours(found, self._project):
            return
        await self._cluster.delete(CLAIM, name, uid=str(found["metadata"]["uid"]))
        end = self._clock() + GONE_S
        while await self._cluster.get(CLAIM, name) is not None:
            # A successor of that name would be given a claim that is on its way out.
            if self._clock() > end:
                raise UnreachableError(f"the claim {name} does not go: something still mounts it")
            await asyncio.sleep(0.2)

    async def _until_gone(self, name: str, within_s: float, *, workload_too: bool = False) -> None:
        end = self._clock() + within_s
        with self._look.listening(name) as changed:
            while True:
                changed.clear()
                seen = await self._look.of(name)
                # The copy may not show yet a pod that was made meanwhile: who makes them has to say there is none.
                if seen.pod is None and (
                    not seen.workload or (not workload_too and has_none(seen.workload))
                ):
                    return
                if self._clock() > end:
                    raise UnreachableError(
                        f"the pod of {name} does not go: does its node answer? "
                        f"`kubectl describe pod {identity.pod_name(name)}` tells"
                    )
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await changed.wait()

    async def _write_down(self, name: str, before: Body | None, asked: Stopping) -> None:
        seen: Seen = await self._look.of(name)
        if seen.workload is None or identity.END in identity.written(seen.workload):
            return
        ended = self._ended(name, before, asked)
        notes = {identity.END: msgspec.json.encode(ended).decode(), identity.STOPPING: None}
        try:
            self._look.take(
                await self._cluster.patch(
                    STATEFUL_SET, object_name(name), {"metadata": {"annotations": notes}}
                )
            )
        except ActionError as error:
            if error.reason != "NotFound":
                raise
        # What only a living plugin needs: nobody reads a secret of one that was stopped.
        found = await self._cluster.get(SECRET, object_name(name))
        if found is not None and identity.is_ours(found, self._project):
            await self._cluster.delete(SECRET, object_name(name), uid=found["metadata"]["uid"])

    def _ended(self, name: str, before: Body | None, asked: Stopping) -> Ended:
        last = self._look.last_pod(name)
        if before is not None and (
            last is None or last["metadata"]["uid"] != before["metadata"]["uid"]
        ):
            last = before
        if last is None:
            end = Exit(at=asked.at, reason="Stopped", message=asked.cause)
            return Ended(object_name(name), None, end)
        label = identity.read(last)
        found = pods.ended(last, label.resources.memory if label else 0)
        if found is None:
            found = Exit(at=asked.at)
        if not found.oom:
            found = replace(found, reason="Stopped", message=asked.cause, permanent=False)
        return Ended(pods.life(last), pods.started(last), found)
