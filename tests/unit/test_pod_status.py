"""What a pod's status becomes: the words of all runtimes, with the cluster's own message."""

import json
from datetime import UTC, datetime

import pytest

from orchestrator.cluster.copies import kept
from orchestrator.cluster.kinds import POD
from orchestrator.decide.state import Phase
from orchestrator.runtime.kubernetes import pods

AT = "2026-03-04T05:06:07Z"
MIB = 1024 * 1024


def pod(state=None, last=None, *, metadata=None, **status):
    container = {"name": "plugin", "state": state or {}, "lastState": last or {}}
    container["containerID"] = "containerd://abc"
    other = {"name": "injected", "state": {"running": {}}}
    body = {
        "metadata": {"uid": "u", "name": "a-0", **(metadata or {})},
        "spec": {},
        "status": {"containerStatuses": [other, container], **status},
    }
    # What is read of a pod is read of the copy that is kept of it.
    return kept(POD, body)


def terminated(**fields):
    return {
        "terminated": {
            "finishedAt": AT,
            "startedAt": AT,
            "containerID": "containerd://old",
            **fields,
        }
    }


BACKING_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("found", "phase"),
    [
        (pod({"running": {"startedAt": AT}}), Phase.RUNNING),
        (pod({"running": {}}, metadata={"deletionTimestamp": AT}), Phase.STOPPING),
        (pod({"waiting": {"reason": "ContainerCreating"}}), Phase.CREATED),
        (pod({"waiting": {"reason": "ImagePullBackOff"}}), Phase.CREATED),
        (pod(BACKING_OFF, terminated(exitCode=1)), Phase.EXITED),
        (pod(terminated(exitCode=0)), Phase.EXITED),
        (pod({}, phase="Failed", reason="Evicted"), Phase.EXITED),
        ({"metadata": {"uid": "u"}, "spec": {}}, Phase.CREATED),
    ],
)
def test_the_phase_of_a_pod(found, phase):
    assert pods.phase(found) is phase


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ({"exitCode": 3, "reason": "Error"}, (3, None, False, "")),
        ({"exitCode": 0, "reason": "Completed"}, (0, None, False, "")),
        ({"exitCode": 137, "reason": "OOMKilled"}, (None, 9, True, "OOMKilled")),
        ({"exitCode": 139, "reason": "Error"}, (None, 11, False, "")),
        (
            {"exitCode": 128, "reason": "StartError", "message": "no such file"},
            (128, None, False, "StartRefused"),
        ),
    ],
)
def test_the_end_of_a_life(ended, expected):
    end = pods.ended(pod(BACKING_OFF, terminated(**ended)), 64 * MIB)
    assert (end.code, end.signal, end.oom, end.reason) == expected
    assert end.at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert end.memory_peak == (64 * MIB if end.oom else 0)


def test_last_words_are_the_runners_and_else_the_last_lines():
    words = json.dumps({"reason": "ConfigRefused", "message": "period was 0", "permanent": True})
    end = pods.ended(pod(BACKING_OFF, terminated(exitCode=1, message=words)), 0)
    assert (end.reason, end.message, end.permanent) == ("ConfigRefused", "period was 0", True)
    assert end.last_output == ()
    end = pods.ended(pod(BACKING_OFF, terminated(exitCode=1, message="one\n\x1b[2Jtwo\n")), 0)
    assert (end.reason, end.message, end.last_output) == ("", "", ("one", "[2Jtwo"))
    lie = json.dumps({"reason": "Evicted", "message": "not I"})
    assert pods.ended(pod(BACKING_OFF, terminated(exitCode=1, message=lie)), 0).reason == ""


def test_an_eviction_has_the_nodes_words():
    said = "The node was low on resource: memory."
    found = pod({}, phase="Failed", reason="Evicted", message=said, startTime=AT)
    end = pods.ended(found, 0)
    assert (end.reason, end.message) == ("Evicted", said)
    found = pod(terminated(exitCode=137), phase="Failed", reason="Evicted", message=said)
    assert (pods.ended(found, 0).reason, pods.ended(found, 0).message) == ("Evicted", said)


def test_a_life_is_another_one_after_each_restart_and_knows_the_one_before():
    found = pod({"running": {"startedAt": AT}}, terminated(exitCode=1))
    assert (pods.life(found), pods.previous(found)) == ("abc", "old")
    assert pods.before(found, 0).code == 1
    first = pod({"running": {"startedAt": AT}})
    assert (pods.previous(first), pods.before(first, 0)) == ("", None)


@pytest.mark.parametrize(
    ("found", "reason", "hopeful"),
    [
        (
            pod({"waiting": {"reason": "ImagePullBackOff", "message": "m"}}),
            "ImagePullBackOff",
            False,
        ),
        (
            pod({"waiting": {"reason": "CreateContainerConfigError", "message": "m"}}),
            "CreateContainerConfigError",
            False,
        ),
        (
            pod(
                {},
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "m",
                    }
                ],
            ),
            "Unschedulable",
            True,
        ),
    ],
)
def test_why_a_pod_does_not_begin(found, reason, hopeful):
    refusal = pods.refusal(found)
    assert (refusal.reason, refusal.message, pods.is_hopeful(refusal)) == (reason, "m", hopeful)


def test_what_is_only_slow_is_no_refusal():
    assert pods.refusal(pod({"waiting": {"reason": "ContainerCreating"}})) is None
    assert pods.refusal(pod(BACKING_OFF, terminated(exitCode=1))) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("64Mi", 64 * MIB),
        ("67108864", 64 * MIB),
        ("100m", 0.1),
        ("1", 1),
        ("2k", 2000),
        ("1G", 10**9),
        ("", 0),
        ("?", 0),
    ],
)
def test_quantities_of_the_cluster(text, number):
    assert pods.quantity(text) == pytest.approx(number)


def test_a_resize_that_is_not_done_is_told():
    pending = {"type": "PodResizePending", "status": "True", "reason": "Infeasible", "message": "m"}
    assert pods.resizing(pod({}, conditions=[pending])).reason == "Infeasible"
    done = {"type": "PodResizePending", "status": "False", "reason": "", "message": ""}
    assert pods.resizing(pod({}, conditions=[done])) is None
