"""Start a program in its sandbox, in the tier that the policy names or the best that works here.

Every call here is for a single-threaded caller that forks: the shim. Nothing in a plugin's tree
outlives `spawn`'s pid in tiers 3 and 2 (its pid namespace ends with it); the control group sees to
the rest. What only a start needs is imported late: whoever ends a plugin has to be quick.
"""
# ruff: noqa: PTH123, PTH208  # see files.py

import contextlib
import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from ntp.confine import tree
from ntp.confine.cgroup import Group
from ntp.confine.files import write
from ntp.confine.policy import ConfineError, Policy
from ntp.confine.view import interpreter, seen

__all__ = ["best_tier", "interpreter", "kill", "outcome", "seen", "spawn", "terminate"]

_START_S = 20.0
_LINUX = sys.platform == "linux"


def best_tier() -> int:
    """The highest tier whose parts are here, cheaply; `probe` is the one that really tries."""
    if not _LINUX:
        return 0
    from ntp.confine import bubblewrap

    with contextlib.suppress(ConfineError):
        bubblewrap.tool("bwrap")
        if os.geteuid() == 0:
            bubblewrap.tool("setpriv")
            return 3
        return 2
    from ntp.confine import kernel

    return 1 if kernel.landlock_abi() else 0


def spawn(
    policy: Policy,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    stdout: int,
    stderr: int,
    group: Group | None,
    pass_fds: Sequence[int] = (),
) -> int:
    """Fork and confine; return the pid of the outermost child, which the caller waits for.

    It leads a session of its own and dies with the caller. `argv[0]` is an absolute path; the tree
    of the interpreter that it names is shown to the plugin by itself. The environment is exactly
    `env`. Returns when the launcher was executed; ConfineError names a failed step. What the launcher
    itself cannot do it says on `stderr` ("bwrap: …", "setpriv: …") and ends with code 1 or 127.
    """
    tier = best_tier() if policy.tier is None else policy.tier
    if tier == 0 and policy.tier is None:
        raise ConfineError(
            "no sandbox works here: install bubblewrap, or allow this plugin to run without one"
        )
    if tier == 3 and os.geteuid() != 0:
        raise ConfineError("tier 3 needs root: start the controller as root, or ask for tier 2")
    if tier == 2 and os.geteuid() == 0:
        raise ConfineError("tier 2 is for an ordinary user: root would stay root in it; use tier 3")
    # Before the fork: the child may be past reading files when it needs them.
    import resource  # noqa: F401

    from ntp.confine import bare, bubblewrap, landlock  # noqa: F401

    reader, writer = os.pipe2(os.O_CLOEXEC) if _LINUX else os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        launch = _Launch(tier, policy, argv, env, group, parent)
        _child(launch, output=(stdout, stderr), pass_fds=pass_fds, writer=writer)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], _START_S)
        failure = os.read(reader, 4096).decode(errors="replace") if ready else "took too long"
    finally:
        os.close(reader)
    if failure:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise ConfineError(f"sandbox of {policy.name}: {failure}")
    return pid


def terminate(pid: int, signum: int = signal.SIGTERM) -> bool:
    """Send a signal to the *plugin's* process behind `pid` (what spawn returned).

    In tiers 3 and 2 that is not `pid` itself, which is bubblewrap; waits shortly while bubblewrap
    is still setting up. False: not (or no longer) there.
    """
    target = tree.plugin(pid)
    if target is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(target, signum)
        return True
    return False


def kill(pid: int, group: Group | None, *, timeout_s: float = 5.0) -> bool:
    """End the plugin with everything that it started; True when nothing of it is left.

    The caller still reaps `pid`.
    """
    if group is not None and group.folders:
        gone = group.kill(timeout_s=timeout_s)
        return tree.kill(pid, timeout_s=timeout_s) and gone
    return tree.kill(pid, timeout_s=timeout_s)


def outcome(status: int) -> tuple[int | None, int | None]:
    """(exit code, signal) of the plugin from the wait status of `pid`; exactly one is set.

    bubblewrap reports a signal as exit code 128 + n, as shells do; it is turned back.
    """
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return None, -code
    if 128 < code < 128 + signal.NSIG:
        return None, code - 128
    return code, None


@dataclass(frozen=True, slots=True)
class _Launch:
    tier: int
    policy: Policy
    argv: Sequence[str]
    env: Mapping[str, str]
    group: Group | None
    parent: int

    def counts(self, limit: str) -> bool:
        """Whether the control group sees to a limit."""
        return self.group is not None and limit in self.group.active


def _child(
    launch: _Launch, *, output: tuple[int, int], pass_fds: Sequence[int], writer: int
) -> NoReturn:
    """Everything between fork and exec; a failure goes through the pipe, in words."""
    step = "setup"
    try:
        os.setsid()
        for signum in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(signum, signal.SIG_DFL)  # ignored by Python, and that outlives an exec
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.umask(0o077)
        _descriptors(output, keep=pass_fds)
        step = "control group"
        if launch.group is not None:
            launch.group.join(0)
        step = "limits"
        _rlimits(launch)
        step = "confinement"
        command = _confine(launch)
        step = f"start of {command[0]}"
        os.execve(command[0], command, dict(launch.env))  # noqa: S606  # no shell is the point
    except BaseException as e:  # noqa: BLE001  # nothing may escape into the copy of the caller
        words = str(e) if isinstance(e, ConfineError) else f"{step}: {e}"
        with contextlib.suppress(OSError):
            os.write(writer, words.encode()[:4096] or b"?")
    finally:
        os._exit(127)


def _descriptors(output: tuple[int, int], keep: Sequence[int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    # First out of the way: stdout may itself be descriptor 2, or stderr 1.
    out, err = (os.dup(fd) for fd in output)
    # What others left open for their children is not meant for the plugin.
    folder = "/proc/self/fd" if _LINUX else "/dev/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            os.set_inheritable(int(name), int(name) in keep)
    for fd, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(fd, target, inheritable=True)


def _rlimits(launch: _Launch) -> None:
    import resource  # late: not on every system that may import us

    policy = launch.policy
    with contextlib.suppress(OSError):
        write("/proc/self/oom_score_adj", str(policy.oom_score_adj))
    limits = {resource.RLIMIT_NOFILE: policy.nofile, resource.RLIMIT_CORE: 0}
    if policy.fsize is not None:
        limits[resource.RLIMIT_FSIZE] = policy.fsize
    if _LINUX:
        limits[resource.RLIMIT_MEMLOCK] = 64 * 1024
        limits[resource.RLIMIT_MSGQUEUE] = 0
        if not launch.counts("memory"):
            # Each process by itself, and not what it shares; `missing` says so.
            limits[resource.RLIMIT_DATA] = policy.memory
        if not launch.counts("pids") and launch.tier != 2:
            own = policy.uid if policy.uid is not None else os.getuid()
            limits[resource.RLIMIT_NPROC] = tree.tasks_of(own) + policy.pids
    for limit, value in limits.items():
        _, hard = resource.getrlimit(limit)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)  # noqa: PLW2901
        resource.setrlimit(limit, (value, value))


def _confine(launch: _Launch) -> list[str]:
    """Take the rights away; return the command to execute."""
    policy, argv = launch.policy, launch.argv
    program = None
    if policy.seccomp is not None:
        with open(policy.seccomp, "rb") as file:
            program = file.read()
    if launch.tier >= 2:
        return _wrap(launch, program)
    from ntp.confine import bare

    landlocked = launch.tier == 1
    bare.enter(policy, argv, landlocked=landlocked, program=program, parent=launch.parent)
    return list(argv)


def _wrap(launch: _Launch, program: bytes | None) -> list[str]:
    from ntp.confine import bare, bubblewrap, kernel

    policy, root = launch.policy, launch.tier == 3
    binds, links = bubblewrap.view(launch.argv, policy)
    between = bubblewrap.drop(policy) if root else []
    if not root and not launch.counts("pids"):
        between = bubblewrap.bound(policy)
    bwrap = bubblewrap.tool("bwrap")
    with contextlib.suppress(OSError):
        kernel.new_session_keyring()
    staged: dict[str, str] = {}
    if root or bubblewrap.can_stage():
        staged = bubblewrap.stage(policy, binds, userns=not root)
    seccomp = None if program is None else bubblewrap.memory_file("seccomp", program)
    files = bubblewrap.etc_files(policy)
    args = bubblewrap.arguments(policy, binds, links, staged, files=files, seccomp=seccomp)
    # By descriptor: the command line of pid 1 can be read inside, and names folders of the host.
    text = bubblewrap.memory_file("args", "\0".join([*args, ""]).encode())
    bare.follow(launch.parent)
    return [bwrap, "--args", str(text), "--", *between, *launch.argv]
