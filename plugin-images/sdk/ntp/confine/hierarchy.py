"""Where control groups can be made on this machine: version 1, version 2, or both at once."""
# ruff: noqa: PTH103, PTH110  # pathlib costs the shim 5 ms

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ntp.confine.files import read, write

PARENT = "ntp"
"""Every group lies below a folder of this name, which goes with its last child."""
REST = "ntp.rest"
"""Where the processes of a delegated group wait: version 2 allows limits only on leaves."""
HOLDER_DEPTH = 6
"""How far below the mount a folder may be that somebody was given: user.slice/…/user@1000.service and deeper."""
PASSES = 50
"""Who forks while we move it leaves a child behind, which the next pass moves; two or three are enough."""
V1_CONTROLLERS = ("memory", "cpu", "pids", "cpuacct", "freezer")
V2_CONTROLLERS = ("memory", "cpu", "pids")


@dataclass(frozen=True, slots=True)
class Layout:
    """Folders in which a parent may be made. `v1` by controller; `v2` serves what v1 does not."""

    v1: Mapping[str, str] = field(default_factory=dict)
    v2: str | None = None

    def parents(self) -> Mapping[str, str]:
        """Controller (or "v2") -> folder that is the parent of our groups."""
        found = {name: f"{folder}/{PARENT}" for name, folder in self.v1.items()}
        if self.v2 is not None:
            found["v2"] = f"{self.v2}/{PARENT}"
        return found


def find() -> Layout:
    """Read the mounts. What is listed is there; whether it may be written shows when tried."""
    found = mounts()
    v2 = found.pop("v2", None)
    return Layout(found, None if v2 is None else delegated(v2, own_group()))


def everywhere() -> tuple[Layout, ...]:
    """Where groups of ours may lie already, whoever of this machine made them: to look, not to make.

    In version 2 that depends on who makes them: systemd gives a login session another place than a
    service of the same user.
    """
    found = mounts()
    v2 = found.pop("v2", None)
    if v2 is None:
        return (Layout(found),)
    held = [folder for folder in holders(v2) if folder != v2]
    return (Layout(found, v2), *(Layout({}, folder) for folder in held))


def holders(folder: str, depth: int = HOLDER_DEPTH) -> Iterator[str]:
    """Folders of a version 2 tree in which somebody has made a parent of our groups."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:  # it went meanwhile
        return
    if PARENT in names:
        yield folder
    for name in names if depth else ():
        if name != PARENT:
            yield from holders(f"{folder}/{name}", depth - 1)


def mounts() -> dict[str, str]:
    """Where each version 1 controller that matters is mounted, and version 2 (as `v2`)."""
    found: dict[str, str] = {}
    for line in read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        folder = before.split()[4].replace("\\040", " ")
        kind, _, options = after.split(maxsplit=2)
        if kind == "cgroup":
            for name in V1_CONTROLLERS:
                if name in options.split(","):
                    found.setdefault(name, folder)
        elif kind == "cgroup2":
            found.setdefault("v2", folder)
    return found


def own_group() -> str:
    """Path of the caller's version 2 group below its mount, beginning with '/'."""
    for line in read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            return line.removeprefix("0::")
    return "/"


def delegated(mount: str, own: str) -> str:
    """The highest folder on the way to our own group that we may write.

    It is the mount itself for root, the folder of the user's systemd for an ordinary user (any
    lower one would do; a move needs the right to write at the common ancestor). The mount if none.
    """
    folder = mount
    for part in ["", *own.strip("/").split("/")]:
        folder = f"{folder}/{part}".rstrip("/")
        if os.access(folder, os.W_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK):
            return folder
    return mount


def enable(folder: str) -> None:
    """Let the children of a version 2 folder have limits, as far as the kernel agrees."""
    offered = read(f"{folder}/cgroup.controllers").split()
    wanted = [controller for controller in V2_CONTROLLERS if controller in offered]
    root = not os.path.exists(f"{folder}/cgroup.type")
    for _ in range(PASSES):
        if set(wanted) <= set(read(f"{folder}/cgroup.subtree_control").split()):
            return
        if not root:
            _step_aside(folder)
        for controller in wanted:
            with suppress(OSError):
                write(f"{folder}/cgroup.subtree_control", f"+{controller}")


def _step_aside(folder: str) -> None:
    """No process may stand in an inner group: each manager of a delegated one moves them all."""
    inside = read(f"{folder}/cgroup.procs").split()
    if inside:
        rest = f"{folder}/{REST}"
        os.makedirs(rest, exist_ok=True)
        for pid in inside:
            with suppress(ProcessLookupError):
                write(f"{rest}/cgroup.procs", pid)
