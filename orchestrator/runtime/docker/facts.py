"""What an engine says of itself, in words for `doctor`."""

from collections.abc import Mapping
from typing import Any

from orchestrator.decide.state import Isolation


def isolation(info: Mapping[str, Any]) -> Isolation:
    """Return what every container of ours has on this engine, and what this engine lacks."""
    options = [str(each) for each in info.get("SecurityOptions") or ()]
    rootless = any("rootless" in each for each in options)
    groups = f"version {info.get('CgroupVersion', '1')} ({info.get('CgroupDriver', '?')})"
    active = [
        f"Docker Engine {info.get('ServerVersion', '?')}, control groups {groups}",
        "no capabilities, no new privileges",
        "a read-only system; nothing can be executed in /tmp",
        "no network but what the door hands out",
    ]
    missing: list[str] = []
    if rootless:
        missing.append(
            "a rootless engine runs no plugins: its network is not the machine's, so nothing in it meets "
            "broker and door; what is listed here is what it would hold"
        )
    else:
        active[1] = f"a user id of its own, {active[1]}"

    def note(holds: object, good: str, bad: str) -> None:
        active.append(good) if holds else missing.append(bad)

    note(
        any("seccomp" in each for each in options),
        "system call filter",
        "system call filter: the engine was built or started without seccomp",
    )
    none = (
        "a rootless engine has them with control groups of version 2 that systemd delegates"
        if rootless
        else ""
    )
    note(
        info.get("MemoryLimit"),
        "memory limits",
        f"memory limits: {none or 'this kernel does not offer them'}",
    )
    note(
        info.get("SwapLimit"),
        "swap limits",
        f"swap limits: {none or 'boot with swapaccount=1, or turn swap off'}",
    )
    note(
        info.get("CpuCfsQuota"),
        "CPU limits",
        f"CPU limits: {none or 'this kernel has no CFS quota'}",
    )
    note(
        info.get("PidsLimit"),
        "limits on processes",
        f"limits on processes: {none or 'no pids control group'}",
    )
    note(
        info.get("LiveRestoreEnabled"),
        "plugins outlive a restart of the engine",
        'plugins end with a restart of the engine: set "live-restore": true in daemon.json',
    )
    return Isolation(3 if not rootless else 2, tuple(active), tuple(missing))
