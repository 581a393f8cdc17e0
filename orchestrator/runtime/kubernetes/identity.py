"""Who an object is: its name, its labels, and what of its launch is written on it to be adopted.

A name is a mutex: of racing creates one wins. One of that name that is not ours is left alone.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.cluster.kinds import Body
from orchestrator.decide.state import Hashes
from orchestrator.launch import Launch
from orchestrator.spec.model import Resources

MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"
NAME = "app.kubernetes.io/name"
PREFIX = "ntp.dev/"
LABEL = f"{PREFIX}launch"
"""Annotation: all of `Label`."""
EPOCH = f"{PREFIX}epoch"
"""Annotation: of the controller that wrote last."""
END = f"{PREFIX}end"
"""Annotation of a StatefulSet: how the life ended that we stopped."""
STOPPING = f"{PREFIX}stopping"
"""Annotation of a StatefulSet: why, written before it is stopped."""
LIMITS = f"{PREFIX}limits"
"""Annotation of a StatefulSet: what we set last, which a resize changes."""
HELD = f"{PREFIX}held"
"""Annotation of a StatefulSet: it has a PodDisruptionBudget."""
CONTAINER = "plugin"
"""The only container of a pod."""


class Label(msgspec.Struct, frozen=True):
    """Enough to adopt a life. Nothing in it is secret."""

    name: str
    kind: str
    generation: int
    attempt: int
    hashes: Hashes
    resources: Resources
    storage: int
    spec: str


def object_name(name: str) -> str:
    """`_` becomes `-` in names of objects; two entries equal after that were refused before."""
    return name.replace("_", "-")


def pod_name(name: str) -> str:
    return f"{object_name(name)}-0"


def label_of(launch: Launch) -> Label:
    return Label(
        name=launch.name,
        kind=launch.kind,
        generation=launch.generation,
        attempt=launch.attempt,
        hashes=launch.hashes,
        resources=launch.resources,
        storage=launch.storage,
        spec=launch.spec.decode(),
    )


def ours(project: str) -> dict[str, str]:
    """Labels of everything that a project's controller makes here, and of nothing else."""
    return {PART_OF: project, MANAGED_BY: "ntp"}


def written(body: Mapping[str, Any] | None) -> Mapping[str, str]:
    """Return the annotations of an object."""
    return (body or {}).get("metadata", {}).get("annotations") or {}


def is_ours(body: Body, project: str) -> bool:
    found = body["metadata"].get("labels") or {}
    return all(found.get(key) == value for key, value in ours(project).items())


def read(body: Mapping[str, Any] | None) -> Label | None:
    """Return what is written on an object; None: nothing that can be read."""
    try:
        return msgspec.json.decode(written(body).get(LABEL, ""), type=Label)
    except msgspec.MsgspecError:
        return None


def epoch_of(body: Mapping[str, Any] | None) -> int:
    found = written(body).get(EPOCH, "")
    return int(found) if found.isdecimal() else 0
