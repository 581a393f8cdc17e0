"""Control groups by themselves: made, limited, emptied and removed, on whichever version is here."""

import dataclasses
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ntp.confine import cgroup, hierarchy, limits
from ntp.confine.files import read, rmdir, until
from ntp.confine.hierarchy import Layout
from ntp.confine.policy import MIB, ConfineError, Policy

pytestmark = pytest.mark.usefixtures("limited")
FORKER = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"


@pytest.fixture
def policy(request):
    return Policy(name="x", memory=64 * MIB, cpu=0.5, pids=20, tmp=MIB)


@pytest.fixture
def name():
    """A group name of this test alone; nothing of it may be left behind."""
    unique = f"test.{os.getpid()}.{os.urandom(4).hex()}"
    yield unique
    group = cgroup.attach(unique)
    if group is not None:
        group.kill()
        group.remove()
        pytest.fail(f"left behind: {group.folders}")


def start(group, program):
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", f"input()\n{program}"], stdin=subprocess.PIPE
    )
    group.join(process.pid)
    process.stdin.write(b"\n")
    process.stdin.close()
    return process


def test_every_limit_is_set_and_read_back(name, policy):
    group = cgroup.create(name, policy)
    assert set(group.active) == {"memory", "cpu", "pids"}
    assert group.missing == ()
    assert limits.enforced(dict(group.folders)) == {"memory": 64 * MIB, "cpu": 0.5, "pids": 20}
    assert group.remove()


def test_a_group_is_found_again_by_its_name(name, policy):
    assert cgroup.attach(name) is None
    made = cgroup.create(name, policy)
    assert cgroup.attach(name) == made
    assert cgroup.create(name, policy) == made
    assert made.remove()


def test_a_new_policy_on_an_old_group_changes_its_limits(name, policy):
    cgroup.create(name, policy)
    group = cgroup.create(name, dataclasses.replace(policy, cpu=0.1, pids=5))
    assert limits.enforced(dict(group.folders)) == {"memory": 64 * MIB, "cpu": 0.1, "pids": 5}
    assert group.remove()


def test_a_fork_bomb_is_killed_to_the_last_process(name, policy):
    group = cgroup.create(name, policy)
    process = start(group, FORKER)
    assert until(lambda: group.usage().pids_refused > 0, 30.0)
    assert group.usage().pids <= 20
    assert group.kill()
    assert group.pids() == ()
    assert process.wait() == -signal.SIGKILL
    assert group.remove()


def test_where_there_is_only_the_freezer_nothing_escapes_either(name, policy):
    mounts = hierarchy.find().v1
    if "freezer" not in mounts:
        pytest.skip("this machine has version 2 only, which kills by itself")
    layout = Layout({key: mounts[key] for key in ("pids", "freezer")}, None)
    group = cgroup.create(name, policy, layout=layout)
    process = start(group, FORKER)
    assert until(lambda: group.usage().pids_refused > 0, 30.0)
    assert group.kill()
    assert process.wait() == -signal.SIGKILL
    assert group.remove()


def test_a_group_with_a_process_is_not_removed(name, policy):
    group = cgroup.create(name, policy)
    process = start(group, "import signal; signal.pause()")
    assert not group.remove(timeout_s=0.05)
    assert group.kill()
    process.wait()
    assert group.remove()


def test_removing_twice_and_killing_what_is_gone_is_success(name, policy):
    group = cgroup.create(name, policy)
    assert group.remove()
    assert group.remove()
    assert group.kill()
    assert group.usage() == cgroup.Usage()
    assert group.oom_kills() == 0


def test_a_dead_process_cannot_join(name, policy):
    group = cgroup.create(name, policy)
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    with pytest.raises(ConfineError, match="cannot join"):
        group.join(process.pid)
    assert group.remove()


@pytest.mark.parametrize("bad", ["", "..", "a/b", "-x", ".hidden", "x" * 300, "a\n"])
def test_a_name_that_is_no_folder_is_refused(bad, policy):
    with pytest.raises(ConfineError, match="control group name"):
        cgroup.create(bad, policy)
    with pytest.raises(ConfineError, match="control group name"):
        cgroup.attach(bad)


def test_neighbours_come_and_go_while_the_parent_comes_and_goes(policy):
    """The last one out removes the parent; the next one in must not stumble over that."""

    def live(number):
        for turn in range(20):
            group = cgroup.create(f"test.{os.getpid()}.{number}.{turn}", policy)
            assert set(group.active) == {"memory", "cpu", "pids"}, group.missing
            assert group.remove()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(live, range(4)))


def test_who_may_not_make_groups_is_told_why_and_gets_none(name, policy):
    layout = Layout({"memory": "/proc/sys", "cpu": "/proc/sys"}, None)
    group = cgroup.create(name, policy, layout=layout)
    assert group.active == ()
    assert group.folders == ()
    assert any(text.startswith("memory limit: /proc/sys/ntp") for text in group.missing)
    assert any(text.startswith("pids limit: this kernel shows no") for text in group.missing)


def test_only_version_2_can_still_kill(name, policy):
    """A hybrid machine's second tree has no controllers, but cgroup.kill and CPU time."""
    v2 = hierarchy.find().v2
    if v2 is None:
        pytest.skip("this machine has no version 2 tree")
    group = cgroup.create(name, policy, layout=Layout({}, v2))
    process = start(group, "while True: pass")
    assert until(lambda: group.usage().cpu_s > 0, 30.0)
    assert group.usage().pids == 1
    assert group.kill()
    assert process.wait() == -signal.SIGKILL
    assert group.remove()


STORM = """
import os
while True:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("turn", range(5))
def test_who_forks_all_the_while_in_a_delegated_group_is_moved_aside_with_its_children(turn):
    """As a shell in a service with Delegate=yes: version 2 has limits on leaves alone."""
    place = hierarchy.delegated(hierarchy.mounts().get("v2", ""), hierarchy.own_group())
    if not set(hierarchy.V2_CONTROLLERS) <= set(read(f"{place}/cgroup.controllers").split()):
        pytest.skip("this machine's limits are of version 1")
    hierarchy.enable(place)
    folder = f"{place}/test.{os.getpid()}.{turn}"
    rest = f"{folder}/{hierarchy.REST}"
    Path(rest).mkdir(parents=True)
    inner, aside = cgroup.Group("inner", (("v2", folder),)), cgroup.Group("rest", (("v2", rest),))
    storm = []
    try:
        storm += [start(inner, STORM) for _ in range(4)]
        assert until(lambda: len(inner.pids()) > len(storm), 30.0)
        hierarchy.enable(folder)
        allowed = read(f"{folder}/cgroup.subtree_control").split()
        assert set(hierarchy.V2_CONTROLLERS) <= set(allowed)
        assert inner.pids() == ()
    finally:
        assert aside.kill()
        assert inner.kill()
        for process in storm:
            process.wait()
        assert until(lambda: rmdir(rest) and rmdir(folder), 30.0)
