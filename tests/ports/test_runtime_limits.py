"""What every Runtime promises of limits: they hold, they are told, they change in place."""

from pathlib import Path

import pytest

from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError
from orchestrator.spec.model import Resources

MIB = 1024 * 1024
WAIT = "import signal; print('ready'); signal.pause()"
HUNGRY = """
print('ready')
held = []
while True:
    held.append(bytearray(4 << 20))
"""
FORKS = """
import os, signal
refused = 0
for _ in range(200):
    try:
        if os.fork() == 0:
            signal.pause()
    except OSError:
        refused += 1
print('refused', refused)
print('ready')
signal.pause()
"""
SPIN = """
print('ready')
while True:
    pass
"""
EATS_ON_REQUEST = """
import signal
held = []
signal.signal(signal.SIGUSR1, lambda *_: held.append(b'x' * (80 << 20)))
print('ready')
while True:
    signal.pause()
    print('held', len(held))
"""


def resources(**changes):
    return Resources(**{"memory": 64 * MIB, "cpu": 1.0, "pids": 32, "tmp": MIB, **changes})


async def test_the_memory_limit_is_read_back_from_the_kernel(limited):
    await limited.run("alpha", WAIT, resources=resources(memory=96 * MIB))
    assert (await limited.see("alpha")).usage.memory_limit == 96 * MIB


async def test_who_eats_too_much_is_killed_alone_and_told_why(limited):
    neighbour = await limited.run("beta", WAIT)
    await limited.run("alpha", HUNGRY)
    end = await limited.ended("alpha")
    assert (end.oom, end.reason, end.signal) == (True, "OOMKilled", 9)
    assert 48 * MIB <= end.memory_peak <= 64 * MIB
    assert (await limited.see("beta")).id == neighbour.id
    assert (await limited.see("beta")).phase is Phase.RUNNING


@pytest.mark.rare
async def test_an_ordinary_end_is_not_taken_for_want_of_memory(limited):
    await limited.run("alpha", HUNGRY)
    await limited.ended("alpha")
    await limited.run("alpha", "raise SystemExit(1)", attempt=2)
    end = await limited.ended("alpha")
    assert (end.oom, end.code) == (False, 1)


@pytest.mark.needs("limits_processes")
async def test_a_fork_bomb_meets_its_limit_and_that_is_shown(limited):
    neighbour = await limited.run("beta", WAIT)
    await limited.run("alpha", FORKS, resources=resources(pids=16))
    await limited.until_used("alpha", lambda usage: usage.pids_refused > 0)
    assert (await limited.see("alpha")).usage.pids <= 16
    assert (await limited.see("beta")).id == neighbour.id


@pytest.mark.needs("limits_processes")
async def test_who_dies_of_too_few_processes_is_told_so(limited):
    code = "import threading, signal\nfor _ in range(99):\n  threading.Thread(target=signal.pause, daemon=True).start()"
    await limited.run("alpha", code, resources=resources(pids=16))
    end = await limited.ended("alpha")
    assert end.code == 1
    assert "raise resources.pids" in end.message


@pytest.mark.needs("reads_kernel")
async def test_a_spinning_plugin_is_throttled_to_its_quota(limited):
    await limited.run("alpha", SPIN, resources=resources(cpu=0.1))
    await limited.until_used("alpha", lambda usage: usage.throttled_s > 0)


@pytest.mark.needs("reads_kernel")
async def test_unused_cpu_time_is_kept_for_one_period_and_goes_along_with_the_quota(limited):
    if not knows_bursts():
        pytest.skip("this kernel knows no burst: Linux 5.14 does")
    await limited.run("alpha", WAIT, resources=resources(cpu=0.25))
    told = await limited.until_isolated("alpha")
    assert "keeps up to 25 ms of unused CPU time" in told.active
    assert bursts(limited) == [25_000]
    await limited.runtime.update("alpha", resources(cpu=0.1))  # below the burst that it had
    told = await limited.see("alpha")
    assert {"0.1 CPU cores", "keeps up to 10 ms of unused CPU time"} <= set(told.isolation.active)
    assert bursts(limited) == [10_000]


def knows_bursts():
    top = Path("/sys/fs/cgroup")
    return any(top.glob("cpu*/*/cpu.cfs_burst_us")) or any(top.glob("*/cpu.max.burst"))


def bursts(world):
    """What the kernel itself says of alpha, in microseconds."""
    return [
        int(file.read_text())
        for group in world.groups("alpha")
        for name in ("cpu.cfs_burst_us", "cpu.max.burst")
        if (file := Path(group) / name).exists()
    ]


@pytest.mark.needs("reads_kernel")
async def test_cpu_time_is_told_with_the_moment_it_was_read(limited):
    await limited.run("alpha", SPIN)
    readings = {}

    async def three():
        usage = (await limited.see("alpha")).usage
        assert readings.setdefault(usage.at, usage) == usage, "one moment, one reading"
        return len(readings) == 3

    await limited.until(three)
    (_, first), *_, (_, last) = readings.items()
    took = (last.at - first.at).total_seconds()
    assert 0 < last.cpu_s - first.cpu_s < 1.2 * took, "of one core"


async def test_limits_change_in_place(limited):
    before = await limited.run("alpha", EATS_ON_REQUEST)
    assert "memory 64 MiB" in (await limited.until_isolated("alpha")).active
    await limited.runtime.update("alpha", resources(memory=256 * MIB, pids=48))
    told = await limited.see("alpha")
    assert told.usage.memory_limit == 256 * MIB, "at the very next look"
    assert "memory 256 MiB" in told.isolation.active
    if limited.can.limits_processes:
        assert "48 processes and threads" in told.isolation.active
    assert "memory 64 MiB" not in told.isolation.active
    limited.signal("alpha", 10)
    await limited.until_said("alpha", "held 1")
    after = await limited.see("alpha")
    assert (after.id, after.pid, after.phase) == (before.id, before.pid, Phase.RUNNING)


async def test_a_limit_below_what_is_used_is_refused_and_changes_nothing(limited):
    await limited.run("alpha", EATS_ON_REQUEST, resources=resources(memory=256 * MIB))
    limited.signal("alpha", 10)
    await limited.until_said("alpha", "held 1")
    with pytest.raises(ActionError, match="the new limit is 16 MiB") as refusal:
        await limited.runtime.update("alpha", resources(memory=16 * MIB))
    assert refusal.value.reason == "UpdateRefused"
    assert (await limited.see("alpha")).phase is Phase.RUNNING


async def test_updating_what_does_not_run_is_refused(world):
    with pytest.raises(ActionError, match="start it"):
        await world.runtime.update("nobody", resources())


async def test_temporary_space_is_bounded(limited):
    fill = """
import os
try:
    with open('/tmp/fill', 'wb') as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
except OSError as e:
    print(os.strerror(e.errno))
"""
    await limited.run("alpha", fill, resources=resources(tmp=2 * MIB))
    await limited.ended("alpha")
    assert (await limited.lines("alpha"))[0] in {"No space left on device", "File too large"}


@pytest.mark.needs("bounds_storage")
async def test_full_storage_ends_the_plugin_with_the_reason(world):
    fill = """
import json, os, signal
with open(os.environ['NTP_LAUNCH'] + '/launch.json') as file:
    storage = json.load(file)['storage']
for number in range(8):
    with open(f'{storage}/{number}', 'wb') as file:
        file.write(bytes(1 << 20))
print('ready')
signal.pause()
"""
    await world.run("alpha", fill, storage=4 * MIB)
    end = await world.ended("alpha")
    assert end.reason == "StorageFull"
    assert f"the quota is {4 * MIB} bytes" in end.message


async def test_what_is_active_around_a_plugin_is_told(world):
    await world.run("alpha", WAIT)
    seen = await world.until_isolated("alpha")
    assert 0 <= seen.tier <= 3
    assert seen.active or seen.missing
    here = await world.runtime.isolation()
    assert here.tier >= seen.tier
