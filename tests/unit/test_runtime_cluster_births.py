"""What a start that waits for its pod asks the API server meanwhile."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cluster.kinds import STATEFUL_SET
from orchestrator.cluster.reading import Listing
from orchestrator.errors import ActionError
from orchestrator.launch import Environment, Image
from orchestrator.runtime.kubernetes import objects
from orchestrator.runtime.kubernetes.births import ASKING, Births
from orchestrator.runtime.kubernetes.egress import Egress
from orchestrator.runtime.kubernetes.look import Seen
from orchestrator.runtime.kubernetes.objects import Ground
from tests.worlds.pods import launch
from tests.worlds.restless import Restless

IMAGE = Image(f"registry.example/feed@sha256:{'0' * 64}", frozenset())
RUNS = Environment(Path("/usr/bin/python3"), (), "sha256:0", image=IMAGE)
FEED = replace(launch("feed"), environment=RUNS)
WORKLOAD = objects.workload(FEED, Ground())
WORKLOAD["metadata"] |= {"uid": "w", "generation": 1}
POD = {
    "metadata": {**WORKLOAD["spec"]["template"]["metadata"], "uid": "p", "name": "feed-0"},
    "status": {"containerStatuses": [{"name": "plugin", "state": {"running": {}}}]},
}


class Slow(Restless):
    """What is seen of `feed`: others change ten times a second, its own pod comes after a while."""

    def __init__(self, comes_s):
        self.comes_s = comes_s
        self.now = 0.0

    async def of(self, name):
        assert name == "feed"
        self.now += 0.1
        return Seen(WORKLOAD, POD if self.now >= self.comes_s else None)


class ApiServer:
    """Has no Event to tell until `tells`; notes when it was asked."""

    def __init__(self, look, *, tells=1e9):
        self.look = look
        self.tells = tells
        self.asked = []

    async def list(self, _kind, **_chosen):
        self.asked.append(self.look.now)
        told = [{"message": "exceeded quota: small"}] if self.look.now >= self.tells else []
        return Listing(tuple(told), "1")


async def begin(look, server):
    await Births("shop", server, look, Ground(), None, clock=lambda: look.now).begin(FEED)


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
    """Notes what is applied, in the order in which it is asked for; others have their turn at each call."""

    def __init__(self):
        self.applied = []

    async def get(self, _kind, _name):
        await asyncio.sleep(0)

    async def apply(self, kind, body, **_how):
        self.applied.append((kind, body["metadata"]["name"], body.get("spec", {}).get("replicas")))
        await asyncio.sleep(0)
        return {**body, "metadata": {**body["metadata"], "uid": "w"}}


class Empty:
    """Sees nothing at first, and whatever was written as running."""

    def __init__(self):
        self.there = {}

    async def of(self, name):
        found = self.there.get(name)
        label = found and found["spec"]["template"]["metadata"]
        return Seen(found, found and {**POD, "metadata": {**POD["metadata"], **label}})

    def take(self, body):
        if body["spec"]["replicas"]:
            self.there[body["metadata"]["name"]] = body

    @contextlib.contextmanager
    def listening(self, _name=""):
        yield asyncio.Event()


class NoProxy:
    async def prepared(self, launch, *, new):
        assert new
        return launch


async def test_of_many_the_first_have_their_pods_before_the_last_are_written():
    server = Recording()
    births = Births("shop", server, Empty(), Ground(), NoProxy())
    async with asyncio.TaskGroup() as tasks:
        for number in range(30):
            tasks.create_task(births.begin(replace(FEED, name=f"feed{number}")))
    written = [replicas for kind, _, replicas in server.applied if kind is STATEFUL_SET]
    assert sorted(written) == [0] * 30 + [1] * 30
    last_begins = len(written) - written[::-1].index(0) - 1
    assert written.index(1) < 10
    assert sum(written[:last_begins]) > 20


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
    births = Births("shop", server, server, Ground(), Egress("shop", server, Ground()))
    many = [replace(FEED, name=f"feed{each}", egress=()) for each in range(64)]

    async def refused(one):
        with pytest.raises(ActionError, match="not allowed"):
            await births.begin(one)

    async with asyncio.TaskGroup() as group:
        for each in many:
            group.create_task(refused(each))
    assert server.peak == ASKING
