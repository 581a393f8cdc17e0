"""How a sandbox ends: politely, by force, by its parent's death; and what it leaves: nothing."""

import os
import signal
import sys
import uuid
from pathlib import Path

import pytest

from ntp.confine import cgroup
from ntp.confine.files import until

# Not by way of a virtual environment, which may lie in /tmp: tier 1 has a /tmp of its own.
PYTHON = (os.path.realpath(sys.executable), "-I", "-S", "-c")
POLITE = """
import signal, sys, time
def leave(*_):
    print("bye", flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
while True:
    time.sleep(60)
"""
STUBBORN = """
import os, signal, time
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
for _ in range(8):
    if os.fork() == 0:
        break
else:
    print("ready", flush=True)
while True:
    time.sleep(60)
"""
ORPHANS = """
import os, signal, time
for _ in range(5):
    if os.fork() == 0:
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(60)
        os._exit(0)
for _ in range(5):
    os.wait()
raise SystemExit(3)
"""
REAPED = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        os.fork()
        os._exit(0)
for _ in range(20):
    os.wait()
states = "Z"
while "Z" in states:
    states = ""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                states += open(f"/proc/{name}/stat").read().rpartition(")")[2].split()[0]
            except OSError:
                pass
    time.sleep(0.01)
print("no zombies")
"""
tiers = pytest.mark.parametrize("tier", [3, 2, 1])


def marked(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found


@tiers
def test_sigterm_reaches_the_plugin_and_its_exit_code_comes_back(rig, tier_works, tier):
    tier_works(tier)
    seen = rig(tier, *PYTHON, POLITE, steps=("see:ready", "terminate"))
    assert seen["terminated"] is True
    assert seen["stdout"] == "ready\nbye\n"
    assert seen["outcome"] == [7, None]
    assert seen["gone"]


@tiers
def test_without_a_handler_sigterm_ends_the_plugin_at_once(rig, tier_works, tier):
    tier_works(tier)
    program = "import time; print('ready', flush=True); time.sleep(60)"
    seen = rig(tier, *PYTHON, program, steps=("see:ready", "terminate"))
    assert seen["outcome"] == [None, signal.SIGTERM]


@tiers
def test_sigterm_right_after_the_start_is_not_lost(rig, tier_works, tier):
    tier_works(tier)
    seen = rig(tier, *PYTHON, "import time; time.sleep(60)", steps=("terminate",))
    assert seen["terminated"] is True
    assert seen["outcome"] == [None, signal.SIGTERM]
    assert "late" not in seen


@tiers
def test_who_ignores_every_signal_is_killed_with_all_its_children(rig, tier_works, tier):
    tier_works(tier)
    seen = rig(tier, *PYTHON, STUBBORN, steps=("see:ready", "terminate", "kill"))
    assert seen["killed"] is True
    assert seen["left_after_kill"] == []
    assert seen["outcome"] == [None, signal.SIGKILL]
    assert seen["gone"]
    assert seen["group_removed"]


@tiers
def test_orphans_do_not_outlive_the_plugin(rig, tier_works, tier):
    tier_works(tier)
    seen = rig(tier, *PYTHON, ORPHANS)
    assert seen["outcome"] == [3, None]
    # In tier 1 nothing ends them by itself: the shim kills what is left, as the rig does here.
    assert seen["gone"] is (tier > 1)
    assert seen["rest_killed"]


@pytest.mark.parametrize("tier", [3, 2])
def test_orphans_are_reaped_while_the_plugin_lives(rig, tier_works, tier):
    tier_works(tier)
    seen = rig(tier, *PYTHON, REAPED)
    assert seen["stdout"] == "no zombies\n"


@tiers
def test_a_crash_comes_back_as_its_signal(rig, tier_works, tier):
    tier_works(tier)
    seen = rig(tier, *PYTHON, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert seen["outcome"] == [None, signal.SIGSEGV]


@tiers
def test_killing_the_launcher_kills_the_plugin(rig, tier_works, tier):
    tier_works(tier)
    seen = rig(tier, *PYTHON, STUBBORN, steps=("see:ready", "kill-launcher"))
    assert seen["outcome"] == [None, signal.SIGKILL]
    assert seen["gone"] is (tier > 1)
    assert seen["rest_killed"]


@tiers
def test_the_plugin_dies_with_its_supervisor(rig, tier_works, tier):
    tier_works(tier)
    mark, name = f"mark-{uuid.uuid4()}", f"test.{uuid.uuid4()}"
    program = "import time; print('ready', flush=True); time.sleep(60)"
    seen = rig(tier, *PYTHON, program, steps=("see:ready", "die"), mark=mark, name=name)
    assert seen["rig_ended"] == 256 - signal.SIGKILL
    assert until(lambda: not marked(mark), 30.0)
    if group := cgroup.attach(name):
        assert group.remove()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="tier 3 needs root")
def test_a_missing_program_is_refused_with_the_reason(rig, tier_works):
    tier_works(3)
    seen = rig(3, "/opt/no/such/python", "-c", "pass")
    assert "there is no program at /opt/no/such/python" in seen["refused"]
    assert seen["group_removed"]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="root would stay root")
def test_as_root_a_plugin_without_an_own_uid_is_refused(rig, tier_works):
    tier_works(3)
    seen = rig(3, "/bin/true", uid=None, gid=None)
    assert "as root each plugin needs its own" in seen["refused"]


def test_an_ordinary_user_is_told_that_tier_3_needs_root(rig, tier_works):
    tier_works(2)
    seen = rig(2, "/bin/true", tier=3)
    assert "needs root" in seen["refused"]


@pytest.mark.parametrize("tier", [3, 2])
def test_a_bind_that_is_not_there_is_named_and_nothing_is_left(rig, tier_works, tier):
    tier_works(tier)
    bind = {"source": "/no/such/storage", "target": "/more", "writable": True, "noexec": True}
    seen = rig(tier, "/bin/true", more_binds=[bind])
    assert "/no/such/storage" in seen["refused"]
    assert seen["group_removed"]
