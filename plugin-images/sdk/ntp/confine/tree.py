"""The processes behind a sandbox, read from /proc: which one is the plugin, and what it started."""
# ruff: noqa: PTH110, PTH208  # see files.py

import contextlib
import os
import signal
import sys

from ntp.confine.files import field, read, until

_APPEARS_S = 5.0
"""How long bubblewrap may take to get from its own start to that of the plugin."""
_ENGINE_INITS = ("docker-init", "tini", "catatonit")


def children(pid: int) -> list[int]:
    """Direct children, in no order; empty for a process that is gone."""
    path = f"/proc/{pid}/task/{pid}/children"
    if os.path.exists(path):
        return [int(word) for word in read(path).split()]
    return [int(name) for name in _all() if _stat(int(name))[1] == pid]


def plugin(pid: int) -> int | None:
    """The process that runs the plugin's program, seen from `pid`, the outermost one.

    bubblewrap's first child is pid 1 of the namespace, and pid 1's first child, which is number 2
    in there, is the plugin. An engine's init is pid 1 itself, its first child the plugin.
    None: it is not there yet (after a short wait), or no longer.
    """
    outermost = _comm(pid)
    if outermost in _ENGINE_INITS:
        until(lambda: bool(children(pid)) or not alive(pid), _APPEARS_S)
        return min(children(pid), default=None)
    if outermost != "bwrap":
        return pid if alive(pid) else None
    found: list[int] = []

    def look() -> bool:
        found[:] = [
            child
            for init in children(pid)
            for child in children(init)
            if _inner(init) == 1 and _inner(child) == 2 and _comm(child) != "bwrap"
        ]
        return bool(found) or not alive(pid)

    until(look, _APPEARS_S)
    return found[0] if found else None


def kill(pid: int, *, timeout_s: float) -> bool:
    """SIGKILL `pid`, all below it and all of its session; True when nothing of it is alive.

    The session is complete where the filter refuses setsid; without a filter a process that leaves
    it *and* its parent is missed, which is why there are control groups and pid namespaces.
    """
    if not os.path.exists("/proc/self/stat"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        return True

    def strike() -> bool:
        left = [member for member in members(pid) if alive(member)]
        for member in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        return not left

    return until(strike, timeout_s)


def alive(pid: int) -> bool:
    """Whether it runs; a zombie that waits for its parent does not."""
    if sys.platform != "linux":
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return _stat(pid)[0] not in {"", "Z", "X"}


def members(*roots: int) -> set[int]:
    """Return these processes, all that descends from them, and all of the sessions that they lead."""
    found = set(roots)
    stats = {int(name): _stat(int(name)) for name in _all()}
    while True:
        more = {
            other
            for other, (_, parent, session) in stats.items()
            if (parent in found or session in roots) and other not in found
        }
        if not more:
            return found
        found |= more


def tasks_of(uid: int) -> int:
    """How many processes and threads of a real user id there are."""
    count = 0
    for name in _all():
        status = read(f"/proc/{name}/status")
        if field(status.replace("\t", " "), "Uid:") == uid and "Uid:" in status:
            count += field(status.replace("\t", " "), "Threads:")
    return count


def namespace_pids(pid: int) -> list[int]:
    """The number of a process in each pid namespace, outermost first."""
    for line in read(f"/proc/{pid}/status").splitlines():
        if line.startswith("NSpid:"):
            return [int(word) for word in line.split()[1:]]
    return []


def _inner(pid: int) -> int | None:
    numbers = namespace_pids(pid)
    return numbers[-1] if len(numbers) > 1 else None


def _comm(pid: int) -> str:
    return read(f"/proc/{pid}/comm").strip()


def _stat(pid: int) -> tuple[str, int, int]:
    """(state, parent, session); the name in brackets may hold anything, even brackets."""
    words = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (words[0], int(words[1]), int(words[3])) if len(words) > 3 else ("", 0, 0)


def _all() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]
