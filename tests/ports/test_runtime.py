"""What every Runtime promises of starting, stopping and showing instances."""

import asyncio
import signal
from contextlib import aclosing
from datetime import timedelta

import pytest

from orchestrator.decide.state import Hashes, Phase
from orchestrator.errors import ActionError, ConflictError
from orchestrator.spec.model import HostPort

WAIT = "import signal; print('ready'); signal.pause()"
OBEDIENT = """
import signal, sys
def drain(number, frame):
    print('drained')
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
print('ready')
while True:
    signal.pause()
"""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready')
while True:
    signal.pause()
"""
ORPHANS = """
import os, signal
if os.fork() == 0:
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('ready')
        while True:
            signal.pause()
    os._exit(0)
while True:
    signal.pause()
"""


async def test_an_instance_is_shown_with_what_it_was_started_with(world):
    hashes = Hashes("i", "r", "w", "c", "p")
    seen = await world.run("alpha", WAIT, generation=7, attempt=3, hashes=hashes)
    assert (seen.name, seen.generation, seen.attempt, seen.hashes) == ("alpha", 7, 3, hashes)
    assert (seen.phase, seen.exit) == (Phase.RUNNING, None)
    assert seen.created <= seen.started


async def test_starting_the_same_life_again_leaves_it_alone(world):
    before = await world.run("alpha", WAIT)
    await world.runtime.start(world.launch("alpha", WAIT))
    after = await world.see("alpha")
    assert (after.id, after.pid) == (before.id, before.pid)


async def test_a_new_controller_finds_and_adopts_what_runs(world):
    before = await world.run("alpha", WAIT)
    successor = world.again()
    found = await successor.observe()
    assert (found["alpha"].id, found["alpha"].phase) == (before.id, Phase.RUNNING)
    await successor.start(world.launch("alpha", WAIT))
    assert (await successor.observe())["alpha"].pid == before.pid
    await successor.stop("alpha", grace=timedelta(seconds=5), cause="adopted")
    assert (await world.ended("alpha")).message == "adopted"


@pytest.mark.parametrize("change", [{"generation": 2}, {"attempt": 2}])
async def test_a_running_other_life_of_that_name_is_a_conflict(world, change):
    before = await world.run("alpha", WAIT)
    with pytest.raises(ConflictError, match="runs as generation 1, attempt 1"):
        await world.runtime.start(world.launch("alpha", WAIT, **change))
    assert (await world.see("alpha")).id == before.id


async def test_of_racing_starts_one_makes_it_and_all_see_the_same_life(world):
    runtimes = [world.again() for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        for runtime in runtimes:
            group.create_task(runtime.start(world.launch("alpha", WAIT)))
    lives = {(await runtime.observe())["alpha"].id for runtime in runtimes}
    assert len(lives) == 1


async def test_a_controller_whose_lease_was_taken_over_starts_nothing(world):
    await world.run("alpha", "print('ready')", epoch=5)
    await world.ended("alpha")
    with pytest.raises(ConflictError, match="newer controller"):
        await world.runtime.start(world.launch("alpha", WAIT, epoch=4, attempt=2))


async def test_an_ended_instance_is_replaced_and_its_end_forgotten(world):
    first = await world.run("alpha", "print('ready'); raise SystemExit(3)")
    assert (await world.ended("alpha")).code == 3
    second = await world.run("alpha", WAIT, attempt=2)
    assert (second.phase, second.exit, second.attempt) == (Phase.RUNNING, None, 2)
    assert second.id != first.id


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("pass", (0, None)),
        ("raise SystemExit(3)", (3, None)),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", (None, signal.SIGSEGV)),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", (None, signal.SIGKILL)),
    ],
)
async def test_the_exit_code_or_signal_is_told(world, code, expected):
    seen = await world.run("alpha", code)
    end = await world.ended("alpha")
    assert (end.code, end.signal) == expected
    assert (end.reason, end.oom) == ("", False)
    assert end.at >= seen.started


async def test_stop_lets_the_plugin_drain(world):
    await world.run("alpha", OBEDIENT)
    await world.stop("alpha")
    end = await world.ended("alpha")
    assert (end.code, end.reason, end.message) == (0, "Stopped", "the test is over")
    if world.can.keeps_output:
        assert "drained" in await world.lines("alpha")


async def test_who_ignores_the_request_is_killed_when_the_grace_is_over(world):
    await world.run("alpha", STUBBORN)
    await world.stop("alpha", 0.2)
    end = await world.ended("alpha")
    assert (end.signal, end.reason) == (signal.SIGKILL, "Stopped")


@pytest.mark.rare
@pytest.mark.needs("hurries")
async def test_a_second_more_impatient_stop_is_heard(world):
    await world.run("alpha", STUBBORN)
    async with asyncio.TaskGroup() as group:
        group.create_task(world.stop("alpha", 600.0))
        await world.until_phase("alpha", Phase.STOPPING)
        await world.stop("alpha", 0.0)


async def test_stop_ends_everything_that_the_plugin_started(world):
    await world.run("alpha", ORPHANS)
    assert len(world.processes("alpha")) >= 2
    await world.stop("alpha", 0.2)
    assert not world.processes("alpha")


async def test_an_end_of_the_plugin_ends_everything_that_it_started(world):
    await world.run(
        "alpha", ORPHANS.replace("while True:\n    signal.pause()\n", "raise SystemExit(4)")
    )
    assert (await world.ended("alpha")).code == 4
    assert not world.processes("alpha") - world.attendants("alpha")


async def test_stopping_the_absent_and_the_stopped_is_success(world):
    await world.stop("nobody")
    await world.run("alpha", WAIT)
    await world.stop("alpha")
    first = await world.ended("alpha")
    await world.stop("alpha")
    assert await world.ended("alpha") == first


async def test_a_removed_instance_is_forgotten_and_removing_again_is_success(world):
    await world.run("alpha", WAIT)
    with pytest.raises(ActionError, match="stop it first"):
        await world.runtime.remove("alpha", delete_data=False)
    await world.stop("alpha")
    await world.runtime.remove("alpha", delete_data=False)
    assert await world.see("alpha") is None
    await world.runtime.remove("alpha", delete_data=False)


async def test_storage_outlives_the_instance_until_its_data_are_deleted(world):
    keep = """
import json, os
with open(os.environ['NTP_LAUNCH'] + '/launch.json') as file:
    storage = json.load(file)['storage']
print([name for name in os.listdir(storage) if name == 'ledger'])
open(f'{storage}/ledger', 'w').close()
"""
    for delete, expected in ((False, "[]"), (True, "['ledger']"), (True, "[]")):
        await world.run("alpha", keep + WAIT, storage=1024 * 1024)
        assert await world.lines("alpha") == [expected, "ready"]
        await world.stop("alpha")
        await world.runtime.remove("alpha", delete_data=delete)


@pytest.mark.rare
async def test_storage_that_a_plugin_closed_is_deleted_all_the_same(world):
    close = """
import contextlib, json, os
with open(os.environ['NTP_LAUNCH'] + '/launch.json') as file:
    storage = json.load(file)['storage']
os.makedirs(f'{storage}/outer/inner')
open(f'{storage}/outer/inner/file', 'w').close()
for folder in ('outer/inner', 'outer', '.'):
    with contextlib.suppress(PermissionError):  # of a volume the top is the cluster's
        os.chmod(f'{storage}/{folder}', 0)
"""
    for attempt in (1, 2):  # nor does it stand in the way of the next life
        await world.run("alpha", close + WAIT, storage=1024 * 1024, attempt=attempt)
        assert "ready" in await world.lines("alpha")
        await world.stop("alpha")
        await world.runtime.remove("alpha", delete_data=True)
        assert [what for what in world.leftovers() if "alpha" in what] == []


async def test_files_of_the_launch_are_there_read_only_and_nowhere_else(world):
    show = """
import os
folder = os.environ['NTP_LAUNCH']
print(open(f'{folder}/bus.creds', 'rb').read())
print(oct(os.stat(f'{folder}/bus.creds').st_mode & 0o777))
try:
    open(f'{folder}/launch.json', 'w')
except OSError as e:
    print(type(e).__name__)
print([name for name in os.environ if 'canary' in os.environ[name]])
"""
    await world.run("alpha", show)
    await world.ended("alpha")
    content, mode, refusal, in_environment = await world.lines("alpha")
    assert (content, in_environment) == (repr(b"canary-\xff"), "[]")
    assert mode in {"0o400", "0o440"}, "of the plugin's user, or of a group that only it has"
    assert refusal in {"PermissionError", "OSError"}


async def test_a_secret_is_nowhere_after_the_end(world):
    await world.run("alpha", WAIT)
    await world.stop("alpha")
    kept = world.written()
    assert kept
    assert not [each for each in kept if b"canary" in each or b"Y2FuYXJ5" in each]


async def test_the_end_of_an_instance_is_an_event(world):
    await world.run("alpha", WAIT)
    async with asyncio.timeout(20), aclosing(world.runtime.events()) as events:
        await anext(events)  # it listens now
        world.signal("alpha", signal.SIGKILL)
        while not ((seen := await world.see("alpha")).exit or seen.last_exit):
            await anext(events)
        assert (seen.exit or seen.last_exit).signal == signal.SIGKILL


@pytest.mark.rare
async def test_the_end_is_an_event_also_when_somebody_has_looked_before_it(world):
    await world.run("alpha", WAIT)
    async with asyncio.timeout(20), aclosing(world.runtime.events()) as events:
        await anext(events)
        world.signal("alpha", signal.SIGKILL)
        await world.ended("alpha")  # by looking again and again
        await anext(events)


@pytest.mark.rare
async def test_a_start_and_the_end_of_what_was_started_are_events(world):
    async with asyncio.timeout(20), aclosing(world.runtime.events()) as events:
        await anext(events)
        await world.runtime.start(world.launch("alpha", "pass"))
        while (await world.see("alpha")).phase is not Phase.EXITED:
            await anext(events)


async def test_many_instances_start_run_and_stop_at_once(world):
    names = [f"plugin-{number}" for number in range(world.many)]
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(world.run(name, WAIT))
    found = await world.runtime.observe()
    assert sorted(found) == sorted(names)
    assert {instance.phase for instance in found.values()} == {Phase.RUNNING}
    assert len({instance.id for instance in found.values()}) == world.many
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(world.stop(name))
    ends = [instance.exit for instance in (await world.runtime.observe()).values()]
    assert [end.reason for end in ends] == ["Stopped"] * world.many


async def test_a_program_that_is_not_there_is_a_told_failure(world):
    await world.runtime.start(world.launch("alpha", "", argv=("/plugin/absent.py",)))
    end = await world.ended("alpha")
    assert end.code == 2
    assert "absent.py" in end.last_output[-1]


async def test_a_network_of_its_own_that_cannot_be_fenced_is_refused_and_nothing_runs(world):
    """Neither processes nor an engine without rules of its own can give one."""
    if not world.is_without_networks():
        pytest.skip("the engine of this machine can")
    launch = world.launch("alpha", WAIT, own=(HostPort("9.9.1.2", 443),), inet=True)
    with pytest.raises(ActionError, match="mode: own") as refusal:
        await world.runtime.start(launch)
    assert (refusal.value.reason, refusal.value.permanent) == ("NetworkRefused", True)
    assert await world.see("alpha") is None


async def test_close_leaves_nothing_of_the_project(world):
    await world.run("alpha", WAIT, storage=1024 * 1024)
    await world.clear()
    assert world.leftovers() == []
