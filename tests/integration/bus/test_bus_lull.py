"""A controller that waits for nothing hears its plugins now and then: late together, and never less."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from ntp.contract.beat import Beat, Stage
from orchestrator.bus.connection import listen

LONG_S = 60.0
"""A lull that no test waits for the end of."""


def beat(number: int) -> bytes:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return msgspec.json.encode(Beat("beta", "strategy", "one", 1, number, at, at, Stage.READY))


@pytest.fixture
def lull_s():
    return LONG_S


@pytest.fixture
async def ears(world, lull_s):
    """A bus that may be late, one that hears at once, and a plugin."""
    there = world.broker.address, world.broker.core_credentials
    async with (
        listen(*there, lull_s=lull_s) as late,
        listen(*there) as prompt,
        world.link("beta") as beta,
    ):
        await world.until(lambda: late.listening_since and prompt.listening_since)
        yield late, prompt, beta


def number(bus) -> int:
    return bus.beats()["beta"][0].number if "beta" in bus.beats() else 0


async def resting(world, late, prompt, beta):
    """Return when `late` has read the first beat, and left the second where it is."""
    late.attend(closely=False)
    await beta.publish("beat", beat(1))
    await world.until(lambda: number(late) == 1)
    await beta.publish("beat", beat(2))
    await world.until(lambda: number(prompt) == 2)
    assert number(late) == 1


async def test_what_waits_is_heard_at_once_by_one_who_attends_closely(world, ears):
    late, prompt, beta = ears
    await resting(world, late, prompt, beta)
    late.attend(closely=True)
    await world.until(lambda: number(late) == 2)
    await beta.publish("beat", beat(3))
    await world.until(lambda: number(late) == 3)


@pytest.mark.parametrize("lull_s", [3.0])
async def test_a_lull_ends_by_itself(world, ears):
    late, prompt, beta = ears
    await resting(world, late, prompt, beta)
    await world.until(lambda: number(late) == 2)


async def test_a_lull_holds_up_no_answer(world, ears):
    late, prompt, beta = ears
    told: list[bytes] = []
    await beta.subscribe("ctl", lambda _, payload: told.append(payload))
    await beta.flush()
    await resting(world, late, prompt, beta)
    async with asyncio.timeout(LONG_S / 2):
        await late.control("beta", {"reload": True})
    await world.until(lambda: told)
    assert number(late) == 2, "what waited was read with the answer"


async def test_a_new_connection_rests_as_the_one_before(world, ears):
    late, prompt, beta = ears
    late.attend(closely=False)
    world.server.kill()
    await world.until(lambda: late.listening_since is None and prompt.listening_since is None)
    world.start()
    await world.until(lambda: late.listening_since and prompt.listening_since and beta.connected)
    await resting(world, late, prompt, beta)
