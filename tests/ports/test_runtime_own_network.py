"""A network of a plugin's own: what it reaches, what it never reaches, and what a hand does to it."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError
from orchestrator.launch import Image
from orchestrator.runtime.docker import networks
from orchestrator.runtime.docker.tempo import Tempo
from orchestrator.spec.model import HostPort
from tests.ports.conftest import SMALL, until
from tests.worlds import internet
from tests.worlds.engine import AbsentEngineError
from tests.worlds.environment import absent

RUNTIMES = ("docker",)
pytestmark = [
    pytest.mark.docker,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.timeout(300),
]
PROBE = """
import json, os, socket, sys, threading
def ask(kind, host, port):
    try:
        with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, kind) as link:
            link.settimeout(2)
            link.connect((host, port))
            if kind == socket.SOCK_DGRAM:
                link.send(b'?')
            return link.recv(100).decode()
    except OSError as error:
        return type(error).__name__
def bound(host, port):
    try:
        with socket.socket() as link:
            link.settimeout(2)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
            link.connect((host, port))
            return link.recv(100).decode()
    except OSError as error:
        return type(error).__name__
def probe(place):
    how, host, port = place
    if how == 'bound':
        return bound(host, port)
    return ask({'tcp': socket.SOCK_STREAM, 'udp': socket.SOCK_DGRAM}[how], host, port)
def listen():
    with socket.create_server(('', 7000)) as server:
        while True:
            link, _ = server.accept()
            with link:
                link.sendall(b'hello')
threading.Thread(target=listen, daemon=True).start()
print('ready')
for line in open(os.environ['NTP_LAUNCH'] + '/asked'):
    print(json.dumps(probe(json.loads(line))))
import signal; signal.pause()
"""


@pytest.fixture(scope="module")
def engine():
    """An engine on a machine of its own, as far as networks go; and an internet beyond it."""
    try:
        made = internet.InternetEngine()
    except AbsentEngineError as error:
        absent("docker", str(error))
    try:
        made.environment()
        yield made
    finally:
        made.close()


AT_ONCE = Tempo(fence=0.0)
OWN = {"own": (HostPort(internet.PUBLIC, internet.PORT),), "inet": True}


def asking(*places):
    return {"files": {"launch.json": b"{}", "asked": "".join(json.dumps(each) + "\n" for each in places).encode()}}  # fmt: skip


async def answers(world, name, *places):
    """What a plugin with a network of its own hears from there; the first: that it runs at all."""
    await world.run(name, PROBE, **OWN, **asking(*places))
    await until(lambda: said(world, name, 1 + len(places)))
    return [json.loads(line) for line in (await world.lines(name))[1:]]


def outside(enter, places):
    """What somebody who is not fenced in hears from there: that anybody is there at all."""
    begin = PROBE.partition("threading.Thread")[0]
    code = f"{begin}print(json.dumps([probe(each) for each in json.loads(sys.argv[1])]))"
    words = [*enter, sys.executable, "-c", code, json.dumps(places)]
    return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)


async def test_it_reaches_what_it_declares_by_tcp_and_udp_and_nothing_else(world):
    there = await world.run("beta", PROBE, **OWN, **asking())
    [neighbour] = world.engine.inspect(holder_of(world, "beta"))["NetworkSettings"][
        "Networks"
    ].values()
    gateway = neighbour["Gateway"]
    port = internet.PORT
    closed = [
        *(["tcp", host, port] for host in (*internet.HOST, gateway)),
        *(["udp", host, port] for host in (*internet.HOST[:2], gateway)),
        *([how, host, port] for how in ("tcp", "udp") for host in (internet.LAN, internet.METADATA, internet.OTHER)),
        ["tcp", internet.METADATA6, port],
        ["tcp", internet.PUBLIC, internet.UNDECLARED],
        *(["bound", host, port] for host in (*internet.HOST[:2], gateway, internet.METADATA)),
    ]  # fmt: skip
    unfenced = [["tcp" if how == "bound" else how, *place] for how, *place in closed]
    assert set(outside(world.engine.machine.enter, unfenced)) == {"hello"}, "somebody is there"
    opened = [["tcp", internet.PUBLIC, port], ["udp", internet.PUBLIC, port]]
    theirs = ["tcp", neighbour["IPAddress"], 7000]
    inside = ("nsenter", f"--net=/proc/{there.pid}/ns/net")
    assert outside(inside, [theirs]) == ["hello"], "it listens"
    assert outside(world.engine.machine.enter, [theirs]) != ["hello"], "nobody begins to talk to it"
    closed.append(theirs)
    found = await answers(world, "alpha", *opened, *closed)
    assert found[:2] == ["hello", "hello"]
    assert [place for place, said in zip(closed, found[2:], strict=True) if said == "hello"] == []
    assert (await world.see("beta")).id == there.id


async def test_names_are_looked_up_outside_and_nobody_else_s_is_known(world):
    def table(host, port, **_):
        return [(None, None, None, "", ({"exchange.test": internet.PUBLIC}[host], port))]

    world.runtime = world.again(tempo=AT_ONCE, look_up=table)
    own = (HostPort("exchange.test", internet.PORT),)
    asked = asking(
        ["tcp", "exchange.test", internet.PORT],
        ["tcp", "elsewhere.test", internet.PORT],
        ["udp", "127.0.0.11", 53],
    )
    await world.run("alpha", PROBE, own=own, inet=True, **asked)
    await until(lambda: said(world, "alpha", 4))
    assert (await world.lines("alpha"))[1:] == ['"hello"', '"gaierror"', '"PermissionError"']

    async def counted():
        return (await world.see("alpha")).refused.get(networks.OTHERS, 0)

    assert await until(counted) >= 1


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("localhost", "which is this machine or a private network"),
        (internet.HOST[0], "which is this machine"),
        (internet.LAN, "a private network"),
        (internet.METADATA, "a private network"),
    ],
)
async def test_what_leads_to_this_machine_or_its_network_is_refused(world, host, words):
    own = (HostPort(host, internet.PORT),)
    with pytest.raises(ActionError, match=words) as refusal:
        await world.runtime.start(world.launch("alpha", PROBE, own=own, inet=True))
    assert refusal.value.reason == "NetworkRefused"
    assert await world.see("alpha") is None


async def test_what_holds_its_network_is_made_of_no_plugins_image(world):
    ours, theirs = world.engine.environment(), world.built("ntp-test-theirs", "LABEL of=theirs")
    image = Image("ntp-test-theirs", frozenset({theirs}))
    environment = replace(ours, image=image, serving=ours)
    await world.run("alpha", PROBE, environment=environment, **OWN, **asking())
    assert world.container("alpha")["Image"] == theirs
    assert world.engine.inspect(holder_of(world, "alpha"))["Image"] in ours.image.ids


async def test_a_hand_at_its_network_is_told_and_mended_in_place(world):
    world.runtime = world.again(tempo=AT_ONCE)
    before = await world.run("alpha", PROBE, **OWN, **asking())
    assert before.drift == ""
    holder, bridge = holder_of(world, "alpha"), bridge_of(world, "alpha")
    enter = ("nsenter", f"--net=/proc/{before.pid}/ns/net")
    place = ["tcp", internet.PUBLIC, internet.PORT]

    async def told_and_mended(words):
        assert words in (await world.see("alpha")).drift
        await world.runtime.update("alpha", SMALL)
        after = await world.see("alpha")
        assert (after.id, after.pid, after.drift) == (before.id, before.pid, "")
        assert outside(enter, [place]) == ["hello"]

    world.engine.run("network", "disconnect", bridge, holder)
    assert outside(enter, [place]) != ["hello"]
    world.runtime = world.again(tempo=AT_ONCE)  # another controller
    await told_and_mended(f"its network: it was disconnected from {bridge}")

    world.engine.run("network", "disconnect", bridge, holder)
    world.engine.run("network", "rm", bridge)
    await told_and_mended(f"its network: it was disconnected from {bridge}")

    world.engine.run("network", "create", "foreign")
    world.engine.run("network", "connect", "foreign", holder)
    await told_and_mended("its network: it was connected to foreign too")
    world.engine.run("network", "rm", "foreign")

    subprocess.run([*enter, "iptables", "-I", "OUTPUT", "-j", "ACCEPT"], check=True)
    assert outside(enter, [["tcp", internet.LAN, internet.PORT]]) == ["hello"]
    await told_and_mended("the rules around its network")
    assert outside(enter, [["tcp", internet.LAN, internet.PORT]]) != ["hello"]


@pytest.mark.parametrize(
    "how",
    [["rm", "--force"], pytest.param(["restart", "--time", "0"], marks=pytest.mark.long)],
)
async def test_a_network_that_is_lost_ends_its_plugin_and_is_made_again(world, how):
    await world.run("alpha", PROBE, **OWN, **asking())
    world.engine.run(*how, holder_of(world, "alpha"))
    end = await world.ended("alpha")
    assert end.reason == "NetworkLost"
    assert "the container that holds its network" in end.message
    place = ["tcp", internet.PUBLIC, internet.PORT]
    await world.run("alpha", PROBE, **OWN, **asking(place), attempt=2)
    await until(lambda: said(world, "alpha", 2))
    assert (await world.lines("alpha"))[-1] == '"hello"'


async def test_who_does_without_it_later_leaves_nothing_of_it_behind(world):
    await world.run("alpha", PROBE, **OWN, **asking())
    await world.stop("alpha", 0.0)
    assert (await world.see("alpha")).phase is Phase.EXITED
    assert ours(world), "kept for its next life"
    await world.run("alpha", "print('ready'); import signal; signal.pause()", generation=2)

    async def gone():
        await world.runtime.observe()
        return not ours(world)

    await until(gone)


async def said(world, name, count):
    return len(await world.lines(name)) >= count


def ours(world):
    mark = f"label=io.ntp.owner={world.runtime._owner}"
    return world.engine.run("network", "ls", "--quiet", "--filter", mark).split()


def holder_of(world, name):
    return f"ntp-{world.runtime._owner}-{name}-network-"


def bridge_of(world, name):
    return f"ntp-{world.runtime._owner}-{name}-bridge-"
