"""Programs under a shim without a sandbox: the broker; and, as root, a plugin whose sandbox was
switched off by name.

Same watch, same records, same repair as for any plugin; limits where some are asked for.
"""
# ruff: noqa: PTH123  # see files.py

import os
import resource
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from ntp.confine.cgroup import Group
from ntp.confine.policy import ConfineError, Policy

CORE_SCORE = "0"


def limits(order: Mapping[str, Any]) -> Policy:
    """The limits of a system instance in the words that `cgroup.create` understands."""
    given = order["limits"]
    return Policy(
        name=order["group"],
        memory=given["memory"],
        cpu=given["cpu"],
        pids=given["pids"],
        tmp=0,
    )


def spawn(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    stdout: int,
    stderr: int,
    group: Group | None,
    workdir: str,
) -> int:
    """Start a program in a session of its own; return its pid once exec was done.

    It dies with the caller. Signals, nice value, out-of-memory score and descriptors are reset: what
    the controller was started with is not its business. ConfineError says why it cannot be executed.
    """
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    shim = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            if group is not None:
                group.join(0)
            _reset(shim)
            os.chdir(workdir)
            null = os.open("/dev/null", os.O_RDONLY)
            for source, target in ((null, 0), (stdout, 1), (stderr, 2)):
                os.dup2(source, target)
            os.execve(argv[0], list(argv), dict(env))  # noqa: S606  # a list, no shell
        except (OSError, ConfineError) as e:
            os.write(write_end, str(e).encode())
        finally:
            os._exit(127)
    os.close(write_end)
    failure = os.read(read_end, 4096)
    os.close(read_end)
    if failure:
        os.waitpid(pid, 0)
        raise ConfineError(f"{argv[0]} cannot be started: {failure.decode(errors='replace')}")
    return pid


def isolation(group: Group | None, exception: str) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Return (tier, active, missing): no sandbox; limits perhaps. `exception`: what was given up."""
    active, missing = (group.active, group.missing) if group else ((), ())
    return 0, active, (exception, *missing) if exception else missing


def terminate(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def kill(pid: int, group: Group | None) -> None:
    """End the program and its session, and with a group whatever else it started."""
    if group is not None:
        group.kill()
    for ask in (os.killpg, os.kill):
        try:
            ask(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _reset(shim: int) -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if number < signal.SIGRTMIN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(CORE_SCORE)
    from ntp.confine import kernel

    if not kernel.live_with(shim):
        os._exit(127)  # the shim died before we could tie ourselves to it
