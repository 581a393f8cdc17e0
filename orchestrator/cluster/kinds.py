"""Kinds of objects by group, version and plural: how the API server calls them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Body = dict[str, Any]
"""One object as the API server has it in JSON."""


@dataclass(frozen=True, slots=True)
class Kind:
    api_version: str
    """`v1`, or group/version."""
    kind: str
    plural: str
    namespaced: bool = True
    is_large: bool = False
    """What one object says may be a megabyte: in a copy it is JSON, and only its metadata are read."""

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Return where one object, a part of it, or (without a name) all of a namespace are."""
        core = "/" not in self.api_version
        steps = ["api" if core else "apis", *self.api_version.split("/")]
        if self.namespaced:
            steps += ["namespaces", namespace]
        steps += [step for step in (self.plural, name, subresource) if step]
        return "/" + "/".join(quote(step, safe="") for step in steps)

    def body(self, name: str, **fields: Any) -> Body:
        """Return the beginning of an object of this kind: `metadata` may be among the fields."""
        metadata: Mapping[str, Any] = fields.pop("metadata", {})
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "metadata": {"name": name, **metadata},
            **fields,
        }


POD = Kind("v1", "Pod", "pods")
SECRET = Kind("v1", "Secret", "secrets")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
SERVICE = Kind("v1", "Service", "services")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
EVENT = Kind("v1", "Event", "events")
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
STATEFUL_SET = Kind("apps/v1", "StatefulSet", "statefulsets")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")


def name_of(body: Mapping[str, Any]) -> str:
    return str(body["metadata"]["name"])


def version_of(body: Mapping[str, Any]) -> str:
    """Return the resourceVersion of an object or a list; empty: it has none yet."""
    return str(body.get("metadata", {}).get("resourceVersion", ""))


def is_newer(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether an object is a later state of itself than another.

    Versions of one kind are numbers that grow (KEP-5504 makes of it what it always was).
    """
    return int(version_of(one) or 0) > int(version_of(other) or 0)


def selector(labels: Mapping[str, str]) -> str:
    """Return labels as a selector in words."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
