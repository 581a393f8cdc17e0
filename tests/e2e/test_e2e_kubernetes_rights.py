"""The controller's Role against what a controller asks in a life with everything in it: none unused, none missing."""

import copy

import pytest

from tests.worlds.chart import rendered
from tests.worlds.counting_api import ADDRESS, counting
from tests.worlds.release import Release

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
PLUGINS = {
    "data_sources": [
        {"name": "replay_data", "config": {"symbols": ["BTCUSDT"], "speed": 20, "loop": True}},
        {
            "name": "polygon_data",
            "config": {
                "api_key": "${POLYGON_API_KEY}",
                "stream_url": "ws://ntp-exchange:9443/stocks",
                "symbols": ["AAPL"],
            },
        },
    ],
    "strategies": [
        {"name": "momentum_strategy", "inputs": [{"from": "replay_data"}], "kubernetes": {"evictable": False}}
    ],
    "executors": [{"name": "paper_executor"}],
}  # fmt: skip

UNSEEN = {
    # An apply that makes an object is a PATCH, and the API server asks for `create` as well.
    *((group, resource, "create") for group, resource in (("apps", "statefulsets"), ("networking.k8s.io", "networkpolicies"), ("policy", "poddisruptionbudgets"), ("", "persistentvolumeclaims"))),
    # Why a pod does not begin; an event that happens again; a claim of `--delete-data`; a limit alone that changes.
    ("", "events", "list"), ("", "events", "patch"),
    ("", "persistentvolumeclaims", "list"), ("", "persistentvolumeclaims", "delete"),
    ("", "pods/resize", "patch"),
}  # fmt: skip
"""What this life does not ask for, and another one does."""


def test_each_verb_is_used_and_each_that_is_used_is_granted(knowing, tmp_path):
    with knowing.namespace() as namespace, counting() as (port, used):
        release = Release(knowing, namespace, tmp_path)
        values = {
            "exchange": {"enabled": True},
            "secrets": {"POLYGON_API_KEY": "any"},
            "plugins": PLUGINS,
            "controller": {
                "environment": {
                    "KUBERNETES_SERVICE_HOST": ADDRESS,
                    "KUBERNETES_SERVICE_PORT": port,
                }
            },
            "networkPolicy": {"controllerTo": [{"ports": [{"protocol": "TCP", "port": port}]}]},
        }
        # Hooks and `ntpctl` ask the API server itself; only the controller goes this way.
        values["networkPolicy"]["controllerTo"][0]["ports"].append(
            {"protocol": "TCP", "port": 6443}
        )
        release.install(values)
        release.until_ready(4)
        release.ntpctl("logs", "replay_data")
        changed = copy.deepcopy(values)
        changed["plugins"]["strategies"][0] |= {"resources": {"memory": "144MB"}, "kubernetes": {"evictable": True}}  # fmt: skip
        release.upgrade(changed)
        release.until_ready(4)
        release.ntpctl("restart", "replay_data")
        release.until_ready(4)
        fewer = copy.deepcopy(changed)
        del fewer["plugins"]["executors"]
        release.upgrade(fewer)
        release.until_ready(3)
        release.kubectl("delete", "pluginset", "ntp")
        release.until(lambda: not release.plugins())
        granted = {
            (group, resource, verb)
            for rule in rendered()["Role", "ntp-controller"]["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        assert (sorted(used - granted), sorted(granted - used - UNSEEN)) == ([], [])
