"""Who floods the engine with output: what no log driver holds back.

An engine drops what its buffer does not take, and spends a core on reading it. What a container prints
goes through its attendant (containerd's shim), whose counter of bytes read the kernel keeps.
"""

from dataclasses import dataclass

from ntp.confine.files import field, read
from ntp.confine.shim_output import READ_BYTES_S

WORD = "LogFlood"


@dataclass(frozen=True, slots=True)
class Flow:
    """What was read of a life's output until `at`; `since`: more than READ_BYTES_S a second ever since."""

    read: int
    at: float
    since: float | None = None


def attendant(pid: int) -> int | None:
    """The process that reads the output of a container, by its first process's `pid`."""
    parent = field(read(f"/proc/{pid}/status").replace(":", "").replace("\t", " "), "PPid")
    return parent if parent > 1 else None


def flow(pid: int, before: Flow | None, now: float) -> Flow | None:
    """Return how much was read by now; None: the kernel does not tell us (it tells root)."""
    reader = attendant(pid)
    text = read(f"/proc/{reader}/io").replace(":", "") if reader else ""
    if not text:
        return None
    total = field(text, "rchar")
    if before is None or total < before.read:
        return Flow(total, now)
    fast = total - before.read > READ_BYTES_S * (now - before.at)
    return Flow(total, now, (before.since or before.at) if fast else None)


def breach(found: Flow | None, long_s: float) -> tuple[str, str] | None:
    """Return reason and cause for which a life has to end: it was too fast for `long_s`."""
    if found is None or found.since is None or found.at - found.since < long_s:
        return None
    return WORD, (
        f"it printed more than {READ_BYTES_S // 2**20} MiB a second for "
        f"{found.at - found.since:.0f} s, which costs the engine a core: print less"
    )
