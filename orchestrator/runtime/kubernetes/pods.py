"""What a pod's status says, in the words that all runtimes share. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ntp.confine import shim_end
from ntp.confine.shim_output import LAST_LINE_CHARS, LAST_LINES, harmless
from orchestrator.cluster.kinds import Body
from orchestrator.decide.state import Exit, Phase
from orchestrator.runtime.kubernetes.identity import CONTAINER
from orchestrator.runtime.view import CODE

BACKING_OFF = "CrashLoopBackOff"
_UNIT = {
    "": 1,
    "k": 1000,
    "M": 10**6,
    "G": 10**9,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "m": 0.001,
}
_QUANTITY = re.compile(r"(?P<number>[0-9.]+)(?P<unit>[kMG]i?|Ki|m)?")
_NOT_FOUND = ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName")
_SIGNAL_BASE, _LAST_SIGNAL = 128, 192


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a pod does not run, as the cluster says it."""

    reason: str
    message: str


def status_of(pod: Body) -> Mapping[str, Any]:
    """Return the status of the only container; empty: the kubelet said nothing of it yet."""
    found = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((each for each in found if each.get("name") == CONTAINER), {})


def phase(pod: Body) -> Phase:
    if pod["metadata"].get("deletionTimestamp"):
        return Phase.STOPPING
    status = pod.get("status") or {}
    if status.get("phase") in {"Failed", "Succeeded"}:
        return Phase.EXITED
    state = status_of(pod).get("state") or {}
    if "running" in state:
        return Phase.RUNNING
    if "terminated" in state:
        return Phase.EXITED
    waits = (state.get("waiting") or {}).get("reason") == BACKING_OFF
    return Phase.EXITED if waits and _terminated(pod) else Phase.CREATED


def life(pod: Body) -> str:
    """Return the id of the life that runs, or that ended last: one of the platform's restarts is another."""
    container = status_of(pod)
    own = str(container.get("containerID") or "").rpartition("/")[2]
    return own or str(pod["metadata"]["uid"])


def previous(pod: Body) -> str:
    """Return the id of the life before the one that runs; empty: it is the first of its pod."""
    ended = (status_of(pod).get("lastState") or {}).get("terminated") or {}
    return str(ended.get("containerID") or "").rpartition("/")[2]


def started(pod: Body) -> datetime | None:
    container = status_of(pod)
    state = container.get("state") or {}
    running = state.get("running") or _terminated(pod) or {}
    return moment(running.get("startedAt"))


def has_begun(pod: Body | None) -> bool:
    """Tell whether a container of it was ever started, by when its volumes were mounted."""
    return pod is not None and started(pod) is not None


def ended(pod: Body, memory: int) -> Exit | None:
    """Return how the last life ended; None: no life of this pod ended yet.

    Args:
        pod: as the cluster shows it.
        memory: its limit, bytes: what it had used when it was killed for it.
    """
    status = pod.get("status") or {}
    container = _terminated(pod)
    if container is None:
        return _pod_ended(status)
    return _exit(container, status, memory)


def before(pod: Body, memory: int) -> Exit | None:
    """Return how the life before this one ended; None: it is the first of its pod."""
    ended = (status_of(pod).get("lastState") or {}).get("terminated")
    return _exit(ended, {}, memory) if ended else None


def refusal(pod: Body) -> Refusal | None:
    """Return why it does not begin; None: nothing stands in its way that the cluster tells."""
    status = pod.get("status") or {}
    for each in status.get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return Refusal(str(each.get("reason") or "Unschedulable"), str(each.get("message", "")))
    waiting = (status_of(pod).get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    if reason in {"", "ContainerCreating", "PodInitializing", BACKING_OFF}:
        return None
    return Refusal(reason, str(waiting.get("message") or ""))


def is_hopeful(found: Refusal) -> bool:
    """Tell whether a pod may begin by itself in a moment: a node may come, a registry may answer."""
    return found.reason not in {*_NOT_FOUND, "CreateContainerConfigError", "RunContainerError"}


def limits(pod: Body) -> tuple[int, float]:
    """Return (memory in bytes, CPU cores) that the kernel holds now, as the kubelet read them."""
    told = (status_of(pod).get("resources") or {}).get("limits") or {}
    return round(quantity(str(told.get("memory", "0")))), quantity(str(told.get("cpu", "0")))


def wanted(spec: Mapping[str, Any]) -> tuple[int, float]:
    """Return (memory in bytes, CPU cores) that a pod's spec, or its template's, asks for."""
    containers: Sequence[Mapping[str, Any]] = spec.get("containers") or ({},)
    told = (containers[0].get("resources") or {}).get("limits") or {}
    return round(quantity(str(told.get("memory", "0")))), quantity(str(told.get("cpu", "0")))


def resizing(pod: Body) -> Refusal | None:
    """Return why a resize is not done; None: the cluster complains of nothing."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        pending = each.get("type") == "PodResizePending" and each.get("status") == "True"
        failed = each.get("type") == "PodResizeInProgress" and each.get("reason") == "Error"
        if pending or failed:
            return Refusal(str(each.get("reason") or ""), str(each.get("message") or ""))
    return None


def quantity(text: str) -> float:
    """Read a quantity of the cluster; 0 for what is none."""
    match = _QUANTITY.fullmatch(text)
    return float(match["number"]) * _UNIT[match["unit"] or ""] if match else 0.0


def moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None


def _terminated(pod: Body) -> Mapping[str, Any] | None:
    container = status_of(pod)
    for state in ("state", "lastState"):
        found: Mapping[str, Any] | None = (container.get(state) or {}).get("terminated")
        if found:
            return found
    return None


def _pod_ended(status: Mapping[str, Any]) -> Exit | None:
    if status.get("phase") not in {"Failed", "Succeeded"}:
        return None
    at = moment(status.get("startTime"))
    for each in status.get("conditions") or ():
        at = moment(each.get("lastTransitionTime")) or at
    if at is None:
        return None
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    return Exit(at=at, reason=reason, message=message)


def _exit(ended: Mapping[str, Any], status: Mapping[str, Any], memory: int) -> Exit | None:
    at = moment(ended.get("finishedAt"))
    if at is None:
        return None
    number = int(ended.get("exitCode") or 0)
    is_signal = _SIGNAL_BASE < number <= _LAST_SIGNAL
    code, signal = (None, number - _SIGNAL_BASE) if is_signal else (number, None)
    oom = ended.get("reason") == "OOMKilled"
    said = str(ended.get("message") or "")
    own = "OOMKilled" if oom else str(status.get("reason") or "")
    reason, message, permanent = shim_end.verdict(
        own,
        str(status.get("message") or ""),
        termination=b"" if oom else _last_words(said),
        code_folder=CODE,
        refused=0,
    )
    if signal is not None and not oom:
        code, signal, message = shim_end.told_apart(number, signal, reason, message)
    if not reason and not message and ended.get("reason") in {"StartError", "ContainerCannotRun"}:
        reason, message = "StartRefused", said
    return Exit(
        at=at,
        code=code,
        signal=signal,
        oom=oom,
        reason=reason,
        message=message,
        permanent=permanent,
        memory_peak=memory if oom else 0,
        last_output=tuple(_last_lines(said)),
    )


def _last_words(said: str) -> bytes:
    """The kubelet gives the runner's file, or the last lines of the output where that is empty."""
    is_words = said.startswith(("{", "Timeout ("))
    return said.encode() if is_words else b""


def _last_lines(said: str) -> Iterator[str]:
    if not _last_words(said):
        for line in said.splitlines()[-LAST_LINES:]:
            yield harmless(line.encode())[:LAST_LINE_CHARS]
