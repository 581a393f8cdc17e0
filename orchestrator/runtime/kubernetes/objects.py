"""The objects of one plugin, as a pure function of its launch: the same launch, the same bytes.

What is written is applied by the server, so fields that the cluster fills in cause no difference.
"""

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ntp.contract.launch import LAUNCH_FILE, TERMINATION_FILE
from orchestrator.cluster.kinds import (
    CLAIM,
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
    SECRET,
    STATEFUL_SET,
    Body,
    Kind,
)
from orchestrator.errors import ActionError
from orchestrator.launch import Launch
from orchestrator.runtime import uids
from orchestrator.runtime.kubernetes import identity, policies
from orchestrator.runtime.kubernetes.container import container, scheduling
from orchestrator.runtime.kubernetes.identity import object_name

BOUND_IN_MEMORY = "Memory"
"""Medium of /tmp: only there the kernel itself holds the limit; on disk a pod is evicted minutes later."""
HISTORY = 1


@dataclass(frozen=True, slots=True)
class Ground:
    """What all pods of a namespace have in common."""

    broker: Mapping[str, str] | None = None
    """Labels of the broker's pods; None: it is outside, and reached through the proxy."""
    proxy: Mapping[str, str] = field(
        default_factory=lambda: {"app.kubernetes.io/component": "egress-proxy"}
    )
    """Labels of the pods of the egress proxy."""
    proxy_address: str = ""
    """host:port of the egress proxy, whose host is among `aliases`; empty: there is none."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Host -> address that pods know without a name server: of the broker, and of the proxy."""
    pull_secrets: tuple[str, ...] = ()
    storage_class: str | None = None
    """None: the cluster's default."""


def workload(launch: Launch, ground: Ground) -> Body:
    """Return the StatefulSet of one that runs a launch.

    Raises:
        ActionError: the launch asks for what no pod can be given.
    """
    refuse(launch)
    name = object_name(launch.name)
    label = msgspec.json.encode(identity.label_of(launch)).decode()
    annotations = {identity.LABEL: label, identity.EPOCH: str(launch.epoch)}
    if not launch.scheduling.get("evictable", True):
        annotations[identity.HELD] = "true"
    limits = msgspec.json.encode(launch.resources).decode()
    return STATEFUL_SET.body(
        name,
        metadata={
            "labels": labels(launch),
            "annotations": {**annotations, identity.LIMITS: limits},
        },
        spec={
            "replicas": 1,
            "serviceName": "",
            "podManagementPolicy": "Parallel",
            # Pods are replaced by deleting them; a changed limit rolls nothing.
            "updateStrategy": {"type": "OnDelete"},
            "revisionHistoryLimit": HISTORY,
            "selector": {"matchLabels": policies.pod_labels(launch)},
            "template": {
                "metadata": {
                    "labels": labels(launch),
                    # Of the pod's own life: the StatefulSet may be written on while it runs.
                    "annotations": {identity.LABEL: label},
                },
                "spec": _pod(launch, ground),
            },
        },
    )


def guards(launch: Launch, ground: Ground, owner: Body) -> list[tuple[Kind, Body]]:
    """Return (kind, object) of all that has to be there before a pod begins, but for its files.

    Their owner is the StatefulSet, whose end is theirs.
    """
    policy = policies.network_policy(
        launch, broker_selector=ground.broker, proxy_selector=ground.proxy
    )
    policy["metadata"] |= _common(launch, owner)
    found: list[tuple[Kind, Body]] = [(NETWORK_POLICY, policy)]
    if not launch.scheduling.get("evictable", True):
        found.append((DISRUPTION_BUDGET, _budget(launch, owner)))
    return found


def secret(launch: Launch, owner: Body) -> Body:
    """Return the Secret that has the files of a launch; its owner is the StatefulSet, too."""
    files = {**launch.files}
    if LAUNCH_FILE in files:
        told = json.loads(files[LAUNCH_FILE])
        if told.get("proxy") is None:
            # Neither door nor proxy is there: the pod's network is a plain one, within its policy.
            told["plain_network"] = True
        files[LAUNCH_FILE] = json.dumps(told, sort_keys=True).encode()
    # The kubelet mounts a file of its own over this one, for the runner's last words.
    files.setdefault(TERMINATION_FILE, b"")
    return SECRET.body(
        object_name(launch.name),
        metadata=_common(launch, owner),
        type="Opaque",
        data={name: base64.b64encode(files[name]).decode() for name in sorted(files)},
    )


def claim(launch: Launch, ground: Ground) -> Body:
    """Return the claim of a launch with storage. It has no owner: `down` keeps data."""
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(launch.storage)}},
    }
    if ground.storage_class is not None:
        spec["storageClassName"] = ground.storage_class
    return CLAIM.body(
        object_name(launch.name),
        metadata={
            "labels": labels(launch),
            "annotations": {identity.EPOCH: str(launch.epoch)},
        },
        spec=spec,
    )


def labels(launch: Launch) -> dict[str, str]:
    return {
        **policies.pod_labels(launch),
        identity.NAME: "ntp-plugin",
        identity.COMPONENT: launch.kind.replace("_", "-"),
    }


def refuse(launch: Launch) -> None:
    """Raise ActionError where no pod can run a launch: retrying cannot help."""
    name = launch.name
    if launch.environment is None:
        raise ActionError(
            f"{name} is no plugin: on a cluster the chart runs the broker",
            reason="ExternalBroker",
            permanent=True,
        )
    if launch.code is not None or launch.environment.image is None:
        raise ActionError(
            f"{name} is a folder of this machine, and a cluster runs images: "
            f"`ntp plugin package {name} --push REGISTRY --pin` makes one and writes it into the file",
            reason="ImageRequired",
            permanent=True,
        )
    if not launch.sandbox:
        raise ActionError(
            f"{name} asks to run without a sandbox, and a pod is one: take PLUGIN_SANDBOX=false away",
            reason="SandboxRequired",
            permanent=True,
        )
    if launch.own:
        problem = policies.NO_OWN_NETWORK
        raise ActionError(
            f"{name}: mode: own was asked for, which {problem.message}; {problem.fix}",
            reason="NetworkRefused",
            permanent=True,
        )


def _pod(launch: Launch, ground: Ground) -> dict[str, Any]:
    uid = uids.find(launch.project, launch.name, (), (uids.FIRST, uids.COUNT))
    volumes: list[dict[str, Any]] = [
        {
            "name": "launch",
            "secret": {"secretName": object_name(launch.name), "defaultMode": 0o440},
        },
        {
            "name": "tmp",
            "emptyDir": {
                "medium": BOUND_IN_MEMORY,
                "sizeLimit": str(max(launch.resources.tmp, 4096)),
            },
        },
    ]
    if launch.storage:
        claim = {"claimName": object_name(launch.name)}
        volumes.append({"name": "storage", "persistentVolumeClaim": claim})
    hosts: dict[str, list[str]] = {}
    for host, address in sorted(ground.aliases.items()):
        hosts.setdefault(address, []).append(host)
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The pause container is the first process: it buries orphans, and signals work as everywhere.
        "shareProcessNamespace": True,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": math.ceil(launch.grace.total_seconds()) + 2,
        # No name server: names that a pod may know are written into its /etc/hosts.
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
        "hostAliases": [{"ip": ip, "hostnames": names} for ip, names in hosts.items()],
        "imagePullSecrets": [{"name": each} for each in ground.pull_secrets],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "runAsGroup": uid,
            "fsGroup": uid,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container(launch)],
        "volumes": volumes,
        **scheduling(launch, labels(launch)),
    }


def _budget(launch: Launch, owner: Body) -> Body:
    return DISRUPTION_BUDGET.body(
        object_name(launch.name),
        metadata=_common(launch, owner),
        spec={"maxUnavailable": 0, "selector": {"matchLabels": policies.pod_labels(launch)}},
    )


def _common(launch: Launch, owner: Body) -> dict[str, Any]:
    return {
        "labels": labels(launch),
        "annotations": {identity.EPOCH: str(launch.epoch)},
        "ownerReferences": [
            {
                "apiVersion": STATEFUL_SET.api_version,
                "kind": STATEFUL_SET.kind,
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }
