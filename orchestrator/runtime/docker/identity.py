"""Who a container is: its name, its labels, and the id that was written down when it was made.

A name is a mutex: of racing creates one wins. A label can be copied by anybody, so it proves nothing
by itself: a container is ours if it has the id that we wrote down, or, where a crash came before that,
the name that only one can have.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from orchestrator.decide.state import Hashes
from orchestrator.launch import Launch
from orchestrator.spec.model import Resources

PREFIX = "io.ntp."
OWNER = f"{PREFIX}owner"
INSTANCE = f"{PREFIX}instance"
MADE_OF = f"{PREFIX}made-of"
_LABEL = f"{PREFIX}label"
ROLE = f"{PREFIX}role"
"""`plugin`, `broker`; `network`, `own-network` and `door` are the runtime's own."""
_UNFIT = re.compile(r"[^a-z0-9-]")


class Label(msgspec.Struct, frozen=True):
    """Enough to adopt a container. Nothing in it is secret."""

    project: str
    name: str
    kind: str
    generation: int
    attempt: int
    epoch: int
    hashes: Hashes
    resources: Resources
    storage: int
    created: datetime
    uid: int
    inet: bool
    spec: str
    own: bool = False
    """It has a network of its own."""


def container_name(owner: str, name: str) -> str:
    """`_` becomes `-` in names of objects; two entries equal after that were refused before."""
    return f"ntp-{_UNFIT.sub('-', owner)}-{_UNFIT.sub('-', name)}"


def label_of(launch: Launch, uid: int) -> Label:
    return Label(
        project=launch.project,
        name=launch.name,
        kind=launch.kind,
        generation=launch.generation,
        attempt=launch.attempt,
        epoch=launch.epoch,
        hashes=launch.hashes,
        resources=launch.resources,
        storage=launch.storage if launch.environment is not None else 0,
        created=datetime.now(UTC),
        uid=uid,
        inet=launch.inet,
        spec=launch.spec.decode(),
        own=bool(launch.own),
    )


def labels(owner: str, label: Label) -> dict[str, str]:
    """All that is written on a container; what people filter by stands alone."""
    return {
        OWNER: owner,
        ROLE: "plugin" if label.kind != "broker" else "broker",
        INSTANCE: label.name,
        f"{PREFIX}project": label.project,
        f"{PREFIX}kind": label.kind,
        f"{PREFIX}generation": str(label.generation),
        _LABEL: msgspec.json.encode(label).decode(),
    }


def read(found: Mapping[str, str] | None) -> Label | None:
    """Return the label of a listed container; None for what carries none that can be read."""
    try:
        return msgspec.json.decode((found or {}).get(_LABEL, ""), type=Label)
    except msgspec.MsgspecError:
        return None


def system_labels(
    owner: str, project: str, role: str, made_of: Mapping[str, Any]
) -> dict[str, str]:
    """Labels of a container that serves all plugins of a project; `made_of` tells when it is outdated."""
    return {
        OWNER: owner,
        ROLE: role,
        f"{PREFIX}project": project,
        MADE_OF: json.dumps(made_of, sort_keys=True),
    }
