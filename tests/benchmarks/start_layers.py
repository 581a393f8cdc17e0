"""Starts a tiny Python under one layer of isolation more at a time; `isolation` asks and prints.

    python -I -S start_layers.py SDK FILTER [ordinary]

For each line on standard input, one round: a JSON object of layer -> seconds from the call to the
program's own first instruction. A process of its own: it forks, as the shim does, and `ordinary` gives
up root for good. Standard library only.
"""
# ruff: noqa: S606

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

SDK, FILTER, ORDINARY = sys.argv[1], sys.argv[2], sys.argv[3:] == ["ordinary"]
# `ntp` itself would load the whole SDK, which -S hides.
package = type(sys)("ntp")
package.__path__ = [f"{SDK}/ntp"]
sys.modules["ntp"] = package

from ntp.confine import bubblewrap, cgroup, kernel, sandbox  # noqa: E402
from ntp.confine.policy import MIB, Policy  # noqa: E402

PROGRAM = "import os, time; os.write(1, b'%d' % time.monotonic_ns())"
ARGV = (os.path.realpath(sys.executable), "-I", "-S", "-c", PROGRAM)
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
QUIET_S = 0.05
UID = 1_800_000_000 + os.getpid()
"""Of this run alone: the kernel counts processes by user."""


def main() -> None:
    if os.geteuid() == 0:
        open_the_way()
        if ORDINARY:
            become_ordinary()
    layers = as_user() if os.geteuid() else as_root()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps({name: timed(start) for name, start in layers.items()}) + "\n")
        sys.stdout.flush()


def as_root() -> dict[str, Callable[[int], tuple[int, cgroup.Group | None]]]:
    return {
        "bare": bare,
        "session, rlimits, own uid": lambda out: confined(out, tier=0),
        "+ control group": lambda out: confined(out, tier=0, grouped=True),
        "+ system call filter": lambda out: confined(out, tier=0, grouped=True, filtered=True),
        "+ Landlock (tier 1)": lambda out: confined(out, tier=1, grouped=True, filtered=True),
        "namespaces, mounts, control group; root in them": wrapped,
        "+ own uid, rlimits": lambda out: confined(out, tier=3, grouped=True),
        "+ system call filter (tier 3)": lambda out: confined(
            out, tier=3, grouped=True, filtered=True
        ),
    }


def as_user() -> dict[str, Callable[[int], tuple[int, cgroup.Group | None]]]:
    return {
        "bare": bare,
        "as an ordinary user: namespaces, mounts, rlimits": lambda out: confined(out, tier=2),
        "+ system call filter (tier 2)": lambda out: confined(out, tier=2, filtered=True),
    }


def timed(start: Callable[[int], tuple[int, cgroup.Group | None]]) -> float:
    # The kernel's first change of control groups after a quiet time waits for a grace period, the next
    # ones at its heels do not: each start is to be one after a quiet time.
    time.sleep(QUIET_S)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    began = time.monotonic_ns()
    pid, group = start(writer)
    os.close(writer)
    try:
        said = os.read(reader, 64)
    finally:
        os.close(reader)
        os.waitpid(pid, 0)
        if group is not None:
            group.remove()
    return (int(said) - began) / 1e9


def bare(out: int) -> tuple[int, None]:
    # As an ordinary spawn of a program: no session, no limits, nothing closed but by O_CLOEXEC.
    return os.posix_spawn(
        ARGV[0], ARGV, ENVIRONMENT, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)]
    ), None


def confined(
    out: int, *, tier: int, grouped: bool = False, filtered: bool = False
) -> tuple[int, cgroup.Group | None]:
    policy = policy_of(tier, filtered=filtered)
    group = cgroup.create(policy.name, policy) if grouped else None
    return sandbox.spawn(policy, ARGV, ENVIRONMENT, stdout=out, stderr=2, group=group), group


def wrapped(out: int) -> tuple[int, cgroup.Group]:
    """As tier 3, but for what the launcher does last: it stays root in its namespaces."""
    policy = policy_of(3, filtered=False)
    group = cgroup.create(policy.name, policy)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            group.join(0)
            binds, links = bubblewrap.view(ARGV, policy)
            staged = bubblewrap.stage(policy, binds, userns=False)
            files = bubblewrap.etc_files(policy)
            args = bubblewrap.arguments(policy, binds, links, staged, files=files, seccomp=None)
            text = bubblewrap.memory_file("args", "\0".join([*args, ""]).encode())
            os.dup2(out, 1)
            bwrap = bubblewrap.tool("bwrap")
            os.execve(bwrap, [bwrap, "--args", str(text), "--", *ARGV], ENVIRONMENT)
        finally:
            os._exit(127)
    return pid, group


def policy_of(tier: int, *, filtered: bool) -> Policy:
    own = UID if os.geteuid() == 0 else None
    return Policy(
        name=f"bench.{os.getpid()}",
        memory=256 * MIB,
        cpu=2.0,
        pids=64,
        tmp=4 * MIB,
        uid=own,
        gid=own,
        tier=tier,
        seccomp=FILTER if filtered else None,
        scratch="/tmp",
    )


def open_the_way() -> None:
    """Let other users reach an interpreter that lies below root's closed home; only we see that."""
    prefix = Path(ARGV[0]).parents[1]
    if not str(prefix).startswith("/root/"):
        return
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    held = os.open(prefix, os.O_PATH)
    kernel.mount("bench", "/root", "tmpfs", 0, "mode=0755")
    prefix.mkdir(parents=True)
    kernel.mount(f"/proc/self/fd/{held}", str(prefix), None, kernel.MS_BIND)
    os.close(held)


def become_ordinary() -> None:
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, as after an exec: /proc/self is ours


if __name__ == "__main__":
    main()
