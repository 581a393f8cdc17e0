"""What is there, read from copies that watches keep true: a look asks the API server nothing."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import POD, STATEFUL_SET, Body, selector
from orchestrator.decide.state import Exit, Instance, Isolation, Phase, Usage
from orchestrator.runtime.kubernetes import identity, pods
from orchestrator.runtime.kubernetes.identity import Label, object_name, pod_name
from orchestrator.spec.model import Resources

MIB = 1024 * 1024
ALWAYS = (
    "no capabilities, no new privileges, a user id of its own",
    "a read-only system",
    "system call filter of the container runtime",
    "no network but broker and egress proxy (NetworkPolicy)",
    "no service account token",
)
NEVER = (
    "limits on processes: the nodes have one for all pods (podPidsLimit)",
    "programs can be executed in /tmp",
)


class Ended(msgspec.Struct, frozen=True):
    """What is written on a StatefulSet when its pod was stopped."""

    life: str
    started: datetime | None
    exit: Exit


class Stopping(msgspec.Struct, frozen=True):
    """What is written on a StatefulSet before its pod is stopped."""

    cause: str
    at: datetime
    grace_s: int = 0
    """The longest that it was given: a stop that was asked for later may have less."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The objects of one name; None: it is not there."""

    workload: Body | None
    pod: Body | None


class Look:
    def __init__(self, project: str, cluster: Cluster) -> None:
        self._project = project
        self._cluster = cluster

    @property
    def _chosen(self) -> str:
        return selector(identity.ours(self._project))

    async def now(self) -> Mapping[str, Instance]:
        """Return every instance. UnreachableError: we are blind."""
        workloads = await self._cluster.informer(STATEFUL_SET, self._chosen).objects()
        running = await self._cluster.informer(POD, self._chosen).objects()
        found = {}
        for name, workload in workloads.items():
            label = identity.read(workload)
            if label is None or workload["metadata"].get("deletionTimestamp"):
                continue
            found[label.name] = self._instance(label, workload, running.get(f"{name}-0"))
        return found

    async def of(self, name: str) -> Seen:
        """Return what is there of one name."""
        workloads = await self._cluster.informer(STATEFUL_SET, self._chosen).objects()
        running = await self._cluster.informer(POD, self._chosen).objects()
        return Seen(workloads.get(object_name(name)), running.get(pod_name(name)))

    def last_pod(self, name: str) -> Body | None:
        """Return the pod of this name that went last, as it was then."""
        return self._cluster.informer(POD, self._chosen).last(pod_name(name))

    def take(self, workload: Body) -> None:
        """Note what a write of ours returned."""
        self._cluster.informer(STATEFUL_SET, self._chosen).take(workload)

    @contextlib.contextmanager
    def listening(self, name: str = "") -> Iterator[asyncio.Event]:
        """Yield an event that is set each time that something may have changed, or something of one name."""
        changed = asyncio.Event()
        # Of a thousand that wait for their pods, each change of one would wake all.
        workload, pod = (object_name(name), pod_name(name)) if name else ("", "")
        with (
            self._cluster.informer(STATEFUL_SET, self._chosen).listening(changed, workload),
            self._cluster.informer(POD, self._chosen).listening(changed, pod),
        ):
            yield changed

    def _instance(self, label: Label, workload: Body, pod: Body | None) -> Instance:
        created = pods.moment(workload["metadata"].get("creationTimestamp"))
        if pod is None:
            return self._absent(label, workload, created)
        label = identity.read(pod) or label
        phase, life = pods.phase(pod), pods.life(pod)
        memory, cpu = pods.limits(pod)
        runs = phase in {Phase.RUNNING, Phase.STOPPING}
        last_life, last = self._before(label, pod)
        return Instance(
            name=label.name,
            generation=label.generation,
            attempt=label.attempt,
            hashes=label.hashes,
            phase=phase,
            id=life,
            created=pods.moment(pod["metadata"].get("creationTimestamp")),
            started=pods.started(pod),
            exit=pods.ended(pod, label.resources.memory) if phase is Phase.EXITED else None,
            isolation=_isolation(memory, cpu) if runs else None,
            usage=Usage(memory_limit=memory),
            drift=drift(workload, pod) if phase is Phase.RUNNING else "",
            begun_again=replicas(workload) > 0,
            last_life=last_life,
            last_exit=last,
        )

    def _before(self, label: Label, pod: Body) -> tuple[str, Exit | None]:
        """The life before this one, which the platform followed by this one without asking us."""
        memory = label.resources.memory
        if found := pods.before(pod, memory):
            return pods.previous(pod), found
        gone = self.last_pod(label.name)
        told = identity.read(gone)
        if gone is None or told is None or told.generation != label.generation:
            return "", None  # the end of another generation says nothing about this one
        found = pods.ended(gone, memory)
        return (pods.life(gone), found) if found else ("", None)

    def _absent(self, label: Label, workload: Body, created: datetime | None) -> Instance:
        ended = end_of(workload)
        stopped = replicas(workload) == 0 and ended is not None
        uid = str(workload["metadata"]["uid"])
        return Instance(
            name=label.name,
            generation=label.generation,
            attempt=label.attempt,
            hashes=label.hashes,
            phase=Phase.EXITED if stopped else Phase.CREATED,
            id=ended.life if stopped and ended else uid,
            created=created,
            started=ended.started if stopped and ended else None,
            exit=ended.exit if stopped and ended else None,
            begun_again=replicas(workload) > 0,
        )


def replicas(workload: Body) -> int:
    found = workload["spec"].get("replicas")
    return 1 if found is None else int(found)


def is_read(workload: Body) -> bool:
    """Tell whether who makes the pods says that it has read the workload as it was written last."""
    status = workload.get("status") or {}
    return int(status.get("observedGeneration") or 0) >= int(workload["metadata"]["generation"])


def has_none(workload: Body) -> bool:
    """Tell whether the cluster says, of the workload as it was written last, that it has no pod."""
    return is_read(workload) and not (workload.get("status") or {}).get("replicas")


def rests(workload: Body) -> bool:
    """Tell whether it has no pod, and gets none before it is written again."""
    return replicas(workload) == 0 and has_none(workload)


def end_of(workload: Body) -> Ended | None:
    """Return what was written of a life that we stopped; of one whose end nobody saw, what was asked for."""
    notes = identity.written(workload)
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(notes.get(identity.END, ""), type=Ended)
    if asked := stopping(workload):
        end = Exit(at=asked.at, reason="Stopped", message=asked.cause)
        return Ended(str(workload["metadata"]["uid"]), None, end)
    return None


def stopping(workload: Body) -> Stopping | None:
    """Return what was written of a stop whose end was not written yet."""
    with contextlib.suppress(msgspec.MsgspecError):
        said = identity.written(workload).get(identity.STOPPING, "")
        return msgspec.json.decode(said, type=Stopping)
    return None


def set_limits(workload: Body) -> Resources | None:
    """Return the limits that we set last."""
    try:
        said = identity.written(workload).get(identity.LIMITS, "")
        return msgspec.json.decode(said, type=Resources)
    except msgspec.MsgspecError:
        return None


def drift(workload: Body, pod: Body) -> str:
    """Say which limits are not as we set them; empty: they are."""
    set_to = set_limits(workload)
    if set_to is None:
        return ""
    ours = set_to.memory, round(set_to.cpu, 3)
    for what, spec in (("pod", pod["spec"]), ("StatefulSet", workload["spec"]["template"]["spec"])):
        memory, cpu = pods.wanted(spec)
        if (memory, round(cpu, 3)) != ours:
            is_, was = _limit_words(memory, cpu), _limit_words(*ours)
            return f"its limits: {is_} in its {what}, not {was}: somebody changed them"
    return ""


def _limit_words(memory: int, cpu: float) -> str:
    return f"memory {memory / MIB:.0f} MiB and {cpu:g} CPU cores"


def _isolation(memory: int, cpu: float) -> Isolation:
    held = (f"memory {memory / MIB:.0f} MiB", f"{cpu:g} CPU cores") if memory else ()
    return Isolation(3, (*ALWAYS, *held), NEVER)
