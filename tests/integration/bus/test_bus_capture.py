"""What the bus keeps of ticks and of a plugin's state, and what a killed broker takes with it."""

import asyncio
import signal

import pytest

from ntp.bucket import BucketError
from ntp.contract.names import Kind
from ntp.contract.subjects import data
from orchestrator.bus.captured import BATCH
from orchestrator.errors import ActionError, UnreachableError


async def sent(world, link, symbol, numbers):
    for number in numbers:
        await link.publish(data(symbol), b"%d" % number, numbered=True)
    await link.flush()


async def numbers(link, producer="alpha", since_ms=0):
    return [int(each.payload) for each in await link.captured(producer, since_ms)]


async def reached(state, wanted):
    """Ask until the answer is this one: what is stored arrives a moment after it was sent."""
    async with asyncio.timeout(20):
        while await state() != wanted:
            await asyncio.sleep(0.01)


async def test_who_starts_finds_what_was_sent_before(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        assert await numbers(beta) == []
        await sent(world, alpha, "A", range(2500))
        await reached(lambda: numbers(beta), list(range(2500)))
        assert await numbers(beta) == list(range(2500)), "read as often as somebody likes"


async def test_a_reading_begins_near_the_time_it_asks_for(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        await sent(world, alpha, "A", range(6000))
        await reached(lambda: numbers(beta), list(range(6000)))
        for at in (0, 1, 2999, 5998, 5999):
            messages = await beta.captured("alpha")
            since = messages[at].stored_ms
            found = await numbers(beta, since_ms=since)
            first = next(i for i, each in enumerate(messages) if each.stored_ms >= since)
            assert found == list(range(found[0], 6000))
            assert first - 4100 <= found[0] <= first


async def test_a_watermark_pushes_out_no_tick(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        await sent(world, alpha, "A", range(3))
        await alpha.publish(data("A"), b"99", fleeting=True)
        await sent(world, alpha, "A", range(3, 5))
        await reached(lambda: numbers(beta), [0, 1, 2, 3, 4])


async def test_a_killed_broker_has_what_it_had_and_is_told_the_rest_again(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        await sent(world, alpha, "A", range(1000))
        for number in range(1000, 2000):  # nobody waits until these have arrived
            await alpha.publish(data("A"), b"%d" % number, numbered=True)
        world.server.kill(signal.SIGKILL)
        await world.until(lambda: not beta.stats.connected)
        world.start()
        await world.ensure()
        # Who was not back yet heard nothing of what was sent again, and reads it.
        await reached(lambda: _distinct(beta), list(range(2000)))


async def _distinct(link):
    try:
        return sorted(set(await numbers(link)))
    except TimeoutError:  # its consumer is on its way
        return []


async def test_state_is_what_was_stored_last_over_a_kill_of_the_broker(world):
    async with world.link("beta") as beta:
        assert await beta.bucket.load() == b""
        await beta.bucket.store(b'{"a": 1}')
        await beta.bucket.store(b'{"a": 2}')
        world.server.kill(signal.SIGKILL)
        with pytest.raises(BucketError, match="no answer in"):
            async with asyncio.timeout(15):
                await beta.bucket.load()
        world.start()
        await world.ensure()
        await world.until(lambda: beta.stats.connected)
        assert await beta.bucket.load() == b'{"a": 2}'
        async with world.link("alpha") as alpha:
            assert await alpha.bucket.load() == b""
            await alpha.bucket.store(b"x" * 100_000)
            assert len(await alpha.bucket.load()) == 100_000
        assert await beta.bucket.load() == b'{"a": 2}'


async def test_a_capture_goes_with_its_source(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        await sent(world, alpha, "A", range(3))
        await reached(lambda: numbers(beta), [0, 1, 2])
    world.remove("alpha")
    await world.ensure()
    assert not {"MD_alpha", "STATE_alpha"} & await world.all_streams()
    world.add("alpha", Kind.DATA_SOURCE)
    await world.ensure()
    async with world.link("beta") as beta:
        assert await numbers(beta) == []


async def read(world, producer="alpha"):
    """What the controller reads, as numbers."""
    found = []
    async for some in world.broker.captures.read(producer):
        found += map(int, some)
    return found


async def test_the_controller_reads_it_whole_and_disturbs_nobody(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        assert await read(world) == []
        await sent(world, alpha, "A", range(2000))
        await sent(world, alpha, "B", [2000])
        await reached(lambda: read(world), list(range(2001)))
        assert await numbers(beta) == list(range(2001))
    async with world.core() as core:
        names = (await core.ask("$JS.API.CONSUMER.NAMES.MD_alpha"))["consumers"]
    assert sorted(names) == ["beta", "gamma"], "its own consumer is gone"


async def test_of_who_sends_no_ticks_nothing_is_captured(world):
    with pytest.raises(ActionError, match="nothing is captured of beta") as refused:
        await read(world, "beta")
    assert refused.value.reason == "NothingCaptured"


async def test_a_reading_that_is_cut_off_is_no_whole_one(world):
    """Its consumer goes where its reader took too long."""
    async with world.link("alpha") as alpha:
        await sent(world, alpha, "A", range(2 * BATCH))
        await reached(lambda: read(world), list(range(2 * BATCH)))
    reading = world.broker.captures.read("alpha")
    await anext(reading)
    async with world.core() as core:
        names = (await core.ask("$JS.API.CONSUMER.NAMES.MD_alpha"))["consumers"]
        (ours,) = (name for name in names if name.startswith("replay-"))
        await core.ask(f"$JS.API.CONSUMER.DELETE.MD_alpha.{ours}")
    with pytest.raises(UnreachableError, match="was cut off"):
        await anext(reading)
