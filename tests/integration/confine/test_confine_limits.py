"""The limits bite, bite only the plugin, are counted, and can be changed while it runs."""

import os
import signal
import sys

import pytest

MIB = 2**20
# Not by way of a virtual environment, which may lie in /tmp: tier 1 has a /tmp of its own.
PYTHON = (os.path.realpath(sys.executable), "-I", "-S", "-c")
HEAP = "b = []\nwhile True: b.append(bytearray(2**20))"
SHARED = """
import mmap
areas = []
while True:
    areas.append(mmap.mmap(-1, 2**20))
    areas[-1].write(b"x" * 2**20)
"""
TMPFS = "import os\nwith open('/tmp/x', 'wb') as f:\n while True: f.write(b'x' * 2**20)"
SOCKETS = """
import socket
pairs = []
while True:
    pairs.append(socket.socketpair())
    for end in pairs[-1]:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        try:
            while True:
                end.send(b"x" * 65536)
        except BlockingIOError:
            pass
"""
CHILDREN = """
import os, time
b = []
while True:
    if os.fork() == 0:
        b.append(bytearray(16 * 2**20))
        time.sleep(60)
    time.sleep(0.01)
"""
SPIN = """
import os
os.fork()
while True:
    pass
"""
HOLD = "b = bytearray(80 * 2**20); print('ready', flush=True); import time; time.sleep(60)"


@pytest.mark.parametrize(
    "program",
    [HEAP, SHARED, TMPFS, SOCKETS, CHILDREN],
    ids=["heap", "shared", "tmpfs", "socket-buffers", "many-children"],
)
def test_a_memory_bomb_is_killed_and_only_it(rig, limited, program):
    limit = 48 * MIB
    seen = rig(limited, *PYTHON, program, memory=limit, tmp=512 * MIB, fsize=None, pids=40)
    assert seen["oom_kills"] > 0
    assert seen["usage"]["memory_limit"] == limit
    assert seen["usage"]["memory_peak"] <= limit
    assert seen["bystander_alive"]
    assert seen["group_removed"]
    if program is HEAP:
        assert seen["outcome"] == [None, signal.SIGKILL]


@pytest.mark.parametrize("tier", [2, 1])
def test_without_a_control_group_a_process_still_has_its_limit(rig, tier_works, tier):
    tier_works(tier)
    seen = rig(tier, *PYTHON, HEAP, memory=64 * MIB)
    if "memory" in seen["limits"]:
        pytest.skip("this user has control groups")
    assert seen["outcome"] == [1, None]
    assert "MemoryError" in seen["stderr"]


def test_a_cpu_hog_is_held_back_and_it_is_counted(rig, limited):
    seen = rig(limited, *PYTHON, SPIN, cpu=0.2, steps=("throttled", "kill"))
    assert seen["steps_left"] == []
    assert seen["usage"]["throttled_s"] > 0
    assert seen["usage"]["cpu_s"] > 0
    assert seen["gone"]


def test_memory_is_changed_in_place_and_never_below_what_is_used(rig, limited):
    steps = ("see:ready", f"limit:memory={40 * MIB}", f"limit:memory={120 * MIB}")
    steps += (f"limit:memory={200 * MIB}", f"limit:memory={1024 * MIB}", "kill")
    seen = rig(limited, *PYTHON, HOLD, memory=160 * MIB, steps=steps)
    below, *others = seen["updates"]
    assert "the new limit is 40 MiB: give it more, or restart it" in below
    assert others == ["", "", ""]
    assert seen["memory_limits"] == [160 * MIB, 120 * MIB, 200 * MIB, 1024 * MIB]
    assert seen["oom_kills"] == 0


def test_a_limit_on_processes_below_what_runs_is_refused(rig, limited):
    steps = ("see:ready", "limit:pids=1", "limit:pids=30", "kill")
    seen = rig(limited, *PYTHON, HOLD, steps=steps)
    below, above = seen["updates"]
    assert "more than the new limit of 1" in below
    assert above == ""


def test_cpu_is_changed_in_place(rig, limited):
    steps = ("limit:cpu=0.1", "throttled", "kill")
    seen = rig(limited, *PYTHON, SPIN, cpu=8.0, steps=steps)
    assert seen["updates"] == [""]
    assert seen["steps_left"] == []


def test_a_file_may_not_grow_beyond_its_limit(rig, limited):
    program = "f = open('/storage/big', 'wb', buffering=0)\nwhile True: f.write(b'x' * 2**16)"
    seen = rig(limited, *PYTHON, program, fsize=MIB)
    assert seen["outcome"] == [1, None]
    assert "File too large" in seen["stderr"]
