"""What is known of a stop where the copy of the cluster is behind it."""

from datetime import UTC, datetime

import msgspec

from orchestrator.cluster.kinds import SECRET
from orchestrator.runtime.kubernetes.identity import STOPPING, ours
from orchestrator.runtime.kubernetes.look import Seen, Stopping
from orchestrator.runtime.kubernetes.stops import Stops
from tests.worlds.restless import Restless


def workload(generation, observed, pods):
    return {
        "metadata": {"uid": "w", "generation": generation, "annotations": {}},
        "spec": {"replicas": 0},
        "status": {"observedGeneration": observed, "replicas": pods},
    }


POD = {"metadata": {"uid": "p", "name": "feed-0", "annotations": {}}, "status": {}}


class Copy(Restless):
    """What is seen of `feed`, one look after the other; the last stays."""

    def __init__(self, *looks):
        self.looks = list(looks)

    async def of(self, name):
        assert name == "feed"
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def last_pod(self, _name):
        return None

    def take(self, _workload):
        pass


class ApiServer:
    """Notes how many looks were left when a Secret was deleted."""

    def __init__(self, copy):
        self.copy = copy
        self.deleted_at = []
        self.patched = []

    async def patch(self, _kind, _name, body):
        self.patched.append(body["metadata"]["annotations"])
        return body

    async def get(self, _kind, name):
        return {"metadata": {"name": name, "uid": "s", "labels": ours("desk")}}

    async def delete(self, kind, _name, **_options):
        if kind is SECRET:
            self.deleted_at.append(len(self.copy.looks))


async def test_a_pod_that_is_not_seen_yet_is_waited_for_and_keeps_its_secret():
    copy = Copy(
        Seen(workload(1, 1, 0), None),
        Seen(workload(2, 1, 0), None),  # nobody has read yet that it shall have none
        Seen(workload(2, 2, 1), None),  # one was made before, and is on its way
        Seen(workload(2, 2, 1), POD),
        Seen(workload(2, 2, 0), None),
    )
    server = ApiServer(copy)
    await Stops("desk", server, copy).end("feed", grace_s=1, cause="StoppedByHand")
    assert server.deleted_at == [1]


async def test_a_stop_with_less_grace_waits_as_long_as_the_one_before_it_may_take():
    """No kubelet hears of less grace than it has begun to give."""
    asked = msgspec.json.encode(Stopping("Removed", datetime.now(UTC), 600)).decode()
    stopping = workload(2, 2, 1)
    stopping["metadata"]["annotations"][STOPPING] = asked
    copy = Copy(*[Seen(stopping, POD)] * 590, Seen(workload(2, 2, 0), None))
    server = ApiServer(copy)
    seconds = iter(range(10_000))
    await Stops("desk", server, copy, clock=lambda: next(seconds)).end(
        "feed", grace_s=1, cause="StoppedByHand"
    )
    written = msgspec.json.decode(server.patched[0][STOPPING], type=Stopping)
    assert (written.cause, written.grace_s) == ("StoppedByHand", 600), "for a third that comes"
