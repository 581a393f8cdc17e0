"""Who waits for whom when many rights are granted at once; what is made of it, test_bus_granted.py shows."""

import asyncio

import pytest

from ntp.contract.names import Channel, Kind
from orchestrator.bus.granting import Granting
from orchestrator.spec.model import Desired
from orchestrator.spec.rights import rights
from orchestrator.spec.wiring import Edge
from tests.worlds.specs import spec

PLUGINS = {"alpha": spec("alpha", Kind.DATA_SOURCE), "beta": spec("beta", Kind.STRATEGY)}
EDGES = [Edge(consumer="beta", channel=Channel.DATA, producer="alpha")]
RIGHTS = rights(Desired("test", 1, PLUGINS), EDGES)


class Slow:
    """Streams that are all there, and accounts; CORE's is taken over when `core` is set."""

    def __init__(self, *, differs):
        self.core = asyncio.Event()
        self._differs = differs

    def core_differs(self, *_):
        return self._differs

    async def compare(self, *_):
        return {}

    async def push_one(self, *_):
        pass

    async def push_core(self, *_):
        await self.core.wait()


async def _settled() -> None:
    """Whoever can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("differs", "early"), [(True, set()), (False, {"beta"})])
async def test_nobody_is_granted_while_core_changes(differs, early):
    slow, granted = Slow(differs=differs), set()
    granting = Granting(RIGHTS, slow, held={}, known=(), captured=(), granted=granted.add)
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(granting.carry_out(slow, RIGHTS))
        await _settled()
        assert granted == early
        slow.core.set()
        assert await work == {}
    assert granted == set(RIGHTS)
