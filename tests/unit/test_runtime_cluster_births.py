"""What a start that waits for its pod asks the API server meanwhile."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cluster.kinds import (
    CLAIM,
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
    POD,
    SECRET,
    STATEFUL_SET,
)
from orchestrator.cluster.reading import Listing
from orchestrator.errors import ActionError, ConflictError
from orchestrator.launch import Environment, Image
from orchestrator.runtime.kubernetes import identity, objects
from orchestrator.runtime.kubernetes.births import ASKING, Births
from orchestrator.runtime.kubernetes.egress import Egress
from orchestrator.runtime.kubernetes.look import Seen
from orchestrator.runtime.kubernetes.objects import Ground
from tests.worlds.pods import launch
from tests.worlds.restless import Restless

IMAGE = Image(f"registry.example/feed@sha256:{'0' * 64}", frozenset())
RUNS = Environment(Path("/usr/bin/python3"), (), "sha256:0", image=IMAGE)
FEED = replace(launch("feed"), environment=RUNS, egress=())
WORKLOAD = objects.workload(FEED, Ground())
WORKLOAD["metadata"] |= {"uid": "w", "generation": 1}
WORKLOAD["status"] = {"observedGeneration": 1}
RUNNING = {
    "metadata": {**WORKLOAD["spec"]["template"]["metadata"], "uid": "p", "name": "feed-0"},
    "status": {
        "containerStatuses": [
            {"name": "plugin", "state": {"running": {"startedAt": "2026-11-30T09:00:00Z"}}}
        ]
    },
}


class Slow(Restless):
    """What is seen of `feed`: others change ten times a second, its own pod comes after a while."""

    def __init__(self, comes_s):
        self.comes_s = comes_s
        self.now = 0.0

    async def of(self, name):
        assert name == "feed"
        self.now += 0.1
        return Seen(WORKLOAD, RUNNING if self.now >= self.comes_s else None)

    def take(self, _workload):
        pass


class ApiServer:
    """Has no Event to tell until `tells`; notes when it was asked."""

    def __init__(self, look, *, tells=1e9):
        self.look = look
        self.tells = tells
        self.asked = []

    async def list(self, kind, _labels="", **_chosen):
        if kind is POD:
            return Listing((), "1")
        self.asked.append(self.look.now)
        told = [{"message": "exceeded quota: small"}] if self.look.now >= self.tells else []
        return Listing(tuple(told), "1")

    async def apply(self, _kind, body):
        return {**body, "metadata": {**body["metadata"], "uid": "w"}}


async def begin(look, server):
    egress = Egress("shop", server, Ground())
    await Births("shop", server, look, Ground(), egress, clock=lambda: look.now).begin(FEED)


async def test_a_slow_cluster_is_asked_for_its_complaints_ever_less_often():
    look = Slow(comes_s=45.0)
    server = ApiServer(look)
    await begin(look, server)
    assert len(server.asked) == 4


async def test_a_complaint_that_comes_late_is_told():
    look = Slow(comes_s=45.0)
    with pytest.raises(ActionError, match="exceeded quota") as refused:
        await begin(look, ApiServer(look, tells=15.0))
    assert refused.value.reason == "QuotaExceeded"


class Recording:
    """Has what it is given at first; notes what is written, others having their turn at each call."""

    def __init__(self, *there):
        self.there = dict(there)
        self.written = []

    async def get(self, kind, _name):
        await asyncio.sleep(0)
        return self.there.get(kind)

    async def apply(self, kind, body, **_how):
        self.written.append((kind, body["metadata"]["name"]))
        await asyncio.sleep(0)
        metadata = {**body["metadata"], "uid": "w", "generation": 1}
        return {**body, "metadata": metadata, "status": {"observedGeneration": 1}}

    async def list(self, _kind, _labels, **_chosen):
        return Listing((), "1")

    async def delete(self, kind, _name, *, uid):
        self.written.append((kind, f"without {uid}"))


class Empty:
    """Sees what it is given, and whatever was written as running."""

    def __init__(self, *there):
        self.there = {each["metadata"]["name"]: each for each in there}
        self.begun = set()

    async def of(self, name):
        found = self.there.get(name)
        return Seen(found, pod_of(found) if name in self.begun else None)

    def take(self, body):
        self.there[body["metadata"]["name"]] = body
        self.begun.add(body["metadata"]["name"])

    @contextlib.contextmanager
    def listening(self, _name=""):
        yield asyncio.Event()


def pod_of(workload):
    """The pod of a workload, running."""
    label = workload["spec"]["template"]["metadata"]
    return {**RUNNING, "metadata": {**RUNNING["metadata"], **label}}


def births(server, look):
    return Births("shop", server, look, Ground(), Egress("shop", server, Ground()))


def left(kind):
    """An object of ours of the name of `FEED`, of before."""
    return kind, kind.body("feed", metadata={"uid": "old", "labels": identity.ours("shop")})


async def test_of_many_the_first_have_their_pods_before_the_last_are_written():
    server = Recording()
    many = births(server, Empty())
    async with asyncio.TaskGroup() as tasks:
        for number in range(30):
            tasks.create_task(many.begin(replace(FEED, name=f"feed{number}")))
    kinds = [kind for kind, _ in server.written]
    assert kinds.count(STATEFUL_SET) == kinds.count(SECRET) == 30
    last_begins = len(kinds) - 1 - kinds[::-1].index(STATEFUL_SET)
    assert kinds[:last_begins].count(SECRET) > 20


async def test_files_that_a_pod_begins_with_are_written_once_all_is_there_that_guards_it():
    server = Recording()
    held = replace(FEED, storage=1 << 20, scheduling={"evictable": False})
    await births(server, Empty()).begin(held)
    kinds = [kind for kind, _ in server.written]
    assert kinds[:2] == [CLAIM, STATEFUL_SET]
    assert {*kinds[2:4]} == {NETWORK_POLICY, DISRUPTION_BUDGET}
    assert kinds[4:] == [SECRET]


async def test_no_pod_begins_with_files_that_are_left_of_a_launch_before():
    server = Recording(left(SECRET), left(NETWORK_POLICY))
    await births(server, Empty()).begin(FEED)
    assert server.written[:2] == [(SECRET, "without old"), (STATEFUL_SET, "feed")]


async def test_files_that_a_stop_left_go_before_the_next_pod_can_come():
    stopped = {**WORKLOAD, "spec": {**WORKLOAD["spec"], "replicas": 0}}
    server = Recording(left(SECRET))
    await births(server, Empty(stopped)).begin(replace(FEED, attempt=FEED.attempt + 1))
    kinds = [STATEFUL_SET, NETWORK_POLICY, SECRET]
    assert server.written == [(SECRET, "without old"), *((kind, "feed") for kind in kinds)]


async def test_files_of_what_the_copy_does_not_show_yet_stay():
    server = Recording(left(STATEFUL_SET), left(SECRET))
    with pytest.raises(ConflictError, match="meanwhile"):
        await births(server, Empty()).begin(FEED)
    assert server.written == []


async def test_who_died_in_the_middle_of_a_start_left_one_that_is_written_again():
    server, half = Recording(), Empty({**WORKLOAD, "metadata": {**WORKLOAD["metadata"]}})
    await births(server, half).begin(FEED)
    assert [kind for kind, _ in server.written] == [STATEFUL_SET, NETWORK_POLICY, SECRET]
    await births(server, half).begin(FEED)
    assert len(server.written) == 3, "it has begun: all is there"


class HalfMade(Restless):
    """A start that was cut off left a StatefulSet and perhaps its pod, which waits for its files.

    Who makes the pods has read the StatefulSet as it is now when `reads` is over, of looks; and until then
    makes one as it was before, which the copy never shows. No pod may find files of another launch.
    """

    def __init__(self, now, *, pod, reads, files):
        self.now = identity.written(objects.workload(now, Ground()))[identity.LABEL]
        self.workload = WORKLOAD
        self.template = WORKLOAD["spec"]
        self.reads, self.pod = reads, self._pod("p") if pod else None
        self.files = identity.written(WORKLOAD)[identity.LABEL] if files else ""
        self.written = []

    def _pod(self, uid):
        label = self.template["template"]["metadata"]
        return {"metadata": {**label, "uid": uid, "name": "feed-0"}, "status": {"phase": "Pending"}}

    def _turn(self):
        """What others do between two requests."""
        self.reads -= 1
        if self.reads <= 0:
            self.template = self.workload["spec"]
            seen = self.workload["metadata"]["generation"]
            self.workload = {**self.workload, "status": {"observedGeneration": seen}}
        self.pod = self.pod or self._pod(f"p{self.reads}")
        if self.files:
            assert identity.written(self.pod)[identity.LABEL] == self.files
        if self.files == self.now:
            self.pod["status"] = RUNNING["status"]

    async def of(self, _name):
        await asyncio.sleep(0)
        begun = self.pod is not None and self.pod["status"] is RUNNING["status"]
        found = Seen(self.workload, self.pod if begun else None)
        self._turn()
        return found

    def take(self, workload):
        pass

    async def get(self, kind, _name):
        return left(SECRET)[1] if kind is SECRET and self.files else None

    async def list(self, kind, _labels, *, fields):
        assert (kind, fields) == (POD, "metadata.name=feed-0")
        return Listing((self.pod,) if self.pod else (), "1")

    async def apply(self, kind, body):
        self.written.append(kind)
        if kind is STATEFUL_SET:
            changed = int(body["spec"] != self.workload["spec"])
            number = self.workload["metadata"]["generation"] + changed
            metadata = {**body["metadata"], "uid": "w", "generation": number}
            self.workload = {**self.workload, **body, "metadata": metadata}
        if kind is SECRET:
            self.files = self.now
        self._turn()
        return self.workload if kind is STATEFUL_SET else body

    async def delete(self, kind, _name, *, uid):
        if kind is POD:
            assert uid == self.pod["metadata"]["uid"]
            self.pod = None
        else:
            self.files = ""
        self._turn()


OTHERS = {
    "generation": replace(FEED, generation=FEED.generation + 1),
    "attempt": replace(FEED, attempt=FEED.attempt + 1),
}


@pytest.mark.parametrize("files", [False, True], ids=["", "files"])
@pytest.mark.parametrize("pod", [False, True], ids=["comes", "waits"])
@pytest.mark.parametrize("other", OTHERS)
async def test_a_pod_of_a_start_cut_off_is_never_given_the_files_of_the_next(other, pod, files):
    now = OTHERS[other]
    half = HalfMade(now, pod=pod, reads=6, files=files)
    async with asyncio.timeout(10):
        await births(half, half).begin(now)
    assert half.written[-2:] == [NETWORK_POLICY, SECRET]
    assert identity.read(half.pod) == identity.label_of(now)


@pytest.mark.parametrize("pod", [False, True], ids=["comes", "waits"])
async def test_who_died_before_the_old_pod_was_deleted_is_followed_by_one_who_deletes_it(pod):
    now = OTHERS["generation"]
    half = HalfMade(now, pod=pod, reads=6, files=False)
    await half.apply(STATEFUL_SET, objects.workload(now, Ground()))
    async with asyncio.timeout(10):
        await births(half, half).begin(now)
    assert identity.read(half.pod) == identity.label_of(now)


class Nothing:
    """No object is there, and none may be looked for; notes how many starts asked at a time."""

    def __init__(self):
        self.asking = []
        self.peak = 0

    async def of(self, _name):
        return Seen(None, None)

    async def get(self, _kind, name):
        self.asking.append(name)
        self.peak = max(self.peak, len({*self.asking}))
        for _ in range(100):
            await asyncio.sleep(0)  # whoever may ask does so meanwhile
        self.asking.remove(name)
        raise ActionError("not allowed", reason="Forbidden")


async def test_of_many_starts_a_few_ask_at_a_time():
    """Each request's deadline counts its wait for a turn: the last of a crowd would have none left."""
    server = Nothing()
    some = births(server, server)
    many = [replace(FEED, name=f"feed{each}") for each in range(64)]

    async def refused(one):
        with pytest.raises(ActionError, match="not allowed"):
            await some.begin(one)

    async with asyncio.TaskGroup() as group:
        for each in many:
            group.create_task(refused(each))
    assert server.peak == ASKING
