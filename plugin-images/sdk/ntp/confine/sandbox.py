"""Start a program in its sandbox, in the best tier that the policy allows.

Every call here is for a single-threaded caller that forks: the shim.
"""

from collections.abc import Mapping, Sequence

from ntp.confine.cgroup import Group
from ntp.confine.policy import Bind, Policy


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

    It leads a session of its own. `argv[0]` is an absolute path; the tree of the interpreter that it
    names is shown to the plugin by itself. The environment is exactly `env`. Returns when the last
    step before the program itself was done (exec of the launcher); ConfineError names a failed step.
    """
    raise NotImplementedError


def terminate(pid: int, signum: int = 15) -> bool:
    """Send a signal to the *plugin's* process behind `pid` (what spawn returned).

    In tiers 3 and 2 that is not `pid` itself, which is bubblewrap. False: not (or no longer) there.
    """
    raise NotImplementedError


def kill(pid: int, group: Group | None, *, timeout_s: float = 5.0) -> bool:
    """End the plugin with everything that it started; True when nothing of it is left.

    The caller still reaps `pid`.
    """
    raise NotImplementedError


def outcome(status: int) -> tuple[int | None, int | None]:
    """(exit code, signal) of the plugin from the wait status of `pid`; exactly one is set.

    bubblewrap reports a signal as exit code 128 + n; it is turned back into the signal.
    """
    raise NotImplementedError


def seen(policy: Policy, tier: int, path: str) -> str:
    """Where the plugin finds a bind's target: itself in tiers 3 and 2, its source in 1 and 0."""
    raise NotImplementedError


def best_tier() -> int:
    """The highest tier whose parts are here, cheaply; `probe` is the one that really tries."""
    raise NotImplementedError


def interpreter(python: str) -> tuple[Bind, ...]:
    """What of the host a Python at this path needs, at its own paths."""
    raise NotImplementedError
