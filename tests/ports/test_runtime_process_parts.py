"""The parts of the process runtime around a plugin: door, control group, shim, system instances."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ntp.confine import shim_files
from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.launch import Environment
from orchestrator.spec.model import HostPort, Resources

RUNTIMES = ("process",)
WAIT = "import signal; print('ready'); signal.pause()"


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
    await world.until(lambda: str(door) not in children.read_text().split())
    world.signal("alpha", signal.SIGUSR1)

    async def answered_again():
        return (await world.lines("alpha")).count("answered") == 2

    await world.until(answered_again)


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
    await world.runtime.remove("alpha", delete_data=True)
    assert await world.see("alpha") is None


async def test_a_system_instance_runs_unconfined_under_a_shim(world):
    code = "import os, signal; print(os.getuid()); print('ready', flush=True); signal.pause()"
    await world.run(
        "broker",
        "",
        kind="broker",
        environment=None,
        argv=(sys.executable, "-u", "-c", code),
        resources=Resources(0, 0.0, 0, 0),
    )
    assert not world.groups("broker")
    assert str(os.getuid()) in await world.lines("broker")
    os.kill(world.shim("broker"), signal.SIGKILL)
    assert (await world.ended("broker")).reason == "SupervisorLost"
    assert not world.processes("broker")


async def test_a_state_folder_with_a_long_path_works(world, tmp_path):
    deep = type(world)(tmp_path / ("d" * 120) / ("e" * 120), tier=world.tier)
    seen = await deep.run("alpha", WAIT, egress=(HostPort("127.0.0.1", 9),))
    assert seen.phase is Phase.RUNNING
    await deep.clear()
    assert deep.leftovers() == []


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


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's plugins have its own uid")
async def test_a_plugin_whose_own_user_would_meet_a_closed_folder_is_refused(tmp_path, world):
    closed = type(world)(tmp_path / "closed", tier=1)
    tmp_path.chmod(0o700)
    with pytest.raises(ActionError, match=r"cannot pass .* install bubblewrap") as refusal:
        await closed.runtime.start(closed.launch("alpha", WAIT))
    assert refusal.value.reason == "Unreachable"
    await closed.clear()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's plugins have its own uid")
async def test_our_own_state_folder_lets_a_plugin_walk_through(world):
    with tempfile.TemporaryDirectory(prefix="ntp-open-") as name:
        Path(name).chmod(0o711)
        open_to_all = type(world)(Path(name) / "state", tier=1)
        open_to_all.state.mkdir(mode=0o700)
        # The interpreter of the tests may lie in a closed home; the system's own does not.
        python = Environment(Path("/usr/bin/python3").resolve(), (), "digest")
        try:
            seen = await open_to_all.run("alpha", WAIT, environment=python)
            assert seen.phase is Phase.RUNNING
        finally:
            await open_to_all.clear()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
async def test_on_a_full_disk_a_plugin_is_stopped_and_its_end_is_recorded(tmp_path, world):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "small", disk], check=True)
    try:
        small = type(world)(disk / "state")
        await small.run("alpha", WAIT)
        await small.run("beta", WAIT)
        (disk / "fill").touch()
        with suppress(OSError):
            (disk / "fill").write_bytes(bytes(8 * 1024 * 1024))
        with pytest.raises(ActionError, match="No space left") as refusal:
            await small.runtime.start(small.launch("gamma", WAIT))
        assert refusal.value.reason == "SystemRefused"
        os.kill((await small.see("alpha")).pid, signal.SIGKILL)
        assert (await small.ended("alpha")).signal == signal.SIGKILL
        await small.stop("beta")
        assert (await small.ended("beta")).reason == "Stopped"
        (disk / "fill").unlink()
        again = await small.run("alpha", WAIT, attempt=2)
        assert again.phase is Phase.RUNNING
        await small.clear()
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_who_cannot_look_is_blind_and_says_so(world):
    world.state.mkdir(parents=True)
    (world.state / "run").touch()
    with pytest.raises(UnreachableError, match="cannot be read"):
        await world.runtime.observe()
    (world.state / "run").unlink()
