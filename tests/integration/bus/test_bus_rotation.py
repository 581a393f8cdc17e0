"""A credential is exchanged while its plugin speaks: nothing is lost, and the old one serves nobody."""

import asyncio

import pytest

from ntp.contract.launch import CREDENTIALS_FILE
from orchestrator.bus import claims
from orchestrator.bus.authority import Authority
from orchestrator.bus.client import dial
from orchestrator.errors import UnreachableError


async def _refused(world, credentials: bytes) -> None:
    with pytest.raises(UnreachableError, match=r"(?i)authoriz|authentic|credentials"):
        async with dial(world.broker.address(), credentials, name="old"):
            pass


async def _rotate(world, name: str) -> bytes:
    """Return the old one; what the running life finds in its folder from then on is the new one."""
    old = world.broker.credentials(name)
    await world.broker.rotate(world.rights()[name])
    (world.folder / "run" / name / CREDENTIALS_FILE).write_bytes(world.broker.credentials(name))
    return old


async def test_nothing_of_one_who_speaks_all_the_time_is_lost_or_told_twice(world):
    sent = 0
    async with world.link("beta") as beta, world.link("alpha") as alpha, world.link("gamma") as g:

        async def speak() -> None:
            nonlocal sent
            while True:
                await beta.submit("sig.A", b"%d" % sent, f"id-{sent}")
                sent += 1
                await asyncio.sleep(0)

        stolen = world.broker.credentials("beta")
        async with dial(world.broker.address(), stolen, name="thief") as thief:
            async with asyncio.TaskGroup() as tasks:
                speaking = tasks.create_task(speak())
                for round_ in range(3):
                    await world.until(lambda until=sent + 300: sent >= until)
                    old = await _rotate(world, "beta")
                    await world.until(lambda n=round_: beta.stats.reconnects > n)
                    await _refused(world, old)
                await world.until(lambda until=sent + 300: sent >= until)
                speaking.cancel()
            await world.until(thief.lost.is_set)
        async with asyncio.timeout(30):
            await beta.settle()
        assert [msg_id for _, msg_id, _ in await world.stored("SIG_beta")] == [
            f"id-{number}" for number in range(sent)
        ]
        assert (alpha.stats.reconnects, g.stats.reconnects) == (0, 0)
        await _refused(world, stolen)


async def test_a_controller_that_begins_anew_refuses_it_still(world):
    async with world.link("beta"):
        old = await _rotate(world, "beta")
    async with world.another_broker() as other:
        await other.ensure(world.rights())
        assert other.credentials("beta") == world.broker.credentials("beta") != old
        await _refused(world, old)
        async with world.link("beta") as beta:
            await beta.request_ack("sig.A", b"", "1")
            assert beta.stats.reconnects == 0


async def test_what_was_asked_for_while_the_broker_was_away_is_so_when_it_is_back(world):
    old = world.broker.credentials("beta")
    world.server.kill()
    with pytest.raises(UnreachableError):
        await world.broker.rotate(world.rights()["beta"])
    world.start()
    await world.ensure()
    await world.broker.rotate(world.rights()["beta"])
    await _refused(world, old)


async def test_a_clock_that_was_set_back_does_not_revive_it(world, tmp_path):
    """What a plugin is given serves, and what it had does not, whatever the time is said to be."""
    times = [2_000_000_000.0]
    authority = Authority(tmp_path / "keys", project="test", now=lambda: times[-1])

    def issued() -> int:
        token, _ = claims.parts(authority.credentials("beta"))
        return int(claims.decode(token.decode())["iat"])

    before = issued()
    for _ in range(2):
        times.append(1_900_000_000.0)
        authority.rotate("beta")
        account = claims.decode(authority.account_token(world.rights()["beta"]))
        assert before <= account["nats"]["revocations"]["*"] < issued()
        before = issued()
