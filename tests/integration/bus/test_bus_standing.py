"""What a start waits for, and what it is told: `BusRights` on a real broker."""

import asyncio
from datetime import UTC, datetime

import pytest

from ntp.contract.names import Kind
from orchestrator.controller.bus_rights import BusRights
from orchestrator.controller.journal import Journal
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.spec.model import Desired
from orchestrator.store.sqlite import SqliteStore
from tests.worlds.specs import spec

FINE = [f"fine_{number:02}" for number in range(20)]
PLUGINS = {name: spec(name, Kind.STRATEGY) for name in (*FINE, "zulu")}


@pytest.fixture
async def refusing(world):
    """A broker that has no stream for zulu: another one has its subjects."""
    async with world.core() as core:
        config = {"name": "OTHER", "subjects": ["sig.zulu.>"]}
        assert "error" not in await core.ask("$JS.API.STREAM.CREATE.OTHER", config)
    return world


class Keys:
    """When they are found by whoever comes after us."""

    def __init__(self) -> None:
        self.told = lambda: None

    async def kept(self) -> None:
        self.told()


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def bus_rights(refusing, keys, tmp_path):
    with SqliteStore.open(tmp_path / "state.db") as store:
        journal = Journal(store, lambda: datetime.now(UTC))
        found = BusRights(refusing.broker, journal, keys.kept)
        _want(found, PLUGINS)
        yield found


def _want(bus_rights, plugins, running=frozenset()):
    bus_rights.want(Desired("test", 1, plugins), running)


def _without(*names):
    return {name: each for name, each in PLUGINS.items() if name not in names}


async def test_a_start_waits_for_its_own_rights(bus_rights):
    async def whole() -> None:
        with pytest.raises(ActionError, match="zulu"):
            await bus_rights.ensure()

    async with asyncio.TaskGroup() as tasks:
        ensuring = tasks.create_task(whole())
        await bus_rights.stand(FINE[0])
        assert not ensuring.done()
    with pytest.raises(ActionError, match="zulu"):
        await bus_rights.stand("zulu")


async def test_what_another_is_refused_is_not_its_business(bus_rights):
    """It asks by itself here, not beside somebody else."""
    await bus_rights.stand(FINE[0])
    assert not bus_rights.settled
    await bus_rights.rotate(FINE[0])
    await bus_rights.compare()
    with pytest.raises(ActionError, match="zulu"):
        await bus_rights.ensure()


async def test_all_who_wait_learn_from_the_same_try(bus_rights, keys):
    """Who asked first, from one that he began; all others, however many they are, from the next."""
    tries = []
    keys.told = lambda: tries.append(1)
    ended = []

    async def stand(name: str) -> None:
        try:
            await bus_rights.stand(name)
        except ActionError as error:
            ended.append(str(error))

    async with asyncio.TaskGroup() as tasks:
        for name in [*["zulu"] * 50, *FINE]:
            tasks.create_task(stand(name))
    assert len(ended) == 50
    assert all("SIG_zulu" in each for each in ended)
    assert len(tries) <= 2


async def test_all_who_wait_for_a_broker_that_is_away_learn_it_from_the_same_try(
    bus_rights, refusing
):
    refusing.server.kill()
    ended = []

    async def stand(name: str) -> None:
        with pytest.raises(UnreachableError) as error:
            await bus_rights.stand(name)
        ended.append(error.value)

    async with asyncio.TaskGroup() as tasks:
        for name in FINE:
            tasks.create_task(stand(name))
    assert len(ended) == len(FINE)
    assert len(set(map(id, ended))) <= 2


async def test_rights_that_were_taken_do_not_stand(bus_rights, refusing):
    await bus_rights.stand(FINE[0])
    _want(bus_rights, _without(FINE[0]))
    with pytest.raises(ActionError):
        await bus_rights.ensure()
    _want(bus_rights, PLUGINS)
    await bus_rights.stand(FINE[0])
    async with refusing.link(FINE[0]) as link:
        await link.request_ack("sig.A", b"buy", "first")


async def test_what_was_wanted_before_a_try_that_failed_is_made_again(bus_rights, refusing):
    """And again wanted after it: nobody knows what of it is left."""
    _want(bus_rights, _without("zulu"))
    await bus_rights.ensure()
    _want(bus_rights, _without(FINE[0], "zulu"))
    refusing.server.kill()
    with pytest.raises(UnreachableError):
        await bus_rights.ensure()
    _want(bus_rights, _without("zulu"))
    assert not bus_rights.settled
    refusing.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await bus_rights.stand(FINE[0])
            except UnreachableError:
                await asyncio.sleep(0.02)  # the server is starting
            else:
                break
    async with refusing.link(FINE[0]) as link:
        await link.request_ack("sig.A", b"buy", "first")


async def test_who_wants_something_else_by_now_is_not_told_of_a_try_for_less(bus_rights):
    """A source comes meanwhile, which all of them hear; zulu is refused as before."""
    source = spec("alpha", Kind.DATA_SOURCE)

    async with asyncio.TaskGroup() as tasks:
        standing = tasks.create_task(bus_rights.stand(FINE[0]))
        await asyncio.sleep(0)  # it has begun to ask
        _want(bus_rights, {**PLUGINS, "alpha": source})
        await standing
    assert "alpha" in {each.account for each in bus_rights.wanted[FINE[0]].imports}


async def test_who_is_read_by_somebody_that_came_during_a_try_waits_for_the_next(
    bus_rights, keys, refusing
):
    """A source, whose own rights are as they were; the strategy's place in its stream is not there."""
    alone = {"whiskey": spec("whiskey", Kind.DATA_SOURCE)}
    _want(bus_rights, alone)
    places = []

    async def stand() -> None:
        await bus_rights.stand("whiskey")
        async with refusing.core() as core:
            places.append((await core.ask("$JS.API.CONSUMER.NAMES.MD_whiskey"))["consumers"])

    async with asyncio.TaskGroup() as tasks:

        def told() -> None:
            keys.told = lambda: None
            _want(bus_rights, alone | {FINE[0]: PLUGINS[FINE[0]]})
            tasks.create_task(stand())

        keys.told = told
        await bus_rights.ensure()
    assert places == [[FINE[0]]]


async def test_a_doubt_that_comes_in_the_middle_is_not_forgotten(bus_rights, keys):
    _want(bus_rights, _without("zulu"))
    doubts = iter([True])
    keys.told = lambda: next(doubts, None) and bus_rights.doubt()
    await bus_rights.ensure()
    assert next(doubts, "asked twice") == "asked twice"
    assert bus_rights.settled


async def test_who_comes_back_waits_until_his_place_is_there_again(bus_rights, refusing):
    """A strategy ended, its executor still runs with the rights it had; both are declared once more."""
    pair = {"sierra": spec("sierra", Kind.STRATEGY), "echo": spec("echo", Kind.EXECUTOR)}
    _want(bus_rights, pair)
    await bus_rights.ensure()
    _want(bus_rights, _without("zulu"), {"echo"})
    await bus_rights.ensure()
    _want(bus_rights, pair, {"echo"})
    await bus_rights.stand("sierra")
    async with refusing.link("sierra") as link:
        await link.request_ack("sig.A", b"buy", "first")
    async with refusing.link("echo") as link:
        assert [each.payload for each in await link.pull("sierra")] == [b"buy"]
