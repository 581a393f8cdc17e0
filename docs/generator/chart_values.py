"""The chart's values: their schema and their table, both made of values.yaml and the comments in it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from docs.generator.markdown import table
from orchestrator.spec import egress

VALUES = Path(__file__).parents[2] / "helm" / "ntp" / "values.yaml"
_SIZE = "^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$"
_TEXT = {"type": "string"}
_QUANTITY = {"anyOf": [_TEXT, {"type": "number"}]}
_RESOURCES = {
    "type": "object",
    "properties": {
        key: {"type": "object", "additionalProperties": _QUANTITY} for key in ("requests", "limits")
    },
    "additionalProperties": False,
}
_OBJECTS = {"type": "array", "items": {"type": "object"}}
# What a default alone does not say. `*` stands for one name.
_SAID: Mapping[str, Mapping[str, Any]] = {
    "plugins": {"additionalProperties": {"type": "array", "items": {"type": "object"}}},
    "defaults": {"additionalProperties": True},
    "secrets": {"additionalProperties": _TEXT},
    "image.registry": {"pattern": "^[a-z0-9][a-z0-9.:/_-]*$"},
    "image.digests": {
        "additionalProperties": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
    },
    "image.pullPolicy": {"enum": ["IfNotPresent", "Never", "Always"]},
    "image.pullSecrets": {"items": _TEXT},
    "controller.replicas": {"minimum": 0},
    "controller.environment": {"additionalProperties": {"type": ["string", "number", "boolean"]}},
    "nats.external": {"pattern": "^(nats://[^/?,:@ ]+:[0-9]+(,[^/?,:@ ]+:[0-9]+)*)?$"},
    "nats.replicas": {"enum": [1, 3]},
    "nats.storage.size": {"pattern": _SIZE},
    "nats.memoryStore": {"pattern": _SIZE},
    "egressProxy.replicas": {"minimum": 1},
    "egressProxy.private": {"items": {"type": "string", "pattern": egress.PATTERN}},
    "networkPolicy.controllerTo": {"items": {"type": "object"}},
    "networkPolicy.metricsFrom": {"items": {"type": "object"}},
    "networkPolicy.natsTo": {"items": {"type": "object"}},
    "networkPolicy.dns": {"items": {"type": "object"}, "minItems": 1},
    "serviceMonitor.labels": {"additionalProperties": _TEXT},
    "exchange.args": {"items": _TEXT},
    "*.resources": _RESOURCES,
    "*.nodeSelector": {"additionalProperties": _TEXT},
    "*.tolerations": _OBJECTS,
}
_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class Value:
    """One value. `inside`: those of a mapping whose names are the chart's own; None: it is set as a whole."""

    path: str
    default: Any
    comment: str
    inside: tuple["Value", ...] | None = None


def render() -> bytes:
    """Return values.schema.json, which Helm compares values with before anything is made."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart ntp",
        **_object(read(VALUES.read_text())),
    }
    # What Helm puts there itself for a chart that is part of another.
    schema["properties"]["global"] = {"type": "object"}
    return (json.dumps(schema, indent=2) + "\n").encode()


def parts() -> dict[str, str]:
    """Return the table of docs/kubernetes.md."""
    rows = [
        (f"`{each.path}`", each.comment, f"`{_short(each.default)}`")
        for each in _leaves(read(VALUES.read_text()))
    ]
    return {"values": table(("value", "meaning", "default"), rows)}


def read(text: str) -> tuple[Value, ...]:
    """Return the values of a file, each with the comment above it.

    Raises:
        ValueError: one has no comment.
    """
    node = yaml.compose(text, yaml.SafeLoader)
    return _inside(node, yaml.safe_load(text), text.splitlines(), "")


def _inside(node: Any, found: Mapping[str, Any], lines: list[str], above: str) -> tuple[Value, ...]:
    made = []
    for key, value in node.value:
        path = f"{above}.{key.value}" if above else key.value
        default = found[key.value]
        names_are_ours = isinstance(value, yaml.MappingNode) and default and _said(path) is None
        inside = _inside(value, default, lines, path) if names_are_ours else None
        comment = _comment(lines, key.start_mark.line)
        if not comment and inside is None:
            raise ValueError(f"{path} has no comment in values.yaml")
        made.append(Value(path, default, comment, inside))
    return tuple(made)


def _comment(lines: list[str], line: int) -> str:
    found: list[str] = []
    while line > 0 and lines[line - 1].strip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].strip().lstrip("#").strip())
    return " ".join(found)


def _object(values: tuple[Value, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {each.path.rpartition(".")[2]: _schema(each) for each in values},
    }


def _schema(value: Value) -> dict[str, Any]:
    described = {"description": value.comment} if value.comment else {}
    if value.inside is not None:
        return {**described, **_object(value.inside)}
    plain = {"type": _TYPES[type(value.default)], "default": value.default}
    return {**described, **plain, **(_said(value.path) or {})}


def _said(path: str) -> Mapping[str, Any] | None:
    return _SAID.get(path) or _SAID.get(f"*.{path.rpartition('.')[2]}")


def _leaves(values: tuple[Value, ...]) -> Iterator[Value]:
    for each in values:
        if each.inside is None:
            yield each
        else:
            yield from _leaves(each.inside)


def _short(default: Any) -> str:
    return json.dumps(default, separators=(", ", ": "))
