"""A source says who said no: the door, or what lies behind it."""

import socket

import pytest

from ntp.confine import door_client, ways
from ntp.live import reach
from ntp.live.backoff import Backoff
from ntp.live.line import Line
from tests.worlds.scripted_exchange import Prices, exchange, running


def line(url):
    async def welcome(_):
        pass

    return Line(url, welcome, Backoff(0.01, 0.05), stale_after_s=60)


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def behind(open_door):
    """Return a function that opens a door and sends everything through it."""
    undone = []

    def through(*allow, **names):
        door = open_door(*allow, private=allow, names=names)
        undone.append(ways.install(door_client.Door(door.path)))

    yield through
    for undo in undone:
        undo()
    assert not ways.installed()


async def test_a_place_that_is_not_allowed(behind):
    behind("stream.test:443")
    async with running(Prices(line("ws://elsewhere.test/ws"))) as run:
        words = await run.until(lambda: run.plugin.conditions().get(reach.REFUSED))
    assert words.startswith(
        "refused by the door: elsewhere.test:80 is refused: not in network.egress of its entry;"
        " `ntpctl status NAME` shows the line to add; try "
    )


async def test_a_name_that_nobody_knows(behind):
    behind("stream.test:9443")
    async with running(Prices(line("wss://stream.test:9443/ws"))) as run:
        words = await run.until(lambda: run.plugin.conditions().get(reach.FAILED))
    assert "allowed by the door, connect failed: stream.test: no such name" in words


async def test_a_port_where_nobody_listens(behind, free_port):
    behind(f"stream.test:{free_port}", **{"stream.test": ["127.0.0.1"]})
    async with running(Prices(line(f"ws://stream.test:{free_port}/ws"))) as run:
        words = await run.until(lambda: run.plugin.conditions().get(reach.FAILED))
    assert words.startswith(
        f"allowed by the door, connect failed: stream.test:{free_port}: Connection refused; try "
    )


async def test_a_server_that_speaks_no_tls(behind):
    async with exchange() as server:
        behind(f"stream.test:{server.port}", **{"stream.test": ["127.0.0.1"]})
        async with running(Prices(line(f"wss://stream.test:{server.port}/ws"))) as run:
            words = await run.until(lambda: run.plugin.conditions().get(reach.FAILED))
    assert words.startswith(f"stream.test:{server.port}: allowed by the door, connect failed: ")


async def test_an_exchange_behind_the_door(behind):
    async with exchange() as server:
        behind(f"stream.test:{server.port}", **{"stream.test": ["127.0.0.1"]})
        async with running(Prices(line(f"ws://stream.test:{server.port}/ws"))) as run:
            caller = await server.caller(0)
            await caller.send("1.5")
            assert (await run.tick()).price == 1.5
            assert run.plugin.conditions() == {}
