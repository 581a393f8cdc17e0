"""Writes the objects of a launch, or adopts what runs, and waits until it does."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable

import structlog

from orchestrator.cluster.kinds import (
    CLAIM,
    DISRUPTION_BUDGET,
    EVENT,
    NETWORK_POLICY,
    POD,
    SECRET,
    STATEFUL_SET,
    Body,
    Kind,
    name_of,
    selector,
)
from orchestrator.cluster.objects import Objects
from orchestrator.cluster.refusals import OwnedError, reason_of
from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError, ConflictError, UnreachableError, ungrouped
from orchestrator.launch import Launch
from orchestrator.runtime.kubernetes import identity, objects, pods
from orchestrator.runtime.kubernetes.egress import Egress
from orchestrator.runtime.kubernetes.identity import object_name
from orchestrator.runtime.kubernetes.look import Look, Seen, is_read, replicas, rests
from orchestrator.runtime.kubernetes.objects import Ground

log = structlog.get_logger()
START_S = 60.0
"""Until its container runs; the platform goes on trying whatever we say then."""
PATIENCE_S = 5.0
"""For what may mend itself: a node that comes, an image that is there at the second try."""
LOOK_S = 1.0
"""A wait looks again after so long even if nobody tells of a change."""
ASKING = 8
"""Starts that ask at a time: a request's deadline counts its wait for a turn, too, and of hundreds that
wait the last would have none of it left. And pods of the first are made while the next are written.
"""


class Births:
    def __init__(
        self,
        project: str,
        cluster: Objects,
        look: Look,
        ground: Ground,
        egress: Egress,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project = project
        self._cluster = cluster
        self._look = look
        self._ground = ground
        self._egress = egress
        self._clock = clock
        self._asking = asyncio.Semaphore(ASKING)

    async def begin(self, launch: Launch) -> None:
        """See the port. Whoever dies in here leaves objects that the next one applies again.

        What has begun has all of them: its Secret is written last, and no node begins a pod without.
        A Secret is never there beside a StatefulSet, or a pod, that mounts it for another launch.
        """
        objects.refuse(launch)
        workload: Body | None = None
        async with self._asking:
            seen = await self._look.of(launch.name)
            alone = seen.pod is None and (seen.workload is None or rests(seen.workload))
            if not self._adopted(launch, seen):
                launch = await self._egress.prepared(launch, new=seen.workload is None)
                workload = await self._shape(launch, seen.workload)
                if alone:
                    await self._equip(launch, workload)
        if workload is not None and not alone:
            await self._until_alone(launch)
            async with self._asking:
                await self._equip(launch, workload)
        await self._until_begun(launch)

    def _adopted(self, launch: Launch, seen: Seen) -> bool:
        if seen.workload is None:
            return False
        epoch = identity.epoch_of(seen.workload)
        if epoch > launch.epoch:
            raise ConflictError(
                f"{launch.name} was written by a newer controller (epoch {epoch}, ours is "
                f"{launch.epoch}): this one must not act any more"
            )
        label = identity.read(seen.pod) or identity.read(seen.workload)
        same = label is not None and (label.generation, label.attempt) == (
            launch.generation,
            launch.attempt,
        )
        wanted = identity.read(seen.workload)
        if same and label == wanted and replicas(seen.workload) > 0 and pods.has_begun(seen.pod):
            return True
        if seen.pod is not None and pods.phase(seen.pod) is Phase.RUNNING and not same and label:
            raise ConflictError(
                f"{launch.name} runs as generation {label.generation}, attempt {label.attempt}: "
                f"stop it before starting generation {launch.generation}, attempt {launch.attempt}"
            )
        return False

    async def _shape(self, launch: Launch, before: Body | None) -> Body:
        """Write the StatefulSet, whose pods wait for their files; those of another launch go before."""
        if before is None:
            await self._make_room(launch)
        elif identity.read(before) != identity.label_of(launch) or replicas(before) == 0:
            await self._drop(await self._ours(SECRET, name_of(before)))
        if launch.storage:
            # It has no owner, and a scheduler that finds none looks again only after a while.
            await self._apply(CLAIM, objects.claim(launch, self._ground))
        notes = identity.written(before)
        if launch.scheduling.get("evictable", True) and identity.HELD in notes:
            await self._cluster.delete(DISRUPTION_BUDGET, object_name(launch.name))
        told = [note for note in (identity.END, identity.STOPPING) if note in notes]
        if told:
            # They belong to whoever wrote them (a change, no apply): applying does not take them away.
            gone = {"metadata": {"annotations": dict.fromkeys(told)}}
            await self._cluster.patch(STATEFUL_SET, object_name(launch.name), gone)
        return await self._apply(STATEFUL_SET, objects.workload(launch, self._ground))

    async def _until_alone(self, launch: Launch) -> None:
        """Delete the pod of a launch before, and wait until it is gone and none like it can come.

        Whoever makes the pods may make one as the StatefulSet was before, until it has read it as it is now.
        """
        began = self._clock()
        with self._look.listening(launch.name) as changed:
            while True:
                changed.clear()
                workload = (await self._look.of(launch.name)).workload
                if workload is not None and is_read(workload) and not await self._others(launch):
                    return
                if self._clock() - began > START_S:
                    raise UnreachableError(
                        f"the pod that {launch.name} had before does not go: do its node and the "
                        f"cluster's controller manager answer? `kubectl describe pod "
                        f"{identity.pod_name(launch.name)}` tells"
                    )
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await changed.wait()

    async def _others(self, launch: Launch) -> bool:
        """Tell whether there is a pod of another launch, which is deleted then."""
        chosen = selector(identity.ours(self._project))
        named = f"metadata.name={identity.pod_name(launch.name)}"
        async with self._asking:
            # The copy may not show yet what was made a moment ago.
            for pod in (await self._cluster.list(POD, chosen, fields=named)).items:
                if identity.read(pod) == identity.label_of(launch):
                    continue
                if not pod["metadata"].get("deletionTimestamp"):
                    with contextlib.suppress(ConflictError):
                        uid = str(pod["metadata"]["uid"])
                        await self._cluster.delete(POD, name_of(pod), uid=uid)
                return True
        return False

    async def _equip(self, launch: Launch, workload: Body) -> None:
        """Write all that the pod needs to begin, and what guards it first."""
        with ungrouped():
            async with asyncio.TaskGroup() as group:
                for kind, body in objects.guards(launch, self._ground, workload):
                    group.create_task(self._apply(kind, body))
        # Last: no node begins a pod before it has mounted its files, and by then all that guards it is there.
        await self._apply(SECRET, objects.secret(launch, workload))

    async def _apply(self, kind: Kind, body: Body) -> Body:
        """Write an object of ours; who changed a field of it meanwhile is named, and it is ours again."""
        try:
            written = await self._cluster.apply(kind, body)
        except OwnedError as error:
            others = [each for each in error.managers if each != "ntp"]
            if others:
                log.warning("cluster.fields.taken_back", name=name_of(body), of=others)
            written = await self._cluster.apply(kind, body, force=True)
        if kind is STATEFUL_SET:
            self._look.take(written)
        return written

    async def _make_room(self, launch: Launch) -> None:
        """Raise ConflictError where something that is not ours has the name of one of our objects.

        Files that are left of a launch before go: a pod would begin with them.
        """
        kinds = [STATEFUL_SET, NETWORK_POLICY, SECRET]
        kinds += [CLAIM] if launch.storage else []
        kinds += [] if launch.scheduling.get("evictable", True) else [DISRUPTION_BUDGET]
        name = object_name(launch.name)
        with ungrouped():
            async with asyncio.TaskGroup() as group:
                found = {kind: group.create_task(self._ours(kind, name)) for kind in kinds}
        if found[STATEFUL_SET].result() is not None:
            raise ConflictError(f"{launch.name} was made by somebody else meanwhile")
        await self._drop(found[SECRET].result())

    async def _drop(self, secret: Body | None) -> None:
        if secret is not None:
            uid = str(secret["metadata"]["uid"])
            await self._cluster.delete(SECRET, name_of(secret), uid=uid)

    async def _ours(self, kind: Kind, name: str) -> Body | None:
        found = await self._cluster.get(kind, name)
        if found is not None and not identity.is_ours(found, self._project):
            raise ConflictError(
                f"the {kind.kind} {name} of this namespace is not ours, it belongs to "
                f"{', '.join(_managers(found)) or 'somebody else'}: give the entry another name, "
                "or remove it"
            )
        return found

    async def _until_begun(self, launch: Launch) -> None:
        began, asks = self._clock(), PATIENCE_S
        with self._look.listening(launch.name) as changed:
            while True:
                changed.clear()
                seen = await self._look.of(launch.name)
                waited = self._clock() - began
                if self._is_begun(launch, seen, waited):
                    return
                if seen.pod is None and seen.workload is not None and waited > asks:
                    asks = 2 * waited  # who makes the pods is slow, or says why there is none
                    await self._insist_unwarned(seen.workload)
                if waited > START_S:
                    raise await self._not_begun(launch, seen)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await changed.wait()

    def _is_begun(self, launch: Launch, seen: Seen, waited: float) -> bool:
        if seen.pod is None or identity.read(seen.pod) != identity.label_of(launch):
            return False
        if pods.phase(seen.pod) in {Phase.RUNNING, Phase.EXITED}:
            return True
        found = pods.refusal(seen.pod)
        if found is None or (pods.is_hopeful(found) and waited < PATIENCE_S):
            return False
        raise ActionError(found.message or found.reason, reason=found.reason)

    async def _insist_unwarned(self, workload: Body) -> None:
        told = await self._warnings(str(workload["metadata"]["uid"]))
        if told:
            raise ActionError(told[-1], reason=reason_of(told[-1]) or "PodRefused")

    async def _not_begun(self, launch: Launch, seen: Seen) -> ActionError | UnreachableError:
        uid = str((seen.pod or seen.workload or {"metadata": {"uid": ""}})["metadata"]["uid"])
        told = await self._warnings(uid) if uid else []
        words = told[-1] if told else f"its pod does not run after {START_S:.0f} s"
        return ActionError(f"{launch.name}: {words}", reason="NotStarted")

    async def _warnings(self, uid: str) -> list[str]:
        """What the cluster complains of about an object, oldest first."""
        chosen = f"involvedObject.uid={uid},type=Warning"
        async with self._asking:
            listing = await self._cluster.list(EVENT, fields=chosen)
        found = sorted(listing.items, key=lambda each: str(each.get("lastTimestamp") or ""))
        return [str(each.get("message", "")) for each in found]


def _managers(body: Body) -> Iterable[str]:
    """Who says how it has to be, as against how it is."""
    fields = body["metadata"].get("managedFields") or ()
    return sorted({str(each.get("manager")) for each in fields if not each.get("subresource")})
