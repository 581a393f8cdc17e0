"""What the Docker runtime survives and refuses: drift, copies, hostile images, an engine that is away."""

import asyncio
import json
import logging
import re
import signal
import socket
import subprocess
import threading
from contextlib import aclosing, closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.launch import Image
from orchestrator.runtime.docker import pruning
from orchestrator.runtime.docker.engine import Engine
from orchestrator.runtime.docker.tempo import Tempo
from orchestrator.spec.model import HostPort
from tests.ports.conftest import SMALL, until

RUNTIMES = ("docker",)
pytestmark = pytest.mark.docker
WAIT = "import signal; print('ready'); signal.pause()"
CANARY = b"canary-never-to-be-seen"


async def test_every_control_is_set_from_outside(world):
    await world.run("alpha", WAIT)
    found = world.container("alpha")
    config, host = found["Config"], found["HostConfig"]
    assert config["User"] not in {"", "0", "0:0"}
    assert (host["ReadonlyRootfs"], host["Privileged"], host["CapDrop"]) == (True, False, ["ALL"])
    assert host["CapAdd"] in (None, [])
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
    assert host["Memory"] == host["MemorySwap"] == 64 << 20
    assert (host["PidsLimit"], host["CpuQuota"], host["OomScoreAdj"]) == (32, 100_000, 500)
    assert host["NetworkMode"].startswith("container:")
    assert (host["IpcMode"], host["CgroupnsMode"], host["PidMode"]) == ("private", "private", "")
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["LogConfig"]["Type"] == "local"
    assert config["Healthcheck"] == {"Test": ["NONE"]}
    assert all(
        not mount["RW"] or mount["Destination"].endswith("termination") for mount in found["Mounts"]
    )


async def test_one_that_runs_again_since_it_was_seen_is_not_removed(world):
    before = await world.run("alpha", WAIT)
    world.engine.run("kill", before.id)
    await world.ended("alpha")
    for mount in world.container("alpha")["Mounts"]:
        Path(mount["Source"]).mkdir(parents=True, exist_ok=True)
    world.engine.run("start", before.id)  # by hand, and nobody looks
    with pytest.raises(ActionError, match="stop it first"):
        await world.runtime.remove("alpha", delete_data=False)
    seen = await world.see("alpha")
    assert (seen.id, seen.phase) == (before.id, Phase.RUNNING)


async def test_files_of_a_launch_on_a_disk_are_told(world):
    world.runtime._places.in_memory = False
    await world.run("alpha", WAIT)
    seen = await world.until_isolated("alpha")
    assert any(each.startswith("launch files in memory only") for each in seen.missing)


PROBE = """
import ctypes, errno, json, os, socket
found = {}
def attempt(name, work):
    try:
        work()
        found[name] = 'held not'
    except OSError as e:
        found[name] = errno.errorcode[e.errno]
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *words):
    if libc.syscall(number, *words) < 0:
        raise OSError(ctypes.get_errno(), '')
attempt('inet', lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
attempt('netlink', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt('root is written', lambda: open('/etc/mine', 'w'))
attempt('launch is written', lambda: open('/run/ntp/launch.json', 'w'))
attempt('setuid', lambda: os.setuid(0))
attempt('unshare', lambda: call(272, 0x10000000))
attempt('mount', lambda: call(165, 0, 0, 0, 0, 0))
attempt('ptrace', lambda: call(101, 0, 0, 0, 0))
attempt('keyctl', lambda: call(250, 0, 0))
attempt('io_uring', lambda: call(425, 1, 0))
attempt('bpf', lambda: call(321, 0, 0, 0))
attempt('host disk', lambda: os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0)))
def execute():
    with open('/tmp/tool', 'w') as file:
        file.write('#!/bin/true')
    os.chmod('/tmp/tool', 0o700)
    os.execv('/tmp/tool', ['tool'])
attempt('execute in tmp', execute)
status = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)
found['capabilities'] = {status[name].strip() for name in ('CapEff', 'CapPrm', 'CapBnd')} == {'0' * 16}
found['no new privileges'] = status['NoNewPrivs'].strip()
found['filter'] = status['Seccomp'].strip()
found['processes'] = sum(name.isdigit() for name in os.listdir('/proc'))
found['interfaces'] = sorted(os.listdir('/sys/class/net'))
found['uid'] = os.getuid()
print(json.dumps(found))
"""


async def test_every_control_has_its_effect_from_inside(world):
    await world.run("alpha", PROBE)
    await world.ended("alpha")
    found = json.loads((await world.lines("alpha"))[-1])
    assert found.pop("uid") == int(world.container("alpha")["Config"]["User"].partition(":")[0])
    assert found.pop("processes") == 2, "its init and itself"
    assert (found.pop("capabilities"), found.pop("no new privileges"), found.pop("filter")) == (
        True,
        "1",
        "2",
    )
    assert found.pop("interfaces") in ([], ["lo"])
    assert {name for name, answer in found.items() if answer == "held not"} == set()


async def test_a_secret_is_nowhere_but_in_the_plugin_s_folder(world, engine):
    await world.run("alpha", WAIT, files={"launch.json": b"{}", "bus.creds": CANARY})
    told = json.dumps(world.container("alpha")).encode()
    assert CANARY not in told
    for folder in (*engine.folders, world.state):
        for path in Path(folder).rglob("*"):
            if "overlay2" not in path.parts and path.is_file() and not path.is_symlink():
                with suppress(OSError):
                    assert CANARY not in path.read_bytes(), path


@pytest.mark.parametrize("how", ["pause", "rename"])
async def test_what_somebody_did_to_a_container_does_not_hide_it(world, how):
    before = await world.run("alpha", WAIT)
    words = [before.id] if how == "pause" else [before.id, f"other-{before.id[:8]}"]
    world.engine.run(how, *words)
    seen = await world.see("alpha")
    assert (seen.id, seen.phase) == (before.id, Phase.RUNNING)
    await world.runtime.start(world.launch("alpha", WAIT))
    assert (await world.see("alpha")).id == before.id, "adopted"
    await world.stop("alpha")


async def test_a_look_at_what_has_not_changed_is_one_question(world):
    for name in ("alpha", "beta"):
        await world.run(name, WAIT, egress=(HostPort("127.0.0.1", 9),))
        await world.until_isolated(name)
    asked = []
    for client in world.runtime._engine._clients:
        client.hooks["response"].append(lambda answer, **_: asked.append(answer.request.path_url))
    assert set(await world.runtime.observe()) == {"alpha", "beta"}
    assert [each.partition("?")[0].rpartition("/containers")[2] for each in asked] == ["/json"]


async def test_limits_that_somebody_else_changed_are_told_and_can_be_set_again(world):
    before = await world.run("alpha", WAIT)
    async with aclosing(world.runtime.events()) as events:
        await anext(events)
        world.engine.run("update", "--memory", "32m", "--memory-swap", "32m", before.id)
        async with asyncio.timeout(20):
            while not (seen := await world.see("alpha")).drift:
                await anext(events)
    assert (
        seen.drift
        == f"its limits: Memory {32 << 20}, not {64 << 20}, MemorySwap {32 << 20}, not {64 << 20}"
    )
    await world.runtime.update("alpha", SMALL)
    after = await world.see("alpha")
    assert (after.id, after.drift, after.usage.memory_limit) == (before.id, "", 64 << 20)


async def test_a_copy_with_our_labels_is_none_of_ours(world):
    mine = await world.run("alpha", WAIT)
    labels = world.container("alpha")["Config"]["Labels"]
    marks = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    copy = world.engine.run(
        "run", "--detach", "--network", "none", "--entrypoint", "/usr/bin/python3", *marks, reference_of(world),
        "-c", "import signal; signal.pause()",
    ).strip()  # fmt: skip
    try:
        assert (await world.see("alpha")).id == mine.id
        await world.stop("alpha")
        await world.runtime.remove("alpha", delete_data=True)
        assert await world.see("alpha") is None
        assert world.engine.inspect(copy)["State"]["Running"], "never touched"
    finally:
        world.engine.run("rm", "--force", copy)


async def test_a_foreign_container_on_our_name_is_told_and_left_alone(world):
    name = f"ntp-{world.runtime._owner}-alpha"
    there = world.engine.run("create", "--name", name, reference_of(world), "true").strip()
    try:
        with pytest.raises(
            ActionError, match="is taken by a container that is not ours"
        ) as refusal:
            await world.runtime.start(world.launch("alpha", WAIT))
        assert refusal.value.reason == "NameTaken"
        assert world.engine.inspect(there)["Id"] == there
    finally:
        world.engine.run("rm", there)


ASKED = re.compile(r'"([A-Z]+) [^ ?]*/(\w*)')


class Asked:
    """What the engine was asked, as urllib3 logs it: (method, last word of the path)."""

    def __init__(self, log):
        self._log = log

    def clear(self):
        self._log.clear()

    def all(self):
        found = [ASKED.search(record.getMessage()) for record in self._log.records]
        return [(m[1], m[2] if m[2] in {"json", "kill", "wait"} else "") for m in found if m]


@pytest.fixture
def asked(caplog):
    caplog.set_level(logging.DEBUG, "urllib3.connectionpool")
    return Asked(caplog)


async def test_who_asks_after_the_end_leaves_no_connection(world):
    engine = Engine(world.engine.url)
    begun, closed = threading.Event(), threading.Event()

    def work():
        begun.set()
        closed.wait(30)
        return engine.info()

    under_way = engine.later(work)
    assert await asyncio.to_thread(begun.wait, 30)
    engine.close()
    closed.set()
    with pytest.raises(UnreachableError, match="closed meanwhile"):
        await asyncio.wrap_future(under_way)
    assert (await engine.run(engine.info))["ServerVersion"]
    engine.close()


async def test_an_end_takes_few_questions(world, asked):
    await world.run("alpha", WAIT)
    asked.clear()
    await world.stop("alpha")
    assert asked.all() == [("GET", "json"), ("POST", "wait")]
    # Who waits hears of an end before a listing has it: none is believed that was told of it.
    assert (await world.see("alpha")).phase is Phase.EXITED
    asked.clear()
    await world.runtime.remove("alpha", delete_data=True)
    assert asked.all() == [("DELETE", "")]


async def test_a_look_does_not_wait_for_a_start_that_is_under_way(world, asked):
    await world.run("alpha", WAIT)
    world.runtime._engine.start = lambda _: (_ for _ in ()).throw(SystemExit)
    with suppress(BaseException):
        await world.runtime.start(world.launch("beta", WAIT))
    asked.clear()
    assert (await world.see("beta")).phase is Phase.CREATED
    assert asked.all() == [("GET", "json")], "the listing alone: of beta nothing can be told yet"


async def test_a_container_that_was_made_and_not_started_is_replaced(world):
    await world.run("alpha", WAIT)
    await world.stop("alpha")
    await world.runtime.remove("alpha", delete_data=True)
    world.runtime._engine.start = lambda _: (_ for _ in ()).throw(SystemExit)
    with suppress(BaseException):
        await world.runtime.start(world.launch("alpha", WAIT))
    world.runtime = world.again()
    assert (await world.see("alpha")).phase is Phase.CREATED
    assert (await world.run("alpha", WAIT)).phase is Phase.RUNNING


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("VOLUME /data", "declares volumes"),
        ('LABEL io.ntp.owner="forged"', "carries labels of ours"),
    ],
)
async def test_an_image_that_would_defeat_a_limit_is_refused(world, change, words):
    image = Image(reference := "ntp-test-hostile", frozenset({world.built(reference, change)}))
    environment = replace(world.engine.environment(), image=image)
    with pytest.raises(ActionError, match=words):
        await world.runtime.start(world.launch("alpha", WAIT, environment=environment))


FLOOD = """
import os
line = b'x' * 65535 + bytes([10])
while True:
    os.write(1, line)
"""
BURST = f"{FLOOD.replace('while True', 'for _ in range(400)')}{WAIT.replace('; ', chr(10))}"


@pytest.mark.root
async def test_who_floods_for_long_is_ended_and_who_does_so_for_a_moment_is_not(world):
    world.runtime = world.again(tempo=Tempo(flood=4.0, usage=0.5))
    await world.run("beta", BURST)
    await world.runtime.start(world.launch("alpha", FLOOD, resources=replace(SMALL, cpu=2.0)))
    end = await world.ended("alpha")
    assert end.reason == "LogFlood"
    assert "it printed more than 8 MiB a second for" in end.message
    assert (await world.see("beta")).phase is Phase.RUNNING


async def test_an_image_that_somebody_removed_meanwhile_is_told(world):
    image = Image(reference := "ntp-test-removed", frozenset({world.built(reference)}))
    environment = replace(world.engine.environment(), image=image)
    await world.run("alpha", WAIT)  # whose image serves all
    await world.run("beta", "print('here')", environment=environment)
    await world.ended("beta")
    await world.runtime.remove("beta", delete_data=True)
    world.engine.run("rmi", reference)
    with pytest.raises(ActionError, match=r"does not have image ntp-test-removed") as told:
        await world.runtime.start(world.launch("beta", WAIT, environment=environment))
    assert told.value.reason == "ImageMissing"


async def test_what_an_image_says_of_itself_is_not_taken_over(world):
    changes = [
        "ENV LD_PRELOAD=/evil.so PYTHONSTARTUP=/evil.py", "USER 0",
        "HEALTHCHECK --interval=1s CMD true", "WORKDIR /evil", 'ENTRYPOINT ["/evil"]',
    ]  # fmt: skip
    image = Image(reference := "ntp-test-odd", frozenset({world.built(reference, *changes)}))
    environment = replace(world.engine.environment(), image=image)
    assert "LD_PRELOAD=/evil.so" in world.engine.inspect(reference)["Config"]["Env"]
    show = "import os; print(['LD_PRELOAD' in os.environ, os.getcwd(), os.getuid() != 0])"
    await world.run("alpha", show, environment=environment)
    await world.ended("alpha")
    assert await world.lines("alpha") == ["[False, '/', True]"]


async def test_another_image_of_the_same_name_is_another_one(world):
    ids = []
    for name in ("alpha", "beta"):
        ids.append(world.built("ntp-test-same", f"LABEL of={name}"))
        image = Image("ntp-test-same", frozenset({ids[-1]}))
        environment = replace(world.engine.environment(), image=image)
        await world.run(name, WAIT, environment=environment)
    assert [world.container(name)["Image"] for name in ("alpha", "beta")] == ids


async def test_what_serves_all_plugins_is_made_of_no_plugins_image(world):
    theirs = world.built("ntp-test-theirs", "LABEL of=theirs")
    ours = world.engine.environment()
    image = Image("ntp-test-theirs", frozenset({theirs}))
    environment = replace(ours, image=image, serving=ours)
    await world.run("alpha", WAIT, environment=environment, egress=(HostPort("127.0.0.1", 9),))
    assert world.container("alpha")["Image"] == theirs
    for role in ("network", "door"):
        [found] = world.engine.run(
            "ps", "--quiet", "--filter", f"label=io.ntp.role={role}",
            "--filter", f"label=io.ntp.owner={world.runtime._owner}",
        ).split()  # fmt: skip
        assert world.engine.inspect(found)["Image"] in ours.image.ids


async def test_images_that_nobody_uses_are_pruned_and_those_of_others_are_not(world):
    def there():
        return set(world.engine.run("images", "--all", "--quiet", "--no-trunc").split())

    strangers = there()  # the engine may be somebody's own
    label = f"LABEL {pruning.LABEL}=sha256:x"
    kept = world.built("ntp/test-kept:1", label, "LABEL n=kept")
    running = world.built("ntp/test-running:1", label, "LABEL n=running")
    renamed = world.built("ntp/test-renamed:1", label, "LABEL n=renamed")
    world.engine.run("tag", renamed, "somebody/own:1")
    moved = world.built("ntp/test-old:1", label, "LABEL n=moved")
    old = world.built("ntp/test-old:1", label, "LABEL n=old")
    other = world.built("ntp/test-other:1", "LABEL n=other")
    image = Image("ntp/test-running:1", frozenset({running}))
    environment = replace(world.engine.environment(), image=image)
    await world.run("alpha", WAIT, environment=environment)

    def prune(*, dry_run):
        found = pruning.prune(world.engine.url, {kept, *strangers}, dry_run=dry_run)
        return found.freed, {each.id: each.in_use for each in found.images}

    before = there()
    freed, named = prune(dry_run=True)
    assert freed is None
    assert {running, moved, old} <= named.keys()
    assert not {kept, renamed, other} & named.keys()
    assert there() == before
    freed, named = prune(dry_run=False)
    assert freed >= 0
    assert (named[running], named[old], named[moved]) == (True, False, False)
    assert before - there() == named.keys() - {running}
    world.engine.run("rmi", "ntp/test-kept:1", "ntp/test-renamed:1", "somebody/own:1", other)


def reference_of(world):
    return world.engine.environment().image.reference


CALLS = """
import json, os, socket, sys
def ask(host, port):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as bell:
        bell.connect(os.environ['NTP_LAUNCH'] + '/door.sock')
        bell.send(f'{host} {port}'.encode())
        text, files, _, _ = socket.recv_fds(bell, 1000, 1)
    return socket.socket(fileno=files[0]).recv(100).decode() if files else text.decode().split()[0]
print(json.dumps([ask(*place) for place in json.loads(sys.argv[1])]))
print('ready')
import signal; signal.pause()
"""


@pytest.fixture
def listening():
    """A server on loopback that says hello; its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve():
            with suppress(OSError):
                while True:
                    link, _ = server.accept()
                    with link:
                        link.sendall(b"hello")

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


async def test_a_plugin_reaches_what_it_declares_through_the_door_and_nothing_else(
    world, listening
):
    place = HostPort("127.0.0.1", listening)
    asked = json.dumps(
        [["127.0.0.1", listening], ["127.0.0.1", listening + 1], ["169.254.169.254", 80]]
    )
    seen = await world.run(
        "alpha", "", argv=("-c", CALLS, asked), egress=(place,), private=(place,)
    )
    answers = json.loads((await world.lines("alpha"))[0])
    assert answers == ["hello", "111", "111"]
    refused = (await world.see("alpha")).refused
    assert refused == {f"127.0.0.1:{listening + 1}": 1, "169.254.169.254:80": 1}
    assert seen.phase is Phase.RUNNING
    await world.stop("alpha")
    await world.ended("alpha")
    assert (await world.see("alpha")).refused == refused, "its door is gone, what it refused is not"


@pytest.mark.parametrize("role", ["door", "network"])
async def test_what_serves_all_plugins_is_made_again_and_nobody_is_disturbed(
    world, listening, role
):
    place = HostPort("127.0.0.1", listening)
    asked = json.dumps([["127.0.0.1", listening]])
    given = {"argv": ("-c", CALLS, asked), "egress": (place,), "private": (place,)}
    before = await world.run("alpha", "", **given)
    name = f"ntp-{world.runtime._owner}-{role}-"
    old = world.engine.inspect(name)["Id"]
    world.engine.run("kill", name)

    async def made_again():
        await world.runtime.observe()
        with suppress(subprocess.CalledProcessError):
            found = world.engine.inspect(name)
            return found["Id"] != old and found["State"]["Running"]
        return False

    await until(made_again)
    await world.run("beta", "", **given)
    assert json.loads((await world.lines("beta"))[0]) == ["hello"]
    after = await world.see("alpha")
    assert (after.id, after.pid) == (before.id, before.pid)


async def test_the_next_life_of_one_that_a_hand_removed_has_a_door(world, listening):
    place = HostPort("127.0.0.1", listening)
    asked = json.dumps([["127.0.0.1", listening]])
    given = {"argv": ("-c", CALLS, asked), "egress": (place,), "private": (place,)}
    before = await world.run("alpha", "", **given)
    world.engine.run("kill", before.id)
    await world.ended("alpha")
    world.engine.run("rm", before.id)
    await world.run("alpha", "", **given)  # as the same attempt: what it may reach is the same
    assert json.loads((await world.lines("alpha"))[-2]) == ["hello"]


async def test_a_look_takes_nothing_away_from_a_start_that_is_under_way(world):
    before = await world.run("alpha", WAIT)
    given = world.runtime._places.launch("alpha")
    with world.runtime._places.locked("alpha"):  # as a start does, of this controller or of another
        world.engine.run("kill", before.id)
        assert (await world.ended("alpha")).signal == signal.SIGKILL
        assert given.is_dir()
    assert (await world.see("alpha")).exit.signal == signal.SIGKILL
    assert not given.exists()


@pytest.fixture
def own(engine):
    if engine.pid is None:
        pytest.skip("the engine is not ours to stop")
    return engine


async def test_a_frozen_engine_is_an_engine_that_does_not_answer(world, own):
    before = await world.run("alpha", WAIT)
    world.runtime = world.again(tempo=Tempo(call=1.0, start=1.0))
    own.signal(signal.SIGSTOP)
    try:
        await until(own.is_frozen)
        with pytest.raises(UnreachableError, match="no answer in time"):
            await world.runtime.observe()
        with pytest.raises(UnreachableError):
            await world.runtime.start(world.launch("beta", WAIT))
    finally:
        own.signal(signal.SIGCONT)

    async def answers():
        with suppress(UnreachableError):
            return await world.see("alpha")
        return None

    after = await until(answers)
    assert (after.id, after.pid) == (before.id, before.pid)
    await world.stop("alpha")


async def test_plugins_outlive_the_death_of_the_engine(world, own):
    before = await world.run("alpha", WAIT)
    async with aclosing(world.runtime.events()) as events:
        await anext(events)
        own.signal(signal.SIGKILL)
        await until(lambda: not own.is_alive())
        with pytest.raises(UnreachableError):
            await world.runtime.observe()
        own.start()
        async with asyncio.timeout(90):
            while True:  # heard again after a break, and what happened meanwhile is looked at
                await anext(events)
                with suppress(UnreachableError):
                    after = await world.see("alpha")
                    break
        assert (after.id, after.pid, after.phase) == (before.id, before.pid, Phase.RUNNING)
        world.signal("alpha", signal.SIGKILL)
        async with asyncio.timeout(30):
            while (await world.see("alpha")).phase is not Phase.EXITED:
                await anext(events)
    await world.runtime.stop("alpha", grace=timedelta(0), cause="the end")
