"""Many rights at once: each instance may run as soon as its own stand, and then loses nothing."""

import asyncio
from datetime import UTC, datetime

import pytest

from ntp.contract.names import Kind
from orchestrator.controller.bus_rights import BusRights
from orchestrator.controller.journal import Journal
from orchestrator.errors import ActionError
from orchestrator.spec.model import Desired
from orchestrator.store.sqlite import SqliteStore
from tests.integration.bus.conftest import World, ensured, populate

REFUSED = "zulu"
"""Whose stream JetStream will not make: another one has its subjects."""
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


@pytest.fixture
async def refusing(world):
    """A server that gives `REFUSED` no stream; all of `FINE` come with it."""
    async with world.core() as core:
        await core.ask(
            "$JS.API.STREAM.CREATE.OTHER", {"name": "OTHER", "subjects": [f"sig.{REFUSED}.>"]}
        )
    for name in [*FINE, REFUSED]:
        world.add(name, Kind.STRATEGY)
    return world


@pytest.fixture
def bus_rights(refusing, tmp_path):
    async def kept() -> None:
        pass  # the keys lie in files

    with SqliteStore.open(tmp_path / "state.db") as store:
        found = BusRights(refusing.broker, Journal(store, lambda: datetime.now(UTC)), kept)
        found.want(Desired("test", 1, refusing.plugins), frozenset())
        yield found


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
        assert [each.payload for each in await beta.captured("alpha")] == [b"tick"]


async def test_those_whose_rights_are_as_they_were_are_granted_at_once(world):
    world.add("delta", Kind.STRATEGY)
    order: list[str] = []
    await world.broker.ensure(world.rights(), order.append)
    assert sorted(order) == ["alpha", "beta", "delta", "gamma"]
    assert order[-1] == "delta"


async def test_a_stream_that_is_refused_holds_up_its_own_alone(refusing):
    granted: list[str] = []
    with pytest.raises(ActionError, match=f"STREAM.CREATE.SIG_{REFUSED}"):
        await refusing.broker.ensure(refusing.rights(), granted.append)
    assert set(granted) == {"alpha", "beta", "gamma", *FINE}


async def test_one_source_that_is_refused_holds_up_no_other(world):
    async with world.core() as core:
        await core.ask("$JS.API.STREAM.CREATE.OTHER", {"name": "OTHER", "subjects": ["md.xray.>"]})
    for name in ("whiskey", "xray", "yankee"):
        world.add(name, Kind.DATA_SOURCE)
        world.wire(name, "data", "beta")
    granted: list[str] = []
    with pytest.raises(ActionError, match=r"STREAM\.CREATE\.MD_xray"):
        await world.broker.ensure(world.rights(), granted.append)
    assert set(granted) == {"alpha", "gamma", "whiskey", "yankee"}  # beta hears it
    async with world.link("yankee") as link:
        await link.publish("data.A", b"tick")
        await link.flush()
    async with world.core() as core:
        await core.ask("$JS.API.STREAM.DELETE.OTHER")
    await world.ensure()
    async with world.link("beta") as beta:
        assert [each.payload for each in await beta.captured("yankee")] == [b"tick"]


async def test_a_start_waits_for_its_own_rights(bus_rights):
    async def whole() -> None:
        with pytest.raises(ActionError, match=REFUSED):
            await bus_rights.ensure()

    async with asyncio.TaskGroup() as tasks:
        ensuring = tasks.create_task(whole())
        await bus_rights.stand(FINE[0])
        assert not ensuring.done()
    bus_rights.doubt()  # it asks by itself, and what another is refused is not its business
    await bus_rights.stand(FINE[0])


async def test_many_who_wait_are_told_when_it_was_given_up(bus_rights):
    """Their own try then says why, each in its turn."""
    refused = []

    async def stand() -> None:
        try:
            await bus_rights.stand(REFUSED)
        except ActionError as error:
            refused.append(str(error))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(stand())
    assert len(refused) == 3
    assert all(REFUSED in each for each in refused)


async def test_rights_that_were_taken_do_not_stand(bus_rights, refusing):
    """Also where taking them was given up halfway: the account may be gone."""
    await bus_rights.stand(FINE[0])
    without = {name: each for name, each in refusing.plugins.items() if name != FINE[0]}
    bus_rights.want(Desired("test", 2, without), frozenset())
    with pytest.raises(ActionError):
        await bus_rights.ensure()
    bus_rights.want(Desired("test", 3, refusing.plugins), frozenset())
    await bus_rights.stand(FINE[0])
    async with refusing.link(FINE[0]) as link:
        await link.request_ack("sig.A", b"buy", "first")
