"""What a plugin's pod may reach, as a NetworkPolicy: the broker, and the egress proxy where hosts are declared.

Pure. The platform enforces it, whatever the plugin does with the hooks of its SDK: no name server, no API
server, no metadata address, no neighbour; and nobody calls it.
"""

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import Problem
from orchestrator.launch import Launch

BROKER_PORT = 4222
PROXY_PORT = 3128
NO_OWN_NETWORK = Problem(
    "environment",
    0,
    0,
    "no cluster can give: a pod has one network, and a policy of the platform knows addresses, not names",
    fix="take 'mode: own' out: on a cluster the egress proxy leads to the hosts of network.egress",
)
"""Why `network.mode: own` is refused, as `Runtime.no_own_network` tells it."""


def network_policy(
    launch: Launch,
    *,
    broker_selector: Mapping[str, str] | None,
    proxy_selector: Mapping[str, str],
) -> dict[str, Any]:
    """Return the policy of one plugin; it has the name of the plugin's other objects.

    Args:
        launch: whose pods are meant.
        broker_selector: labels of the broker's pods in this namespace; None: the broker is outside, and
            reached through the proxy.
        proxy_selector: labels of the proxy's pods in this namespace.
    """
    declared = any(each not in launch.private for each in launch.egress)
    allowed = []
    if broker_selector is not None:
        allowed.append(_to(broker_selector, BROKER_PORT))
    if declared or broker_selector is None:
        allowed.append(_to(proxy_selector, PROXY_PORT))
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": launch.name.replace("_", "-")},
        "spec": {
            "podSelector": {"matchLabels": pod_labels(launch)},
            # No rule for ingress: nobody is let in. (An empty list would be dropped, and noted as a change.)
            "policyTypes": ["Ingress", "Egress"],
            "egress": allowed,
        },
    }


def pod_labels(launch: Launch) -> dict[str, str]:
    """Return the labels by which the pods of one plugin are selected, and no others."""
    return {
        "app.kubernetes.io/instance": launch.name.replace("_", "-"),
        "app.kubernetes.io/part-of": launch.project,
        "app.kubernetes.io/managed-by": "ntp",
    }


def _to(selector: Mapping[str, str], port: int) -> dict[str, Any]:
    return {
        "to": [{"podSelector": {"matchLabels": dict(selector)}}],
        "ports": [{"protocol": "TCP", "port": port}],
    }
