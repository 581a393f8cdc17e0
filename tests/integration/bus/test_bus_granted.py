"""Many rights at once: each instance may run as soon as its own stand, and then loses nothing.

What one is refused holds up those who need it. It is refused here by a stream of somebody else, which has
its subjects.
"""

import asyncio

import pytest

from ntp.contract.names import Kind
from ntp.contract.subjects import data_in
from orchestrator.bus.client import dial
from orchestrator.errors import UnreachableError
from tests.integration.bus.conftest import World, ensured, populate

FINE = [f"fine_{number:02}" for number in range(20)]


@pytest.fixture
async def unserved(tmp_path):
    """What `populate` makes, of which the server knows nothing yet."""
    world = World(tmp_path)
    populate(world)
    try:
        async with world.broker:
            world.start()
            yield world
    finally:
        world.server.kill()


async def test_whoever_is_granted_is_heard_by_those_who_are_still_to_come(unserved):
    """Each speaks in the moment in which it is granted: nobody's rights are whole by then but its own."""
    order: list[str] = []

    async def speak(name: str) -> None:
        async with unserved.link(name) as link:
            if name == "alpha":
                await link.publish("data.BTCUSDT", b"tick")
                await link.flush()
            else:
                subject = {"beta": "sig.A", "gamma": "fill.beta.A"}[name]
                await link.request_ack(subject, name.encode(), "first")

    async with asyncio.TaskGroup() as speaking:

        def granted(name: str) -> None:
            order.append(name)
            speaking.create_task(speak(name))

        await ensured(unserved.broker, unserved.rights(), granted)
    assert sorted(order) == ["alpha", "beta", "gamma"]
    async with unserved.link("beta") as beta, unserved.link("gamma") as gamma:
        assert [each.payload for each in await gamma.pull("beta")] == [b"beta"]
        assert [each.payload for each in await beta.pull("gamma")] == [b"gamma"]
    await unserved.kept("MD_alpha", b"tick")


async def test_those_whom_it_does_not_concern_are_granted_at_once(world):
    world.add("delta", Kind.STRATEGY)
    world.wire("delta", "signal", "gamma")
    order: list[str] = []
    await world.broker.ensure(world.rights(), order.append)
    assert set(order[:2]) == {"alpha", "beta"}
    assert set(order[2:]) == {"delta", "gamma"}


async def test_who_is_heard_by_somebody_new_is_granted_when_there_is_a_place_for_him(world):
    """One who starts again just then; its own rights are as they were."""
    world.add("delta", Kind.EXECUTOR)
    world.wire("beta", "signal", "delta")
    places = []

    async def look() -> None:
        async with world.core() as core:
            places.extend((await core.ask("$JS.API.CONSUMER.NAMES.SIG_beta"))["consumers"])

    async with asyncio.TaskGroup() as looking:

        def granted(name: str) -> None:
            if name == "beta":
                looking.create_task(look())

        await world.broker.ensure(world.rights(), granted)
    assert sorted(places) == ["delta", "gamma"]


async def test_who_comes_back_finds_those_who_read_him_before(world):
    """His stream went with him; they have the rights that they had, and he reads nothing of theirs."""
    world.edges = [each for each in world.edges if each.producer != "gamma"]
    await world.ensure()
    everybody, before = dict(world.plugins), world.rights()
    world.remove("beta")
    without = {name: each for name, each in before.items() if name != "beta"}
    assert not await world.broker.ensure(without)
    assert "SIG_beta" not in await world.streams()
    world.plugins = everybody
    await world.ensure()
    async with world.link("beta") as beta, world.link("gamma") as gamma:
        await beta.request_ack("sig.A", b"buy", "first")
        assert [each.payload for each in await gamma.pull("beta")] == [b"buy"]


async def test_a_source_that_comes_back_is_heard_by_those_who_heard_it(world):
    """By another key: theirs imported from the account that is gone."""
    everybody, before = dict(world.plugins), world.rights()
    without = {name: each for name, each in before.items() if name != "alpha"}
    assert not await world.broker.ensure(without)
    world.plugins = everybody
    await world.ensure()
    heard = asyncio.Event()
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        await beta.subscribe(data_in("alpha"), lambda *_: heard.set())
        await beta.flush()
        await alpha.publish("data.BTCUSDT", b"tick")
        await alpha.flush()
        async with asyncio.timeout(20):
            await heard.wait()


async def test_a_stream_that_is_refused_holds_up_its_own_alone(world):
    await _take(world, "sig.zulu.>")
    for name in [*FINE, "zulu"]:
        world.add(name, Kind.STRATEGY)
    granted: list[str] = []
    refused = await world.broker.ensure(world.rights(), granted.append)
    assert set(granted) == {"alpha", "beta", "gamma", *FINE}
    assert "SIG_zulu" in str(refused.pop("zulu"))
    assert not refused


async def test_each_is_told_what_it_was_refused_itself(world):
    await _take(world, "sig.zulu.>", "sig.yankee.>")
    for name in ("yankee", "zulu"):
        world.add(name, Kind.STRATEGY)
    refused = await world.broker.ensure(world.rights())
    assert {name: f"SIG_{name}" in str(why) for name, why in refused.items()} == {
        "yankee": True,
        "zulu": True,
    }


async def test_one_source_that_is_refused_holds_up_those_who_hear_it(world):
    await _take(world, "md.xray.>")
    for name in ("whiskey", "xray", "yankee"):
        world.add(name, Kind.DATA_SOURCE)
        world.wire(name, "data", "beta")
    granted: list[str] = []
    refused = await world.broker.ensure(world.rights(), granted.append)
    assert set(granted) == {"alpha", "gamma", "whiskey", "yankee"}
    assert refused.keys() == {"xray", "beta"}
    async with world.link("yankee") as link:
        await link.publish("data.A", b"tick")
        await link.flush()
    await world.kept("MD_yankee", b"tick")
    await _give_back(world)
    await world.ensure()


async def test_who_runs_is_captured_on_while_others_are_refused(world):
    """An indicator is wired to a new source, for which there is no stream."""
    world.add("india", Kind.INDICATOR)
    world.wire("alpha", "data", "india")
    world.wire("india", "indicator", "beta")
    await world.ensure()
    await _take(world, "md.xray.>")
    world.add("xray", Kind.DATA_SOURCE)
    world.wire("xray", "data", "india")
    async with world.link("india") as link:
        refused = await world.broker.ensure(world.rights())
        assert {"xray", "india"} <= refused.keys()
        await link.publish("ind.X", b"said")
        await link.flush()
        await world.kept("MD_india", b"said")


async def test_who_runs_is_captured_on_by_a_controller_that_is_refused_its_stream(world):
    async with world.core() as core:
        await core.ask("$JS.API.STREAM.DELETE.STATE_alpha")
    await _take(world, "state.alpha")
    async with world.link("alpha") as link, world.another_broker() as broker:
        assert "alpha" in await broker.ensure(world.rights())
        await link.publish("data.X", b"tick")
        await link.flush()
        await world.kept("MD_alpha", b"tick")


async def test_who_is_gone_is_cut_off_whatever_others_are_refused(world):
    await _take(world, "sig.zulu.>")
    world.add("zulu", Kind.STRATEGY)
    world.remove("gamma")
    world.edges = [each for each in world.edges if "gamma" not in (each.consumer, each.producer)]
    credential = world.broker.credentials("gamma")
    assert (await world.broker.ensure(world.rights())).keys() == {"zulu"}
    assert "FILL_gamma" not in await world.streams()
    with pytest.raises(UnreachableError):
        async with dial(world.broker.address(), credential, name="gamma"):
            pass


async def test_who_is_refused_keeps_the_places_that_he_has(world):
    """He runs as he was: gamma, which is to hear zulu too, and beta no more."""
    await _take(world, "sig.zulu.>")
    world.add("zulu", Kind.STRATEGY)
    world.wire("zulu", "signal", "gamma")
    world.edges = [
        each for each in world.edges if (each.producer, each.consumer) != ("beta", "gamma")
    ]
    for broker in (world.broker, world.another_broker()):  # which looks at all of it anew
        async with broker:
            assert {"zulu", "gamma"} <= (await broker.ensure(world.rights())).keys()
    async with world.link("beta") as beta, world.link("gamma") as gamma:
        await beta.request_ack("sig.A", b"buy", "first")
        assert [each.payload for each in await gamma.pull("beta")] == [b"buy"]


async def test_a_full_store_has_room_again_once_those_who_go_are_gone(world):
    world.add("old", Kind.STRATEGY)
    await world.ensure()
    async with world.core() as core:
        await _fill(core)
    world.remove("old")
    world.add("new", Kind.STRATEGY)
    assert (await world.broker.ensure(world.rights())).keys() == {"new"}
    await world.ensure()


async def _take(world, *subjects):
    """Have a stream of somebody else with these, so that none of ours can have them."""
    async with world.core() as core:
        config = {"name": "OTHER", "subjects": list(subjects)}
        assert "error" not in await core.ask("$JS.API.STREAM.CREATE.OTHER", config)


async def _give_back(world):
    async with world.core() as core:
        await core.ask("$JS.API.STREAM.DELETE.OTHER")


async def _fill(core):
    """Reserve all that is left of the store."""
    step, number = 1 << 40, 0
    while step >= 1 << 20:
        number += 1
        config = {"name": f"ALL_{number}", "subjects": [f"all.{number}"], "max_bytes": step}
        if "error" in await core.ask(f"$JS.API.STREAM.CREATE.ALL_{number}", config):
            step >>= 1
