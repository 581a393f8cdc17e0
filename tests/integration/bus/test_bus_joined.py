"""A server of a cluster was away while credentials were changed: what it takes when it is back."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ntp.contract.names import Kind
from orchestrator.bus import claims
from orchestrator.bus.client import dial
from orchestrator.errors import UnreachableError
from tests.integration.bus.conftest import DEADLINE, clustered
from tests.worlds.nats_cluster import Cluster, cluster
from tests.worlds.server_ways import ways

AWAY = 2
"""The server that is."""


async def _lets_in(three: Cluster, number: int, credentials: bytes) -> bool:
    try:
        async with dial(three.address(number), credentials, name="test"):
            return True
    except UnreachableError:
        return False


async def _until(state: Callable[[], Awaitable[bool]]) -> None:
    """A minute later the servers would have compared their accounts by themselves."""
    async with asyncio.timeout(DEADLINE):
        while not await state():
            await asyncio.sleep(0.02)


async def _rotate(world, name: str) -> bytes:
    """Return the new one. As the controller does: again until the broker answers."""
    old = world.broker.credentials(name)
    ends = time.monotonic() + DEADLINE
    while world.broker.credentials(name) == old:
        with suppress(UnreachableError):
            await world.broker.rotate(world.rights()[name])
        assert time.monotonic() < ends
    await world.ensure()
    return world.broker.credentials(name)


async def _refused(three: Cluster, number: int, credentials: bytes) -> bool:
    return not await _lets_in(three, number, credentials)


async def test_it_is_told_at_once_what_was_rotated(tmp_path):
    with cluster(tmp_path / "cluster") as three:
        async with clustered(three, tmp_path) as world:
            await three.in_step()
            stolen = world.broker.credentials("beta")
            three.kill(AWAY)
            new = await _rotate(world, "beta")
            three.start(AWAY)
            await _until(lambda: _lets_in(three, AWAY, new))
            await _until(lambda: _refused(three, AWAY, stolen))
            assert [await _lets_in(three, number, stolen) for number in range(3)] == [False] * 3
            assert [await _lets_in(three, number, new) for number in range(3)] == [True] * 3


@pytest.mark.long
@pytest.mark.parametrize("holds", ["what it held", "nothing"])
async def test_it_is_told_at_once_who_was_removed(tmp_path, holds):
    with cluster(tmp_path / "cluster") as three:
        async with clustered(three, tmp_path) as world:
            world.add("delta", Kind.STRATEGY)
            await world.ensure()
            await three.in_step()
            left, stays = (world.broker.credentials(name) for name in ("delta", "beta"))
            three.kill(AWAY)
            world.remove("delta")
            await world.ensure()
            if holds == "nothing":
                shutil.rmtree(three.folder(AWAY) / "accounts")
            three.start(AWAY)
            await _until(lambda: _lets_in(three, AWAY, stays))
            await _until(lambda: _refused(three, AWAY, left))
            assert [await _lets_in(three, number, left) for number in range(3)] == [False] * 3
            assert [await _lets_in(three, number, stays) for number in range(3)] == [True] * 3


@pytest.mark.long
async def test_without_a_controller_it_asks_the_others_and_they_do_not_go_by_what_it_says(tmp_path):
    """Each goes by which of two was issued later, in whole seconds: here both are of the same one."""
    with cluster(tmp_path / "cluster", interval="1s") as three:
        async with clustered(three, tmp_path) as world:
            await three.in_step()
            world.wire("alpha", "data", "beta", "BTCUSDT")
            world.edges.pop(0)
            await world.ensure()
            before = _kept(three, world, AWAY)
            three.kill(AWAY)
            await _rotate(world, "beta")
            after = _kept(three, world, 0)
        three.start(AWAY)

        async def alike() -> bool:
            return len({_kept(three, world, number) for number in range(3)}) == 1

        await _until(alike)
        assert _kept(three, world, AWAY) == after
        assert claims.decode(after)["iat"] > claims.decode(before)["iat"]


def _kept(three: Cluster, world, number: int) -> str:
    """Beta's account, as a server keeps it."""
    key = world.broker._authority.account("beta").public
    return Path(three.folder(number) / "accounts" / f"{key}.jwt").read_text()


@pytest.mark.long
async def test_one_that_was_cut_off_is_told_once_it_is_joined(tmp_path):
    """It never ended: what tells it apart is a new way to the others."""
    async with ways() as between:
        with cluster(tmp_path / "cluster", ways=between) as three:
            async with clustered(three, tmp_path) as world:
                await three.in_step()
                system = world.broker._system
                away = (int(system.server["server_name"].removeprefix("nats")) + 1) % 3
                stolen = world.broker.credentials("beta")
                between.sever(away)
                new = await _rotate(world, "beta")
                assert await _lets_in(three, away, stolen)
                between.join(away)
                await _until(lambda: _refused(three, away, stolen))
                assert await _lets_in(three, away, new)
