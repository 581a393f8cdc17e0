"""The custom resource `PluginSet`: its spec is plugins.yaml. Rendered from the models, as `schemas/` is."""

from typing import Any

import yaml

from orchestrator.spec.plugin_set import GROUP, KIND, PLURAL, SHORT, SINGULAR, VERSION
from orchestrator.spec.schema import plugins_schema
from orchestrator.spec.structural import structural

FILE = "pluginset.yaml"
MOST_PLUGINS = 10_000
"""Of a section: what the limits of an object (1.5 MB) leave room for, and what bounds a check."""
_HEAD = "# Generated from the models of plugins.yaml by `python -m docs.generator`; never edited by hand.\n"


def render() -> bytes:
    """Return the file that helm/ntp/crds has."""
    text = yaml.safe_dump(definition(), sort_keys=False, width=110, allow_unicode=True)
    return (_HEAD + text).encode()


def definition() -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT],
                "categories": ["ntp"],
            },
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            _column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
            _column("Plugins", "string", ".status.ready"),
            _column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason'),
            _column("Age", "date", ".metadata.creationTimestamp"),
            _column(
                "Message", "string", '.status.conditions[?(@.type=="Ready")].message', priority=1
            ),
        ],
        "schema": {
            "openAPIV3Schema": {
                "description": "Trading plugins, each in its own container: plugins.yaml as an object. "
                "All of a namespace add up.",
                "type": "object",
                "required": ["spec"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": spec(),
                    "status": _status(),
                },
            }
        },
    }


def _column(name: str, type_: str, path: str, *, priority: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "type": type_,
        "jsonPath": path,
        **({"priority": priority} if priority else {}),
    }


def spec() -> dict[str, Any]:
    """Return the schema of a spec: plugins.yaml without `name`, which is that of the release."""
    made = structural(plugins_schema())
    del made["properties"]["name"]
    made["description"] = "What plugins.yaml says, without `name`: the project is the release."
    made["required"] = ["plugins"]
    # Who applies a spec means all of it: two managers of one spec are a conflict, never a mixture.
    made["x-kubernetes-map-type"] = "atomic"
    for section in made["properties"]["plugins"]["properties"].values():
        # By this alone a name that is there twice is refused, and told.
        section["x-kubernetes-list-type"] = "map"
        section["x-kubernetes-list-map-keys"] = ["name"]
        section["maxItems"] = MOST_PLUGINS
    return made


def _status() -> dict[str, Any]:
    text = {"type": "string"}
    whole = {"type": "integer", "format": "int64"}
    condition = {
        "type": "object",
        "required": ["type", "status", "reason", "message", "lastTransitionTime"],
        "properties": {
            "type": text,
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": text,
            "message": text,
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            "observedGeneration": whole,
        },
    }
    plugin = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": text,
            "kind": text,
            "state": text,
            "ready": {"type": "boolean"},
            "restarts": whole,
            "message": text,
        },
    }
    return {
        "type": "object",
        "properties": {
            "observedGeneration": {**whole, "description": "The generation that was read last."},
            "revision": {**whole, "description": "The applied revision that it is part of."},
            "ready": {**text, "description": "How many of its plugins are ready, of how many."},
            "conditions": {
                "type": "array",
                "items": condition,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
            "plugins": {
                "type": "array",
                "items": plugin,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "problems": {
                "description": "Why what it says is not applied: each with its place and a fix.",
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"place": text, "message": text, "fix": text},
                },
                "x-kubernetes-list-type": "atomic",
            },
        },
    }
