"""What the process runtime survives: the death of anybody, at any moment; and what it leaves: nothing."""

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

from ntp.confine import shim_files, tree
from orchestrator.decide.state import Phase
from orchestrator.runtime.process.leftovers import left_behind
from orchestrator.runtime.removal import remove_tree
from orchestrator.spec.model import HostPort
from tests.worlds import limits

RUNTIMES = ("process",)
WAIT = "import signal; print('ready'); signal.pause()"
FORKED = "import os, signal; os.fork() and print('ready'); signal.pause()"
"""One of them says it: a line of each may come as one."""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready')
while True:
    signal.pause()
"""
# A controller that starts an instance and stays.
STARTS = """
import asyncio, os, pickle, signal, sys
from pathlib import Path
from orchestrator.runtime.process.runtime import ProcessRuntime

launch, state, tier = pickle.loads(sys.stdin.buffer.read())
runtime = ProcessRuntime("trial", state, tier=tier)
asyncio.run(runtime.start(launch))
print(os.getpid(), flush=True)
signal.pause()
"""
# Controllers by fork, each to be killed at the n-th thing that it does to the world; n by line.
DOOMED = """
import asyncio, os, pickle, signal, sys
from pathlib import Path
from orchestrator.runtime.process.runtime import ProcessRuntime

launch, state, tier = pickle.loads(bytes.fromhex(sys.stdin.readline()))
asyncio.run(ProcessRuntime("trial", state, tier=tier).isolation())  # probed once for all of them
for line in sys.stdin:
    pid = os.fork()
    if pid:
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        continue
    left = int(line)

    def count(event, arguments):
        global left
        left -= event.startswith(("os.", "open", "fcntl.", "shutil."))
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    runtime = ProcessRuntime("trial", state, tier=tier)
    sys.addaudithook(count)
    asyncio.run(runtime.start(launch))
    os._exit(0)
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


def started_by_another(world):
    """A controller of its own process that has started `alpha`."""
    controller = python(STARTS)
    told = (world.launch("alpha", WAIT), world.state, world.tier)
    controller.stdin.write(pickle.dumps(told))
    controller.stdin.close()
    assert int(controller.stdout.readline()) == controller.pid
    return controller


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


async def test_killing_the_shim_ends_its_door_too(world):
    broker = HostPort("127.0.0.1", 4222)
    await world.run("alpha", WAIT, egress=(broker,), private=(broker,))
    shim = world.shim("alpha")
    children = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
    assert len(children) >= 2, "the sandbox and the door"
    os.kill(shim, signal.SIGKILL)
    await world.ended("alpha")
    ends = asyncio.get_running_loop().time() + 30
    while left := [pid for pid in children if runs(pid)]:
        told = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
        assert asyncio.get_running_loop().time() < ends, told
        await asyncio.sleep(0.01)


def runs(pid):
    """Who is dead and waits to be reaped, by whoever inherited it, runs no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_restart_of_the_machine_is_told_as_such(world):
    await world.run("alpha", WAIT)
    await world.stop("alpha")
    folder = world.folder("alpha")
    state = json.loads((folder / shim_files.STATE).read_bytes())
    # What a power cut leaves: a life that began under another boot and has no end.
    (folder / shim_files.STATE).write_text(json.dumps({**state, "boot": "another", "pid": 1}))
    (folder / shim_files.EXIT).unlink()
    (folder / shim_files.STOPPING).unlink()
    end = (await world.again().observe())["alpha"].exit
    assert (end.reason, end.message) == ("SupervisorLost", "the machine was restarted")


async def test_who_runs_with_a_damaged_label_is_of_no_generation_and_can_be_replaced(world):
    await world.run("alpha", WAIT)
    (world.folder("alpha") / shim_files.INSTANCE).write_bytes(b"\0" * 300)
    seen = await world.see("alpha")
    assert (seen.phase, seen.generation) == (Phase.RUNNING, 0)
    await world.stop("alpha")
    assert not world.processes("alpha")
    assert await world.see("alpha") is None
    again = await world.run("alpha", WAIT)
    assert (again.phase, again.generation) == (Phase.RUNNING, 1)


async def test_who_lost_his_run_folder_is_seen_by_the_next_controller_and_can_be_ended(world):
    await world.run("alpha", FORKED)
    lost = world.processes("alpha")
    remove_tree(world.folder("alpha"))
    world.runtime = world.again()
    seen = await world.see("alpha")
    assert (seen.phase, seen.generation) == (Phase.RUNNING, 0)
    await world.stop("alpha")
    assert lost
    assert not any(map(tree.alive, lost))
    assert await world.see("alpha") is None
    again = await world.run("alpha", WAIT)
    assert (again.phase, again.generation) == (Phase.RUNNING, 1)


async def test_a_stop_cut_off_by_the_death_of_the_shim_is_a_stop(world):
    await world.run("alpha", STUBBORN)
    (world.folder("alpha") / shim_files.CONTROL).write_text("stop 600 enough\n")
    await world.until_phase("alpha", Phase.STOPPING)
    os.kill(world.shim("alpha"), signal.SIGKILL)
    end = await world.ended("alpha")
    assert (end.reason, end.message) == ("Stopped", "enough")


async def test_a_shim_killed_at_any_moment_of_a_life_leaves_nothing(world):
    broker = HostPort("127.0.0.1", 4222)
    for attempt in range(1, 25):
        launch = world.launch(
            "alpha", "print('ready')", attempt=attempt, egress=(broker,), private=(broker,)
        )
        await world.runtime.start(launch)
        await asyncio.sleep(attempt * 0.003)  # anywhere from its exec to the end of its plugin
        with_lock = (world.folder("alpha") / shim_files.LOCK).read_text()
        try:
            os.kill(int(with_lock), signal.SIGKILL)
        except ProcessLookupError:
            assert (await world.ended("alpha")).code == 0
        assert await world.ended("alpha")
        # A child may not yet have tied itself to the shim.
        await world.until(lambda: not world.processes("alpha"))
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
    launch = world.launch("alpha", WAIT)
    point, status = 0, None
    with python(DOOMED) as controllers:
        told = pickle.dumps((launch, world.state, world.tier)).hex()
        controllers.stdin.write(f"{told}\n".encode())
        while status != 0:
            point += 1
            controllers.stdin.write(f"{point}\n".encode())
            controllers.stdin.flush()
            status = int(controllers.stdout.readline())
            assert status in {0, -signal.SIGKILL}
            await world.runtime.start(launch)
            seen = await world.see("alpha")
            assert (seen.phase, seen.generation) == (Phase.RUNNING, 1)
            # One, once its exec is through.
            await world.until(lambda: world.shims("alpha") == {world.shim("alpha")})
            await world.stop("alpha", 0.0)
            await world.runtime.remove("alpha", delete_data=True)
            assert not world.processes("alpha")
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
        await world.until_phase("alpha", Phase.STOPPING, Phase.EXITED)
        controller.kill()
    end = await world.ended("alpha")
    assert (end.signal, end.message) == (signal.SIGKILL, "by one who died")


async def test_a_plugin_outlives_the_controller_that_started_it(world):
    with started_by_another(world) as controller:
        controller.kill()
    seen = await world.see("alpha")
    assert seen.phase is Phase.RUNNING
    await world.stop("alpha")


async def test_the_grace_is_not_waited_out_when_the_plugin_obeys(world):
    await world.run("alpha", WAIT)
    async with asyncio.timeout(20):
        await world.runtime.stop("alpha", grace=timedelta(hours=1), cause="quick")


async def test_what_is_left_of_a_project_is_found_though_it_names_it_nowhere(world):
    await world.run("alpha", WAIT)
    plugin = tree.plugin(json.loads((world.folder("alpha") / shim_files.STATE).read_bytes())["pid"])
    found = left_behind("trial", world.state)
    assert [line for line in found if line.startswith(f"process {plugin}: ")]
    assert world.state.name not in Path(f"/proc/{plugin}/cmdline").read_text()
    groups = [line for line in found if line.startswith("control group ")]
    assert bool(groups) == limits.hold()
    await world.clear()
    await world.until(lambda: left_behind("trial", world.state) == [f"folder {world.state}"])


def servers(of=None):
    """Servers of shims that are children of a process, ours if not told."""
    parent = os.getpid() if of is None else of
    children = Path(f"/proc/{parent}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    return [pid for pid in pids if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_a_server_of_shims_that_was_killed_is_replaced(world):
    before = set(servers())
    await world.run("alpha", WAIT)
    (server,) = set(servers()) - before
    os.kill(server, signal.SIGKILL)
    # Dying takes a moment, and whoever asks it meanwhile is told so.
    await asyncio.to_thread(os.waitid, os.P_PID, server, os.WEXITED | os.WNOWAIT)
    seen = await world.run("beta", WAIT)
    assert seen.phase is Phase.RUNNING
    assert (await world.see("alpha")).phase is Phase.RUNNING
    await world.runtime.close(delete_data=False)
    assert set(servers()) == before
    assert (await world.see("alpha")).phase is Phase.RUNNING


async def test_a_server_of_shims_ends_with_its_controller(world):
    with started_by_another(world) as controller:
        (server,) = servers(controller.pid)
        controller.kill()
    await world.until(lambda: not Path(f"/proc/{server}").exists())
    assert (await world.see("alpha")).phase is Phase.RUNNING


async def test_code_and_site_folders_are_seen_by_the_plugin(world, tmp_path):
    (tmp_path / "site").mkdir(mode=0o755)
    (tmp_path / "site" / "installed.py").write_text("NAME = 'installed'")
    (tmp_path / "code").mkdir(mode=0o755)
    (tmp_path / "code" / "main.py").write_text("import installed; print(installed.NAME)")
    launch = world.launch("alpha", "", code=tmp_path / "code", argv=("/plugin/main.py",))
    site = (tmp_path / "site",)
    python = Path(launch.environment.python)
    environment = type(launch.environment)(python, site, "digest")
    await world.run("alpha", "", code=launch.code, argv=launch.argv, environment=environment)
    await world.ended("alpha")
    assert await world.lines("alpha", stream=None) == ["installed"]


async def test_a_plugin_may_run_without_a_sandbox_and_that_is_told(world, tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text(
        "import json, os, signal\n"
        "print(json.load(open(os.environ['NTP_LAUNCH'] + '/launch.json')))\n"
        "open(os.environ['TMPDIR'] + '/mine', 'w').close()\n"
        "print(os.getuid())\nprint('ready')\nsignal.pause()"
    )
    await world.run("alpha", "", code=code, argv=("/plugin/main.py",), sandbox=False)
    seen = await world.until_isolated("alpha")
    assert seen.tier == 0
    assert seen.missing
    assert await world.lines("alpha") == [
        str({"code": str(code), "storage": "/storage"}),
        str(os.getuid()),
        "ready",
    ]
    await world.stop("alpha")
