"""What a pod runs, what it may use, and where: nothing of an entry can make it softer."""

from collections.abc import Mapping
from typing import Any

from ntp.contract.launch import FOLDER, TERMINATION_FILE
from orchestrator.launch import Launch
from orchestrator.runtime.kubernetes import identity
from orchestrator.runtime.kubernetes.identity import CONTAINER
from orchestrator.runtime.view import STORAGE, environment
from orchestrator.spec.model import Resources

TMP = "/tmp"  # noqa: S108 - the pod's own
SHARE_OF_CPU = 10
"""A plugin asks for a tenth of its CPU limit: it sleeps between ticks. To ask for all of it would
reserve cores that nobody uses; memory is asked for in full, since it cannot be taken back."""
LEAST_CPU = 1


def limits(resources: Resources) -> dict[str, dict[str, str]]:
    """Return requests and limits. Always another request of CPU than its limit, so that the class of
    service stays the same (Burstable) whatever a resize does; the cluster refuses to change it.
    """
    cpu = max(LEAST_CPU + 1, round(resources.cpu * 1000))
    memory = str(resources.memory)
    return {
        "requests": {"cpu": f"{max(LEAST_CPU, cpu // SHARE_OF_CPU)}m", "memory": memory},
        "limits": {"cpu": f"{cpu}m", "memory": memory},
    }


def scheduling(launch: Launch, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what the entry's `kubernetes:` block adds to a pod with these labels."""
    said = launch.scheduling
    kind = {**identity.ours(launch.project), identity.COMPONENT: labels[identity.COMPONENT]}
    found = {
        "priorityClassName": said.get("priority_class"),
        "nodeSelector": dict(said.get("node_selector") or {}),
        "tolerations": [dict(each) for each in said.get("tolerations") or ()],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": kind},
            }
            for key in said.get("spread") or ()
        ],
    }
    return {name: value for name, value in found.items() if value}


def container(launch: Launch) -> dict[str, Any]:
    """Return the only container of a pod. The launch is one that `objects.refuse` let pass."""
    assert launch.environment is not None and launch.environment.image is not None  # noqa: PT018, S101 - `refuse` was asked
    mounts = [
        {"name": "launch", "mountPath": FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": TMP},
    ]
    if launch.storage:
        mounts.append({"name": "storage", "mountPath": STORAGE})
    return {
        "name": CONTAINER,
        "image": launch.environment.image.reference,
        "imagePullPolicy": "IfNotPresent",
        "command": [str(launch.environment.python), *launch.argv],
        "workingDir": TMP,
        "env": [
            {"name": name, "value": value}
            for name, value in environment(launch, tmp=TMP, files=FOLDER).items()
        ],
        "resources": limits(launch.resources),
        "terminationMessagePath": f"{FOLDER}/{TERMINATION_FILE}",
        # Without last words of its own the last lines of its output are kept.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": mounts,
    }
