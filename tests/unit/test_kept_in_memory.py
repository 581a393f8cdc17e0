"""What a controller keeps for as long as it runs takes as little as it can: there are a thousand of each."""

import asyncio
import json
import tracemalloc
from contextlib import asynccontextmanager

import pytest

from orchestrator.app.declared_spec import spec_of
from orchestrator.bus.keys import ACCOUNT, make
from orchestrator.cluster import reading
from orchestrator.cluster.copies import kept
from orchestrator.cluster.informer import Informer
from orchestrator.cluster.kinds import POD
from orchestrator.cluster.reading import Listing
from orchestrator.controller.outside import Tempo
from orchestrator.controller.parking import Parking
from orchestrator.decide.actions import Wait
from orchestrator.store.kubernetes.plugin_sets import PLUGIN_SET
from orchestrator.store.kubernetes.store import ClusterStore
from tests.benchmarks.many_entries import text

MANY = 1000
LONG = 4_000_000


def plugin_set():
    """Return a PluginSet as it comes, with the lines of its status."""
    lines = [{"name": f"strategy_{at}", "state": "Running", "message": ""} for at in range(MANY)]
    body = {
        "metadata": {"name": "bench", "managedFields": [{"manager": "ntp"}]},
        "spec": spec_of([("plugins.yaml", text(MANY))]),
        "status": {"plugins": lines},
    }
    return json.dumps(body)


def settings():
    """Return a store that was told a book of so many entries."""
    store = ClusterStore()
    store.set("desired", json.dumps([{"name": f"strategy_{at}", "x": "y" * 3000} for at in range(MANY)]))  # fmt: skip
    return store


def parking():
    found = Parking(Tempo())
    for at in range(MANY):
        assert found.admit(Wait(f"strategy_{at}", None, "it waits"), 1.0)
    return found


@pytest.mark.parametrize(
    ("made", "most"),
    [
        (lambda: [make(ACCOUNT) for _ in range(MANY)], 400),
        (lambda: kept(PLUGIN_SET, json.loads(plugin_set())), 400),
        (settings, 400),
        (parking, 400),
    ],
    ids=["keys", "a PluginSet", "the book", "actions"],
)
def test_a_thousand_take_no_more_than(made, most):
    made()  # whatever is loaded and cached once
    tracemalloc.start()
    try:
        here = made()
        assert here is not None
        assert tracemalloc.get_traced_memory()[0] / MANY < most
    finally:
        tracemalloc.stop()


async def test_nothing_of_an_event_is_held_until_the_next():
    """A PluginSet of a thousand entries is a megabyte, and may be the last that is changed for hours."""
    heard = asyncio.Event()

    class Answering:
        async def list(self, *_):
            return Listing((), "1")

        def watch(self, kind, labels, version):
            return reading.watch(self, "a", kind, labels=labels, version=version, quiet_s=1.0)

        @asynccontextmanager
        async def follow(self, _path, **_):
            yield self.lines()

        async def lines(self):
            body = {"metadata": {"name": "a", "resourceVersion": "2"}, "spec": {"x": "y" * LONG}}
            yield json.dumps({"type": "MODIFIED", "object": body}).encode()
            del body
            heard.set()
            await asyncio.Event().wait()

    informer = Informer(Answering(), POD, "")
    tracemalloc.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(informer.run())
            await heard.wait()
            assert [*await informer.objects()] == ["a"]
            assert tracemalloc.get_traced_memory()[0] < LONG / 2
            following.cancel()
    finally:
        tracemalloc.stop()
