"""What is kept in memory of an object: of each plugin there are two for as long as it is declared.

A workload and a pod are 13 KB, of which a tenth is read here. Of that, most is the same in all of them.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from sys import intern
from typing import Any, Final

import msgspec

from orchestrator.cluster.kinds import POD, STATEFUL_SET, Body, Kind

Shape = Mapping[str, Any]
"""Field -> what is kept of it: a shape, or what makes a copy of its value."""
RESIZES: Final = frozenset({"PodResizePending", "PodResizeInProgress"})
DIFFERENT: Final = 4096
"""Parts that are kept to be shared; an older one is made once more."""


def kept(kind: Kind, body: Body) -> Body:
    """Return what is kept of an object; it is not to be changed, parts of it belong to others, too."""
    if kind in _SHAPES:
        return _part(body, _SHAPES[kind])
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    if kind.is_large:
        # As dicts it would take eight times as much.
        said = {key: value for key, value in body.items() if key != "metadata"}
        return {"metadata": metadata, **{key: _json(value) for key, value in said.items()}}
    return {**body, "metadata": metadata}


def _part(value: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    # The names of fields are those of the shape: what is decoded has others, as often as it is sent.
    return {
        key: _part(value[key], how) if isinstance(how, Mapping) else how(value[key])
        for key, how in shape.items()
        if value.get(key) is not None
    }


_json = msgspec.json.encode


def _own(value: Any) -> Any:
    return value


@lru_cache(maxsize=DIFFERENT)
def _same(text: str) -> str:
    """Return the one that is kept of equal texts. `intern` never lets go of one in Python 3.12."""
    return text


def _notes(value: Mapping[str, str]) -> Mapping[str, str]:
    """Annotations: what a workload says of its launch is said by its pod, too."""
    return {intern(key): _same(text) for key, text in value.items()}


def _status(value: Mapping[str, Any]) -> dict[str, Any]:
    found = _part(value, _STATUS)
    if found.get("phase") == "Running" and "conditions" in found:
        # That all is well takes as much room as all the rest.
        found["conditions"] = [
            each
            for each in found["conditions"]
            if each.get("status") != "True" or each.get("type") in RESIZES
        ]
    return found


def _shared(shape: Shape) -> Callable[[Any], Any]:
    def made(value: Any) -> Any:
        many = not isinstance(value, Mapping)
        found = [_part(each, shape) for each in value] if many else _part(value, shape)
        return _one_of(msgspec.json.encode(found))

    return made


@lru_cache(maxsize=DIFFERENT)
def _one_of(text: bytes) -> Any:
    return msgspec.json.decode(text)


def _each(shape: Shape) -> Callable[[Any], Any]:
    return lambda value: [_part(each, shape) for each in value]


_METADATA: Final = {
    "name": _own,
    "uid": _own,
    "resourceVersion": _own,
    "generation": _own,
    "creationTimestamp": _own,
    "deletionTimestamp": _own,
    "annotations": _notes,
}
_ENDED: Final = dict.fromkeys(
    ("exitCode", "reason", "message", "startedAt", "finishedAt", "containerID"), _own
)
_STATE: Final = {
    "running": {"startedAt": _own},
    "waiting": _shared({"reason": _own, "message": _own}),
    "terminated": _ENDED,
}
_RUNS: Final = {
    "nodeName": _own,
    "containers": _shared({"name": _own, "resources": _own}),
}
_STATUS: Final = {
    "phase": _same,
    "reason": _own,
    "message": _own,
    "startTime": _own,
    "conditions": _each(
        {
            **dict.fromkeys(("type", "status"), _same),
            **dict.fromkeys(("lastTransitionTime", "reason", "message"), _own),
        }
    ),
    "containerStatuses": _each(
        {
            "name": _same,
            "containerID": _own,
            "state": _STATE,
            "lastState": _STATE,
            "resources": _shared({"limits": _own}),
        }
    ),
}
_SHAPES: Final[Mapping[Kind, Shape]] = {
    STATEFUL_SET: {
        "metadata": _METADATA,
        "spec": {"replicas": _own, "template": _shared({"spec": _RUNS})},
        "status": {"observedGeneration": _own, "replicas": _own},
    },
    POD: {"metadata": _METADATA, "spec": _RUNS, "status": _status},
}
