"""What the process runtime survives: the death of anybody, at any moment; and what it leaves: nothing."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pytest

from ntp.confine import shim_files
from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError
from orchestrator.spec.model import HostPort

WAIT = "import signal; print('ready'); signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready')
while True:
    signal.pause()
"""
# A controller that is killed at the n-th thing that it does to the world.
DOOMED = """
import asyncio, os, pickle, signal, sys
from pathlib import Path
from orchestrator.runtime.process.runtime import ProcessRuntime

state, point, tier = Path(sys.argv[1]), int(sys.argv[2]), eval(sys.argv[3])
runtime = ProcessRuntime("trial", state, tier=tier)
launch = pickle.loads(sys.stdin.buffer.read())
seen = 0

def count(event, arguments):
    global seen
    if event.startswith(("os.", "open", "fcntl.", "shutil.")):
        seen += 1
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
asyncio.run(runtime.start(launch))
print(seen)
"""
TELLS_TO_STOP = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from orchestrator.runtime.process.runtime import ProcessRuntime

runtime = ProcessRuntime("trial", Path(sys.argv[1]))
print("telling", flush=True)
asyncio.run(runtime.stop("alpha", grace=timedelta(seconds=1), cause="by one who died"))
"""


def python(program, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **options,
    )


async def test_killing_the_shim_ends_the_plugin_and_is_told(world):
    await world.run("alpha", WAIT)
    os.kill(world.shim("alpha"), signal.SIGKILL)
    end = await world.ended("alpha")
    assert (end.code, end.signal, end.reason) == (None, None, "SupervisorLost")
    assert "shim was killed" in end.message
    assert not world.processes("alpha")
    assert not world.groups("alpha")
    again = await world.run("alpha", WAIT, attempt=2)
    assert again.phase is Phase.RUNNING


async def test_a_stop_cut_off_by_the_death_of_the_shim_is_a_stop(world):
    await world.run("alpha", STUBBORN)
    (world.folder("alpha") / shim_files.CONTROL).write_text("stop 600 enough\n")

    async def stopping():
        return (await world.see("alpha")).phase is Phase.STOPPING

    while not await stopping():
        await asyncio.sleep(0.01)
    os.kill(world.shim("alpha"), signal.SIGKILL)
    end = await world.ended("alpha")
    assert (end.reason, end.message) == ("Stopped", "enough")


async def test_a_shim_killed_at_any_moment_of_a_life_leaves_nothing(world):
    for attempt in range(1, 13):
        await world.runtime.start(world.launch("alpha", "print('ready')", attempt=attempt))
        await asyncio.sleep(attempt * 0.006)  # anywhere from its exec to the end of its plugin
        with_lock = (world.folder("alpha") / shim_files.LOCK).read_text()
        try:
            os.kill(int(with_lock), signal.SIGKILL)
        except ProcessLookupError:
            assert (await world.ended("alpha")).code == 0
        assert await world.ended("alpha")
        while world.processes("alpha"):  # a child that had not yet tied itself to the shim
            await asyncio.sleep(0.01)
        assert not world.groups("alpha")


async def test_a_hanging_shim_is_overcome(world):
    await world.run("alpha", WAIT)
    os.kill(world.shim("alpha"), signal.SIGSTOP)
    impatient = world.again(patience=timedelta(seconds=0.3))
    await impatient.stop("alpha", grace=timedelta(0), cause="now")
    assert (await world.ended("alpha")).reason == "SupervisorLost"
    assert not world.processes("alpha")


async def test_the_shim_ignores_a_polite_request_and_its_plugin_runs_on(world):
    before = await world.run("alpha", WAIT)
    os.kill(world.shim("alpha"), signal.SIGTERM)
    os.kill(world.shim("alpha"), signal.SIGHUP)
    assert (await world.see("alpha")).id == before.id
    await world.stop("alpha")
    assert (await world.ended("alpha")).signal == signal.SIGTERM


async def test_a_start_cut_off_at_any_point_is_repaired_by_the_next(world):
    """Kill the controller at its 1st, 2nd, … change of the world, until it gets through alive."""
    import pickle

    launch = world.launch("alpha", WAIT)
    point, through = 0, False
    while not through:
        point += 1
        controller = python(DOOMED, world.state, point, world.tier)
        controller.communicate(pickle.dumps(launch))
        through = controller.returncode == 0
        assert through or controller.returncode == -signal.SIGKILL
        await world.runtime.start(launch)
        seen = await world.see("alpha")
        assert (seen.phase, seen.generation) == (Phase.RUNNING, 1)
        while world.shims("alpha") != {world.shim("alpha")}:  # one, once its exec is through
            await asyncio.sleep(0.01)
        await world.stop("alpha", 0.0)
        await world.runtime.remove("alpha", delete_data=True)
        assert not world.processes()
        assert not world.groups()
    assert point > 20


async def test_a_start_cut_off_is_shown_as_half_made_and_can_be_removed(world):
    await world.run("alpha", WAIT)
    await world.stop("alpha")
    folder = world.folder("alpha")
    for name in (shim_files.STATE, shim_files.EXIT):
        (folder / name).unlink()
    seen = (await world.again().observe())["alpha"]
    assert (seen.phase, seen.exit, seen.pid) == (Phase.CREATED, None, None)
    (folder / shim_files.INSTANCE).unlink()
    assert await world.see("alpha") is None
    await world.run("alpha", WAIT)
    await world.stop("alpha")
    await world.runtime.remove("alpha", delete_data=False)
    assert not folder.exists()


async def test_a_stop_goes_on_when_the_controller_that_asked_for_it_dies(world):
    await world.run("alpha", STUBBORN)
    controller = python(TELLS_TO_STOP, world.state)
    with controller:
        controller.stdout.readline()

        async def told():
            return (await world.see("alpha")).phase is not Phase.RUNNING

        while not await told():
            await asyncio.sleep(0.01)
        controller.kill()
    end = await world.ended("alpha")
    assert (end.signal, end.message) == (signal.SIGKILL, "by one who died")


async def test_a_plugin_outlives_the_controller_that_started_it(world):
    import pickle

    launch = world.launch("alpha", WAIT)
    controller = python(DOOMED, world.state, -1, world.tier)
    controller.communicate(pickle.dumps(launch))
    assert controller.returncode == 0
    seen = await world.see("alpha")
    assert seen.phase is Phase.RUNNING
    await world.stop("alpha")


async def test_the_door_hands_out_what_is_allowed_and_counts_what_is_not(world):
    ask = """
import os, socket
folder = os.environ['NTP_LAUNCH']
for port in {ports}:
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    bell.connect(folder + '/door.sock')
    bell.send(b'127.0.0.1 %d' % port)
    answer, handed, _, _ = socket.recv_fds(bell, 1024, 1)
    print(answer[:1].decode(), [socket.socket(fileno=fd).recv(9) for fd in handed])
"""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    with listening:
        egress = (HostPort("127.0.0.1", port),)
        await world.runtime.start(world.launch("alpha", ask.format(ports=[port, 9]), egress=egress))
        listening.setblocking(False)
        connection, _ = await asyncio.get_running_loop().sock_accept(listening)
        with connection:
            connection.sendall(b"welcome")
        await world.ended("alpha")
    said = await world.lines("alpha", stream=None)
    assert said[0] == "0 [b'welcome']"
    assert said[1] != said[0]
    assert (await world.see("alpha")).refused == {"127.0.0.1:9": 1}


async def test_a_door_that_dies_is_opened_again(world):
    asks = """
import os, signal, socket
def ask(*_):
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    bell.settimeout(20)
    bell.connect(os.environ['NTP_LAUNCH'] + '/door.sock')
    bell.send(b'127.0.0.1 9')
    print('answered' if bell.recv(1024) else 'closed')
signal.signal(signal.SIGUSR1, ask)
ask()
print('ready')
while True:
    signal.pause()
"""
    await world.run("alpha", asks, egress=(HostPort("127.0.0.1", 10),))
    children = Path(f"/proc/{world.shim('alpha')}/task/{world.shim('alpha')}/children")
    plugin = (await world.see("alpha")).pid
    (door,) = {int(pid) for pid in children.read_text().split()} - {plugin}
    os.kill(door, signal.SIGKILL)
    while door in map(int, children.read_text().split()):
        await asyncio.sleep(0.01)
    world.signal("alpha", signal.SIGUSR1)
    while (await world.lines("alpha")).count("answered") < 2:
        await asyncio.sleep(0.01)


async def test_what_is_not_ours_is_left_alone(limited):
    foreign = Path("/sys/fs/cgroup/pids/ntp/somebody.alpha")
    if not foreign.parent.parent.is_dir():
        pytest.skip("no control groups of version 1 here")
    await limited.run("alpha", WAIT)
    foreign.mkdir()
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        (foreign / "cgroup.procs").write_text(str(bystander.pid))
        await limited.stop("alpha")
        await limited.runtime.remove("alpha", delete_data=True)
        await limited.runtime.close(delete_data=True)
        assert bystander.poll() is None
        assert foreign.is_dir()
    finally:
        bystander.kill()
        bystander.wait()
        while foreign.is_dir():
            try:
                foreign.rmdir()
            except OSError:
                time.sleep(0.01)
        if not any(path.is_dir() for path in foreign.parent.iterdir()):
            foreign.parent.rmdir()


async def test_a_refused_start_says_why_and_leaves_nothing(world):
    absent = Path("/absent/python")
    launch = world.launch("alpha", WAIT)
    environment = type(launch.environment)(absent, (), "digest")
    with pytest.raises(ActionError, match="/absent/python") as refusal:
        await world.runtime.start(world.launch("alpha", WAIT, environment=environment))
    assert refusal.value.reason == "StartRefused"
    assert not world.processes()
    assert not world.groups()
    assert (await world.see("alpha")).phase is Phase.CREATED


async def test_a_system_instance_runs_unconfined_under_a_shim(world):
    code = "import os, signal; print(os.getuid()); print('ready', flush=True); signal.pause()"
    await world.run(
        "broker",
        "",
        kind="broker",
        environment=None,
        argv=(sys.executable, "-u", "-c", code),
        resources=type(world.launch("x", "").resources)(0, 0.0, 0, 0),
    )
    assert not world.groups("broker")
    assert str(os.getuid()) in await world.lines("broker")
    os.kill(world.shim("broker"), signal.SIGKILL)
    assert (await world.ended("broker")).reason == "SupervisorLost"
    assert not world.processes("broker")


async def test_a_state_folder_with_a_long_path_works(tmp_path):
    from tests.ports.conftest import ProcessWorld

    deep = tmp_path / ("d" * 120) / ("e" * 120)
    world = ProcessWorld(deep)
    await world.run("alpha", WAIT, egress=(HostPort("127.0.0.1", 9),))
    await world.stop("alpha")
    await world.clear()


async def test_what_every_plugin_costs_stays_small():
    """The watching shim keeps clear of modules that would cost megabytes in each of a thousand."""
    confine = Path(shim_files.__file__).parent
    program = f"""
import sys
package = type(sys)("ntp"); package.__path__ = [{str(confine.parent)!r}]; sys.modules["ntp"] = package
from ntp.confine import shim_watch
print(*sorted(set(sys.modules) & {{"json", "re", "enum", "typing", "dataclasses", "ctypes", "socket"}}))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


async def test_the_grace_is_not_waited_out_when_the_plugin_obeys(world):
    await world.run("alpha", WAIT)
    async with asyncio.timeout(20):
        await world.runtime.stop("alpha", grace=timedelta(hours=1), cause="quick")
