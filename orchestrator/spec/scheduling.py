"""The `kubernetes:` block of an entry: where and how urgently its pod runs, and nothing else.

An allow-list: none of it can change who the pod runs as, what it may reach, mount or use up.
"""

from typing import Annotated, Final, Literal, Required

from pydantic import AfterValidator, Field, StrictBool
from typing_extensions import TypedDict

from orchestrator.spec.fields import closed, said
from orchestrator.spec.values import refused

_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY: Final = rf"^([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_LABEL}$"
_VALUE: Final = rf"^({_LABEL})?$"
_NAME: Final = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
_OF_THE_CLUSTER = "system-"

Key = Annotated[str, Field(pattern=_KEY, max_length=317)]
Value = Annotated[str, Field(pattern=_VALUE, max_length=63)]


def _of_people(name: str) -> str:
    if name.startswith(_OF_THE_CLUSTER):
        raise refused(
            f"was '{name}', which is for the cluster's own pods",
            "name a class that your platform team has made for workloads",
        )
    return name


@closed
class Toleration(TypedDict, total=False):
    key: Required[
        Annotated[Key, said("Key of the taint", "write the key of one taint", example="dedicated")]
    ]
    operator: Annotated[
        Literal["Equal", "Exists"],
        said("How `value` counts", "write Equal or Exists", default="Equal", example="Exists"),
    ]
    value: Annotated[
        Value, said("Value of the taint", "write it in quotes", default="''", example="trading")
    ]
    effect: Annotated[
        Literal["NoSchedule", "PreferNoSchedule", "NoExecute"],
        said(
            "Which taints of that key",
            "write NoSchedule, PreferNoSchedule or NoExecute",
            default="all",
            example="NoSchedule",
        ),
    ]


@closed
class Kubernetes(TypedDict, total=False):
    priority_class: Annotated[
        str,
        Field(pattern=_NAME, max_length=253),
        AfterValidator(_of_people),
        said(
            "Who gives way where nodes are full",
            "write the name of a PriorityClass of the cluster",
            default="the cluster's default",
            example="trading",
        ),
    ]
    node_selector: Annotated[
        dict[Key, Value],
        Field(max_length=32),
        said(
            "Labels that its node must have",
            "write a mapping of labels, values in quotes",
            default="any node",
            example={"disk": "ssd"},
        ),
    ]
    tolerations: Annotated[
        list[Toleration],
        Field(max_length=32),
        said(
            "Taints of nodes on which it may run all the same",
            "write a list such as [{key: dedicated, value: trading}]",
            default="none",
            example=[{"key": "dedicated", "value": "trading"}],
        ),
    ]
    spread: Annotated[
        list[Key],
        Field(max_length=8),
        said(
            "Labels of nodes over whose values plugins of its kind are spread as far as possible",
            "write a list such as [topology.kubernetes.io/zone]",
            default="as the cluster does",
            example=["topology.kubernetes.io/zone"],
        ),
    ]
    evictable: Annotated[
        StrictBool,
        said(
            "false: a node that is drained waits until it was moved by hand (a PodDisruptionBudget)",
            "write true or false, unquoted",
            default="true",
            example=False,
        ),
    ]
