"""The Roles against what is asked: of a controller in a life with everything in it, and of Helm's hooks. None unused, none missing."""

import copy
import subprocess
import sys

import pytest
import yaml

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
        granted = granted_to("controller")
        assert (sorted(used - granted), sorted(granted - used - UNSEEN)) == ([], [])


def granted_to(component, values=None):
    return {
        (group, resource, verb)
        for rule in rendered(values)["Role", f"ntp-{component}"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def through(release, port, folder):
    """A kubeconfig of who may do anything in the namespace, and asks by that port."""
    release.kubectl("create", "serviceaccount", "anybody")
    release.kubectl("create", "rolebinding", "anybody", "--clusterrole=cluster-admin", f"--serviceaccount={release.namespace}:anybody")  # fmt: skip
    token = release.kubectl("create", "token", "anybody").strip()
    own = yaml.safe_load(release.cluster.run("kubectl", "config", "view", "--raw", "--flatten"))
    [cluster] = own["clusters"]
    cluster["cluster"]["server"] = f"https://{ADDRESS}:{port}"
    own["users"] = [{"name": "anybody", "user": {"token": token}}]
    own["contexts"] = [{"name": "here", "context": {"cluster": cluster["name"], "user": "anybody", "namespace": release.namespace}}]  # fmt: skip
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(own | {"current-context": "here"}))
    return file


def test_the_hooks_ask_for_what_they_may_and_for_nothing_else(knowing, tmp_path):
    with knowing.namespace() as namespace, counting() as (port, used):
        release = Release(knowing, namespace, tmp_path)
        kubeconfig = through(release, port, tmp_path)

        def asked_by(*words):
            used.clear()
            done = subprocess.run(
                [sys.executable, "-m", "orchestrator", "release", *words, "--project", "ntp"],
                capture_output=True, text=True, timeout=400,
                env={**knowing.environment, "KUBECONFIG": str(kubeconfig)},
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return set(used)

        keys = asked_by("keys", "--nats", "ntp-nats-keys", "--egress", "ntp-egress-proxy-seed")
        assert keys == granted_to("keys")
        release.install({"defaults": None})
        tried = asked_by("test")
        # A newer API server asks for `create` where a port is reached by an upgrade.
        assert tried | {("", "pods/portforward", "create")} == granted_to("test")
        plugins = {
            "strategies": [{"name": "momentum_strategy", "kubernetes": {"evictable": False}}],
            "executors": [{"name": "paper_executor"}],
        }
        release.upgrade({"plugins": plugins})
        release.until_ready(2)
        kept = asked_by("remove", "--keep-data")
        assert kept == granted_to("uninstall", {"keepData": True})
        assert kept | asked_by("remove") == granted_to("uninstall")
