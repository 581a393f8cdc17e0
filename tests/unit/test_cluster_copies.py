"""What is kept in memory of what a cluster has: as much as is read from it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cluster.informer import Informer
from orchestrator.cluster.kinds import POD, STATEFUL_SET
from orchestrator.launch import Environment, Image
from orchestrator.runtime.kubernetes import identity, pods
from orchestrator.runtime.kubernetes.objects import Ground, workload
from tests.worlds.pods import launch

IMAGE = Image(f"registry.example/feed@sha256:{'0' * 64}", frozenset())
RUNS = Environment(Path("/usr/bin/python3"), (), "sha256:0", image=IMAGE)


@pytest.mark.parametrize("kind", [STATEFUL_SET, POD])
def test_a_copy_has_the_limits_and_the_marks_of_a_workload_and_little_else(kind):
    body = workload(replace(launch("my_feed"), environment=RUNS), Ground())
    if kind is POD:
        body = {**body["spec"]["template"], "status": {"phase": "Running"}}
        body["metadata"] |= {"name": "my-feed-0"}
    body["metadata"] |= {"resourceVersion": "7", "managedFields": [{"manager": "ntp"}]}
    copies = Informer(None, kind, "")
    copies.take(body)
    [copy] = copies._objects.values()

    def spec(found):
        return found["spec"] if kind is POD else found["spec"]["template"]["spec"]

    assert pods.wanted(spec(copy)) == pods.wanted(spec(body)) == (1 << 28, 1.0)
    assert identity.read(copy) == identity.read(body) is not None
    assert copy.get("status") == body.get("status")
    assert len(json.dumps(copy)) < len(json.dumps(body)) / 2
