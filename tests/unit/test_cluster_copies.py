"""What is kept in memory of what a cluster has: as much as is read from it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cluster.copies import kept
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


def test_copies_share_what_is_the_same_in_them():
    made = [
        workload(replace(launch(name), environment=RUNS), Ground()) for name in ("one", "another")
    ]
    pod = made[0]["spec"]["template"]
    pod["metadata"] |= {"name": "one-0"}
    # As they come: nothing in one object is anything in another.
    one, another, runs = (
        kept(kind, json.loads(json.dumps(body)))
        for kind, body in ((STATEFUL_SET, made[0]), (STATEFUL_SET, made[1]), (POD, pod))
    )
    assert one["spec"]["template"] is another["spec"]["template"]
    assert one["spec"]["template"]["spec"]["containers"] == runs["spec"]["containers"]
    said, again = (identity.written(each)[identity.LABEL] for each in (one, runs))
    assert said is again


def test_no_text_of_a_cluster_is_kept_for_good():
    """What `sys.intern` was given stays until the end of the process in Python 3.12."""
    time = "2026-11-30T20:13:29Z"
    told = {"type": "Unready", "status": "Perhaps", "lastTransitionTime": time}
    body = {
        "metadata": {"name": "one-0", "annotations": {"mark": "of one alone"}},
        "status": {"phase": "Odd", "conditions": [told]},
    }
    copy = kept(POD, json.loads(json.dumps(body)))
    texts = [copy["metadata"]["annotations"]["mark"], *copy["status"]["conditions"][0].values()]
    assert len(texts) == 4
    for text in texts:
        assert sys.intern(text.encode().decode()) is not text


@pytest.mark.parametrize(
    ("phase", "kinds"), [("Running", ["Ready"]), ("Failed", ["Init", "Ready"])]
)
def test_of_a_pod_that_runs_only_what_is_not_well_is_kept(phase, kinds):
    told = [{"type": "Init", "status": "True"}, {"type": "Ready", "status": "False"}]
    pod = {"metadata": {"name": "a-0"}, "status": {"phase": phase, "conditions": told}}
    copy = kept(POD, pod)
    assert [each["type"] for each in copy["status"]["conditions"]] == kinds
