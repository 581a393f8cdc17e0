"""Limits on a whole plugin, whatever processes it makes: control groups, version 1 and 2."""

from dataclasses import dataclass

from ntp.confine.policy import Policy

PARENT = "ntp"
"""Every group lies below a folder of this name, which goes with its last child."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes; seconds; counts. `memory_limit` is read back from the kernel."""

    memory: int = 0
    memory_peak: int = 0
    memory_limit: int = 0
    cpu_s: float = 0.0
    throttled_s: float = 0.0
    pids: int = 0
    pids_refused: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """One plugin's control group; plain paths, so it can be opened again by another process."""

    name: str
    folders: tuple[tuple[str, str], ...]
    """(controller, folder), e.g. ("memory", "/sys/fs/cgroup/memory/ntp/demo.alpha")."""
    active: tuple[str, ...] = ()
    """Limits that were set and read back: memory, cpu, pids."""
    missing: tuple[str, ...] = ()
    """What could not be set, and why, in words."""

    def join(self, pid: int) -> None:
        """Put a process in; its future children follow. 0: the caller."""
        raise NotImplementedError

    def kill(self, *, timeout_s: float = 5.0) -> bool:
        """SIGKILL everything in the group; True when it is empty, False at the deadline."""
        raise NotImplementedError

    def usage(self) -> Usage:
        raise NotImplementedError

    def pids(self) -> tuple[int, ...]:
        raise NotImplementedError

    def oom_kills(self) -> int:
        raise NotImplementedError

    def update(self, policy: Policy) -> None:
        """Change the limits in place. ConfineError: a limit below what is used; nothing changed."""
        raise NotImplementedError

    def remove(self, *, timeout_s: float = 5.0) -> bool:
        """Remove the folders once their last process was reaped; True when gone. Absent is gone."""
        raise NotImplementedError


def create(name: str, policy: Policy) -> Group:
    """Make the group (or take an existing one of that name) and set every limit possible here.

    Never raises for want of rights: `active` says what holds, `missing` what does not.
    """
    raise NotImplementedError


def attach(name: str) -> Group | None:
    """The existing group of that name, made by this or another process; None if there is none."""
    raise NotImplementedError
