"""Set the limits of one control group and read them back: a file that took a number is no proof."""
# ruff: noqa: PTH110, PTH120  # pathlib costs the shim 5 ms

import os
from collections.abc import Mapping
from contextlib import suppress

from ntp.confine.files import number, read, write
from ntp.confine.policy import Policy

PERIOD_US = 100_000
"""The kernel's own default; a shorter one costs more context switches, a longer one longer stalls."""
LIMITS = ("memory", "cpu", "pids")
_UNLIMITED = 2**62  # version 1 says "none" by the largest number of whole pages


def get(folders: Mapping[str, str], controller: str, v1: str | None, v2: str | None) -> str:
    """Read a controller's file, whichever version has the controller; nothing where none has."""
    if controller in folders:
        return read(f"{folders[controller]}/{v1}") if v1 else ""
    return read(f"{folders['v2']}/{v2}") if v2 and "v2" in folders else ""


def memory_of(folders: Mapping[str, str]) -> int:
    """The limit of memory in bytes; 0: none."""
    limit = number(get(folders, "memory", "memory.limit_in_bytes", "memory.max"))
    return limit if 0 < limit < _UNLIMITED else 0


def enforced(folders: Mapping[str, str]) -> dict[str, float]:
    """What the kernel holds the group to now: memory in bytes, cpu in cores, pids; absent: no limit."""
    memory = memory_of(folders)
    quota = number(get(folders, "cpu", "cpu.cfs_quota_us", "cpu.max"))
    period = number(get(folders, "cpu", "cpu.cfs_period_us", None)) or PERIOD_US
    pids = number(get(folders, "pids", "pids.max", "pids.max"))
    found: dict[str, float] = {}
    if memory:
        found["memory"] = memory
    if quota > 0:
        found["cpu"] = quota / period
    if pids > 0:
        found["pids"] = pids
    return found


def impose(folders: Mapping[str, str], policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Set every limit that can be set here. Return (active, missing in words)."""
    quota = quota_us(policy)
    memory = str(policy.memory)
    # Version 1 and version 2 files of a controller; the other version's are not there.
    files = {
        "memory": [
            ("memory.limit_in_bytes", memory),
            ("memory.memsw.limit_in_bytes", memory),
            ("memory.swappiness", "0"),
            ("memory.max", memory),
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
        ],
        "cpu": [
            ("cpu.cfs_period_us", str(PERIOD_US)),
            ("cpu.cfs_quota_us", str(quota)),
            ("cpu.max", f"{quota} {PERIOD_US}"),
        ],
        "pids": [("pids.max", str(policy.pids))],
    }
    wanted = {
        "memory": policy.memory - policy.memory % os.sysconf("SC_PAGE_SIZE"),
        "cpu": quota / PERIOD_US,
        "pids": policy.pids,
    }
    active: list[str] = []
    missing: list[str] = []
    forbid_burst(folders)
    for limit in LIMITS:
        folder = folders.get(limit, folders.get("v2"))
        if folder is None:
            continue
        for file, text in files[limit]:
            with suppress(OSError):  # absent or refused; what counts is read back below
                write(f"{folder}/{file}", text)
        if enforced(folders).get(limit) == wanted[limit]:
            active.append(limit)
        else:
            missing.append(f"{limit} limit: {_why_not(limit, folder, v2=limit not in folders)}")
        if limit == "memory" and not _swap_bounded(folder):
            missing.append("swap limit: turn swap off, or boot with swapaccount=1")
    allow_burst(folders, policy)
    return tuple(active), tuple(missing)


def quota_us(policy: Policy) -> int:
    """Processor time that it may use in each period, in microseconds."""
    return max(int(policy.cpu * PERIOD_US), 1000)


def allow_burst(folders: Mapping[str, str], policy: Policy) -> None:
    """Let it use later what it left of a period, one period's worth at most: a quicker start.

    Only where the kernel has it (Linux 5.14) and we may write there; `burst_us` says what holds.
    """
    _write_burst(folders, quota_us(policy) if policy.cpu_burst else 0)


def forbid_burst(folders: Mapping[str, str]) -> None:
    """Before a quota is lowered: the kernel refuses one below its burst."""
    _write_burst(folders, 0)


def burst_us(folders: Mapping[str, str]) -> int:
    """Read back what may be saved up, in microseconds; 0: nothing, or the kernel does not know it."""
    return number(get(folders, "cpu", "cpu.cfs_burst_us", "cpu.max.burst"))


def _write_burst(folders: Mapping[str, str], microseconds: int) -> None:
    file = "cpu.cfs_burst_us" if "cpu" in folders else "cpu.max.burst"
    folder = folders.get("cpu", folders.get("v2"))
    if folder is not None and os.path.exists(f"{folder}/{file}"):
        with suppress(OSError):  # not ours to write: read back, as everything here
            write(f"{folder}/{file}", str(microseconds))


def _why_not(limit: str, folder: str, *, v2: bool) -> str:
    if not v2 or os.path.exists(f"{folder}/{limit}.max"):
        return f"the control group {folder} did not take it"
    place = os.path.dirname(os.path.dirname(folder))
    if limit in read(f"{place}/cgroup.controllers").split():
        return f"{place} did not pass its {limit} controller on: processes in it would not leave"
    if os.geteuid() == 0:
        return f"{folder} was given no {limit} controller by whoever made the groups above it"
    # Older systemds (Ubuntu 22.04) give their users memory and pids only.
    return (
        f"{folder} was given no {limit} controller: write `[Service]` and `Delegate=cpu memory pids` "
        "into /etc/systemd/system/user@.service.d/delegate.conf, then `systemctl daemon-reload` and "
        f"`systemctl restart user@{os.geteuid()}.service`, which ends what runs there"
    )


def _swap_bounded(folder: str) -> bool:
    bounded = read(f"{folder}/memory.memsw.limit_in_bytes") or read(f"{folder}/memory.swap.max")
    return bool(bounded) or len(read("/proc/swaps").splitlines()) < 2
