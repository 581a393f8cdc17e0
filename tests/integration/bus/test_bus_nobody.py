"""JetStream is nobody's while the server takes over other claims of CORE: it is asked once more."""

import asyncio
import time
from contextlib import asynccontextmanager
from itertools import count

import pytest

from ntp.contract.subjects import data
from orchestrator.bus.accounts import Accounts
from orchestrator.bus.authority import Authority
from orchestrator.bus.client import dial
from orchestrator.bus.insisting import NOBODY_S, NoResponderError, insisting

AT_ONCE = 8
ASKED = 500
READ = 80
TICKS = 300


@asynccontextmanager
async def taken_over(world):
    """For as long as the block lasts, CORE's claims are taken over, those of the wiring, again and again."""
    seconds = count(2_000_000_000)
    folder = world.folder / "broker" / "keys"
    authority = Authority(folder, project="test", now=lambda: next(seconds))
    wanted = {each for item in world.rights().values() for each in item.captured}
    captured = sorted(wanted, key=lambda each: each.local)
    address, credentials = world.broker.address(), authority.system_credentials()
    async with dial(address, credentials, name="test") as system, asyncio.TaskGroup() as tasks:
        accounts = Accounts(system, authority, {})

        async def push() -> None:
            while True:
                await accounts.update(authority.core_token(captured, again=True))

        pushing = tasks.create_task(push())
        try:
            yield
        finally:
            pushing.cancel()


async def test_what_is_asked_meanwhile_is_answered(world):
    async with world.core() as core, taken_over(world), asyncio.TaskGroup() as tasks:

        async def ask() -> None:
            for _ in range(ASKED):
                assert "config" in await core.jetstream("STREAM.INFO.SIG_beta")

        for _ in range(AT_ONCE):
            tasks.create_task(ask())


async def test_what_is_read_meanwhile_of_a_capture_is_whole(world):
    async with world.link("alpha") as alpha:
        for number in range(TICKS):
            await alpha.publish(data("A"), b"%d" % number, numbered=True)
        await alpha.flush()

    async def read() -> list[int]:
        return [int(each) async for some in world.broker.captures.read("alpha") for each in some]

    async with asyncio.timeout(20):
        while len(await read()) < TICKS:
            await asyncio.sleep(0.01)
    async with taken_over(world), asyncio.TaskGroup() as tasks:

        async def read_often() -> None:
            for _ in range(READ):
                assert await read() == list(range(TICKS))

        for _ in range(AT_ONCE):
            tasks.create_task(read_often())


async def test_who_stays_nobodys_is_not_asked_for_ever():
    asked = []

    async def once() -> None:
        asked.append(time.monotonic())
        raise NoResponderError("nobody serves it")

    with pytest.raises(NoResponderError):
        async with asyncio.timeout(10 * NOBODY_S):
            await insisting(once)
    assert asked[-1] - asked[0] >= NOBODY_S
    assert len(asked) > 2
