"""The objects of one plugin: a pure function, hardened, and nothing of an entry can weaken them."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.decide.state import Hashes
from orchestrator.errors import ActionError
from orchestrator.launch import Environment, Image, Launch
from orchestrator.runtime.kubernetes import container, identity, objects
from orchestrator.runtime.kubernetes.objects import Ground
from orchestrator.spec.model import HostPort, Resources

MIB = 1024 * 1024
IMAGE = Image("registry.test/p@sha256:" + "0" * 64, frozenset())
PYTHON = Environment(Path("/usr/bin/python3"), (Path("/opt/sdk"),), "digest", IMAGE)
LAUNCH = Launch(
    project="desk",
    name="binance_data",
    kind="data_source",
    generation=3,
    attempt=1,
    epoch=9,
    hashes=Hashes("i", "r", "w", "c", "p"),
    spec=b"{}",
    argv=("-m", "ntp.runner"),
    environment=PYTHON,
    code=None,
    files={"launch.json": b'{"instance": "binance_data"}', "bus.creds": b"\xff"},
    resources=Resources(memory=64 * MIB, cpu=0.5, pids=32, tmp=MIB),
)
OWNER = {"metadata": {"name": "binance-data", "uid": "u"}}
GROUND = Ground(broker={"app": "nats"}, aliases={"nats": "10.0.0.1", "nats.desk": "10.0.0.1"})


def pod_of(launch, ground=GROUND):
    return objects.workload(launch, ground)["spec"]["template"]["spec"]


def test_the_same_launch_gives_the_same_bytes():
    one, other = (json.dumps(objects.workload(LAUNCH, GROUND)) for _ in range(2))
    assert one == other
    shuffled = replace(LAUNCH, files=dict(reversed(LAUNCH.files.items())))
    made = [json.dumps(objects.secret(each, OWNER)) for each in (LAUNCH, shuffled)]
    assert made[0] == made[1]


def test_names_labels_and_what_is_needed_to_adopt():
    body = objects.workload(LAUNCH, GROUND)
    assert body["metadata"]["name"] == "binance-data"
    assert body["metadata"]["labels"] == {
        "app.kubernetes.io/name": "ntp-plugin",
        "app.kubernetes.io/instance": "binance-data",
        "app.kubernetes.io/component": "data-source",
        "app.kubernetes.io/part-of": "desk",
        "app.kubernetes.io/managed-by": "ntp",
    }
    assert identity.read(body) == identity.label_of(LAUNCH)
    assert identity.epoch_of(body) == 9
    assert identity.read(body["spec"]["template"]) == identity.label_of(LAUNCH)
    assert body["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_files_of_a_launch_are_its_secret_and_say_that_no_door_is_there():
    data = objects.secret(LAUNCH, OWNER)["data"]
    told = json.loads(base64.b64decode(data["launch.json"]))
    assert told == {"instance": "binance_data", "plain_network": True}
    assert base64.b64decode(data["bus.creds"]) == b"\xff"


def test_memory_is_asked_for_in_full_and_a_tenth_of_the_cpu():
    assert container.limits(LAUNCH.resources) == {
        "requests": {"cpu": "50m", "memory": "67108864"},
        "limits": {"cpu": "500m", "memory": "67108864"},
    }


@pytest.mark.parametrize("cpu", [0.001, 0.01, 1, 64])
def test_a_resize_never_changes_the_class_of_service(cpu):
    made = container.limits(replace(LAUNCH.resources, cpu=cpu))
    assert made["requests"]["cpu"] != made["limits"]["cpu"]


def test_scheduling_is_added_to_a_pod_that_stays_as_hard_as_it_was():
    said = {
        "priority_class": "trading",
        "node_selector": {"disk": "ssd"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "spread": ["topology.kubernetes.io/zone"],
        "evictable": False,
    }
    plain, given = pod_of(LAUNCH), pod_of(replace(LAUNCH, scheduling=said))
    added = {key: given.pop(key) for key in given.keys() - plain.keys()}
    assert given == plain
    assert added.keys() == {
        "priorityClassName",
        "nodeSelector",
        "tolerations",
        "topologySpreadConstraints",
    }
    kinds = [
        kind.kind for kind, _ in objects.guards(replace(LAUNCH, scheduling=said), GROUND, OWNER)
    ]
    assert kinds == ["NetworkPolicy", "PodDisruptionBudget"]


def test_storage_is_a_claim_that_outlives_its_workload():
    stored = replace(LAUNCH, storage=MIB)
    claim = objects.claim(stored, GROUND)
    assert "ownerReferences" not in claim["metadata"]
    assert claim["spec"]["resources"]["requests"]["storage"] == str(MIB)
    mounts = pod_of(stored)["containers"][0]["volumeMounts"]
    assert {"name": "storage", "mountPath": "/storage"} in mounts


def test_names_that_a_pod_knows_need_no_name_server():
    found = pod_of(LAUNCH)
    assert found["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["nats", "nats.desk"]}]
    assert found["dnsPolicy"] == "None"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"code": Path("/plugin")}, "ImageRequired"),
        ({"environment": replace(PYTHON, image=None)}, "ImageRequired"),
        ({"environment": None}, "ExternalBroker"),
        ({"sandbox": False}, "SandboxRequired"),
        ({"own": (HostPort("9.9.9.9", 443),)}, "NetworkRefused"),
    ],
)
def test_what_no_pod_can_be_given_is_refused_for_good(change, reason):
    with pytest.raises(ActionError) as refused:
        objects.workload(replace(LAUNCH, **change), GROUND)
    assert (refused.value.reason, refused.value.permanent) == (reason, True)
