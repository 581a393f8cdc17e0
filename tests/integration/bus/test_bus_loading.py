"""A server that loaded an account without all of its imports is told of it once more."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from ntp.contract import subjects
from ntp.contract.names import Kind
from orchestrator.bus.accounts import Accounts
from orchestrator.bus.authority import Authority
from orchestrator.bus.client import dial
from orchestrator.spec.rights import CORE
from tests.integration.bus.conftest import World, ensured, populate

ROUNDS = 40


@pytest.fixture
def unserved(tmp_path):
    world = World(tmp_path)
    populate(world)
    yield world
    world.server.kill()


def _authority(world: World) -> Authority:
    return Authority(world.folder / "broker" / "keys", project="test")


def _key(world: World, name: str) -> str:
    authority = _authority(world)
    return (authority.core if name == CORE else authority.account(name)).public


def _claims(world: World, name: str) -> Path:
    (file,) = (world.folder / "broker").rglob(f"{_key(world, name)}.jwt")
    return file


async def _is_whole(world: World, name: str) -> bool:
    """Say what the server says of it."""
    credentials = _authority(world).system_credentials()
    async with dial(world.broker.address(), credentials, name="test") as life:
        subject = f"$SYS.REQ.SERVER.{life.server['server_id']}.ACCOUNTZ"
        answer = await life.ask(subject, {"account": _key(world, name)})
    return bool(answer["data"]["account_detail"]["complete"])


async def _reached(state) -> None:
    async with asyncio.timeout(20):
        while not await state():
            await asyncio.sleep(0.02)


@pytest.fixture
async def lacking(unserved):
    """Beta and CORE are loaded without what they import from alpha, whose claims are there again."""
    async with unserved.broker:
        unserved.start()
        await unserved.ensure()
    unserved.server.kill()
    claims = _claims(unserved, "alpha")
    away = claims.with_suffix(".away")
    claims.rename(away)
    unserved.start()

    async def lost() -> bool:
        try:
            async with unserved.link("beta"):
                return not await _is_whole(unserved, "beta")
        except Exception:  # noqa: BLE001 - it does not listen yet
            return False

    await _reached(lost)
    away.rename(claims)
    return unserved


async def test_what_was_lost_before_we_came_is_brought_back(lacking):
    assert not await _is_whole(lacking, "beta")
    assert not await _is_whole(lacking, CORE)
    async with lacking.another_broker() as broker:
        assert not await ensured(broker, lacking.rights())
        await _reached(lambda: _is_whole(lacking, "beta"))
        await _reached(lambda: _is_whole(lacking, CORE))


async def test_what_is_lost_while_we_are_there_is_brought_back(world):
    """Claims of beta name what CORE does not export: as if CORE's were taken over at that moment."""
    authority, beta = _authority(world), world.rights()["beta"]
    wrong = [
        replace(each, subject="not.exported") if each.local == subjects.RECALL else each
        for each in beta.imports
    ]
    async with dial(world.broker.address(), authority.system_credentials(), name="test") as life:
        await Accounts(life, authority, {}).push_one(replace(beta, imports=tuple(wrong)), {})
    async with world.link("beta") as link:
        assert await link.bucket.load() == b""
        assert await _is_whole(world, "beta")


async def test_a_server_that_joins_before_the_first_comparison_has_ended_is_told_later(world):
    """CORE's own claims come last: nothing is promised to that server before."""
    authority = _authority(world)
    told = {authority.account("beta").public: world.rights()["beta"]}
    async with dial(world.broker.address(), authority.system_credentials(), name="test") as life:
        server = life.server["server_id"]
        accounts = Accounts(life, authority, told)
        assert await accounts.tell_again(frozenset({server})) == frozenset()
        told[authority.core.public] = ()
        assert await accounts.tell_again(frozenset({server})) == {server}


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_nobody_is_left_without_his_imports_after_power_cuts(unserved):
    """The claims of some are lost; all connect at once, while the server learns what it imports from whom."""
    rng = random.Random(1)
    for number in range(6):
        unserved.add(f"strategy_{number}", Kind.STRATEGY)
        unserved.wire("alpha", "data", f"strategy_{number}")
        unserved.wire(f"strategy_{number}", "signal", "gamma")
    async with unserved.broker:
        unserved.start()
        await unserved.ensure()
        for _ in range(ROUNDS):
            unserved.server.kill()
            for name in (*unserved.plugins, CORE):
                if rng.random() < 0.5:
                    _claims(unserved, name).unlink()
            unserved.start()
            await unserved.ensure()

            async def load(name: str) -> None:
                async with unserved.link(name) as link:
                    assert await link.bucket.load() == b""

            async with asyncio.TaskGroup() as tasks:
                for name in unserved.plugins:
                    tasks.create_task(load(name))
            for name in unserved.plugins:
                await _reached(lambda n=name: _is_whole(unserved, n))
