"""Limits on a whole plugin, whatever processes it makes: control groups, version 1 and 2."""
# ruff: noqa: PTH103, PTH110, PTH112, PTH120  # pathlib costs the shim 5 ms

import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass

from ntp.confine import hierarchy, limits
from ntp.confine.files import field, number, read, rmdir, until, write
from ntp.confine.hierarchy import Layout
from ntp.confine.policy import ConfineError, Policy

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes; seconds; counts. `memory` is without file cache that can be dropped at any time."""

    memory: int = 0
    memory_peak: int = 0
    memory_limit: int = 0
    """Read back from the kernel; 0: none."""
    cpu_s: float = 0.0
    throttled_s: float = 0.0
    pids: int = 0
    pids_refused: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """One plugin's control group; plain paths, so it can be opened again by another process."""

    name: str
    folders: tuple[tuple[str, str], ...]
    """(controller, folder); the controller "v2" stands for all that version 2 has here."""
    active: tuple[str, ...] = ()
    """Limits that were set and read back: memory, cpu, pids."""
    missing: tuple[str, ...] = ()
    """What could not be set, and why, in words."""

    def join(self, pid: int) -> None:
        """Put a process in; its future children follow. 0: the caller. ConfineError if refused."""
        for folder in dict.fromkeys(folder for _, folder in self.folders):
            try:
                write(f"{folder}/cgroup.procs", str(pid))
            except OSError as e:
                raise ConfineError(f"process {pid} cannot join {folder}: {e.strerror}") from e

    def kill(self, *, timeout_s: float = 5.0) -> bool:
        """SIGKILL everything in the group; True when it is empty, False at the deadline."""

        def strike() -> bool:
            if not self.pids():
                return True
            self._strike()
            return False

        return until(strike, timeout_s)

    def pids(self) -> tuple[int, ...]:
        """Everything alive in the group, in no order; empty when the group is gone."""
        found: set[int] = set()
        for folder in {folder for _, folder in self.folders}:
            found.update(int(pid) for pid in read(f"{folder}/cgroup.procs").split())
        return tuple(found - {0})

    def usage(self) -> Usage:
        """Read the kernel's counters; zeros for what is not counted here or already gone."""
        folders = dict(self.folders)

        def get(controller: str, v1: str | None, v2: str | None) -> str:
            return limits.get(folders, controller, v1, v2)

        cache = field(get("memory", "memory.stat", None), "total_inactive_file")
        cache = cache or field(get("memory", None, "memory.stat"), "inactive_file")
        memory = number(get("memory", "memory.usage_in_bytes", "memory.current"))
        peak = number(get("memory", "memory.max_usage_in_bytes", "memory.peak"))
        cpu_ns = number(get("cpuacct", "cpuacct.usage", None))
        cpu_us = field(get("cpuacct", None, "cpu.stat"), "usage_usec")
        throttled_ns = field(get("cpu", "cpu.stat", None), "throttled_time")
        throttled_us = field(get("cpu", None, "cpu.stat"), "throttled_usec")
        return Usage(
            memory=max(memory - cache, 0),
            memory_peak=max(peak, memory),
            memory_limit=limits.memory_of(folders),
            cpu_s=cpu_ns / 1e9 or cpu_us / 1e6,
            throttled_s=throttled_ns / 1e9 or throttled_us / 1e6,
            pids=number(get("pids", "pids.current", "pids.current")) or len(self.pids()),
            pids_refused=field(get("pids", "pids.events", "pids.events"), "max"),
        )

    def oom_kills(self) -> int:
        """How many processes of the group the kernel has killed for want of memory."""
        text = limits.get(dict(self.folders), "memory", "memory.oom_control", "memory.events")
        return field(text, "oom_kill")

    def update(self, policy: Policy) -> None:
        """Change memory, cpu and pids in place (the size of /tmp lasts as long as the sandbox).

        ConfineError: a limit below what is used (nothing was changed), or the kernel said no.
        """
        usage = self.usage()
        if usage.pids > policy.pids:
            raise ConfineError(
                f"{self.name} runs {usage.pids} processes and threads, more than the new limit of "
                f"{policy.pids}: give it more, or restart it"
            )
        if "memory" in self.active and policy.memory < usage.memory_limit:
            self._lower_memory(policy.memory, usage)
        elif "memory" in dict(self.folders):
            with suppress(OSError):  # raising: memory with swap first, it may not be the lower one
                write(
                    f"{dict(self.folders)['memory']}/memory.memsw.limit_in_bytes",
                    str(policy.memory),
                )
        active, _ = limits.impose(dict(self.folders), policy)
        if lost := set(self.active) - set(active):
            raise ConfineError(f"the kernel refused the new limit on {', '.join(sorted(lost))}")

    def remove(self, *, timeout_s: float = 5.0) -> bool:
        """Remove the folders once their last process was reaped; True when gone. Absent is gone.

        The parent goes with its last child.
        """
        left = [folder for _, folder in self.folders]

        def sweep() -> bool:
            left[:] = [folder for folder in left if not rmdir(folder)]
            return not left

        gone = until(sweep, timeout_s)
        for _, folder in self.folders:
            rmdir(os.path.dirname(folder))  # refused while it has other children
        return gone

    def _strike(self) -> None:
        folders = dict(self.folders)
        if "v2" in folders and os.path.exists(f"{folders['v2']}/cgroup.kill"):
            with suppress(FileNotFoundError):
                write(f"{folders['v2']}/cgroup.kill", "1")
            return
        freezer = folders.get("freezer")
        if freezer is not None:
            # Frozen, nothing can fork between reading the list and the last signal of it.
            with suppress(FileNotFoundError):
                write(f"{freezer}/freezer.state", "FROZEN")
            until(lambda: read(f"{freezer}/freezer.state").strip() in {"FROZEN", ""}, 1.0)
        try:
            for pid in self.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        finally:
            if freezer is not None:
                with suppress(FileNotFoundError):
                    write(f"{freezer}/freezer.state", "THAWED")

    def _lower_memory(self, limit: int, usage: Usage) -> None:
        folders = dict(self.folders)
        fits = usage.memory <= limit
        if fits and "memory" in folders:
            try:
                write(f"{folders['memory']}/memory.limit_in_bytes", str(limit))
            except OSError:  # EBUSY: the kernel could not make it fit
                fits = False
        elif fits:
            # Version 2 kills for a memory.max below use: squeeze with memory.high, then look.
            write(f"{folders['v2']}/memory.high", str(limit))
            try:
                fits = until(lambda: number(read(f"{folders['v2']}/memory.current")) <= limit, 2.0)
            finally:
                write(f"{folders['v2']}/memory.high", "max")
        if not fits:
            raise ConfineError(
                f"{self.name} uses {usage.memory / 2**20:.0f} MiB, the new limit is "
                f"{limit / 2**20:.0f} MiB: give it more, or restart it"
            )


def create(name: str, policy: Policy, *, layout: Layout | None = None) -> Group:
    """Make the group (or take an existing one of that name) and set every limit possible here.

    Never raises for want of rights: `active` says what holds, `missing` what does not, and why.
    """
    _check(name)
    layout = layout or hierarchy.find()
    folders: dict[str, str] = {}
    missing: list[str] = []
    for controller, parent in layout.parents().items():
        try:
            _make(parent, name, v2=controller == "v2")
        except OSError as e:
            missing += [
                f"{limit} limit: {parent} cannot be made: {e.strerror}"
                for limit in limits.LIMITS
                if controller == limit or (controller == "v2" and limit not in layout.v1)
            ]
        else:
            folders[controller] = f"{parent}/{name}"
    active, refused = limits.impose(folders, policy)
    if layout.v2 is None:
        missing += [
            f"{limit} limit: this kernel shows no {limit} control group"
            for limit in limits.LIMITS
            if limit not in layout.v1
        ]
    return Group(name, tuple(folders.items()), active, (*missing, *refused))


def attach(name: str, *, layout: Layout | None = None) -> Group | None:
    """The existing group of that name, made by this or another process; None if there is none."""
    _check(name)
    parents = (layout or hierarchy.find()).parents()
    folders = {
        controller: f"{parent}/{name}"
        for controller, parent in parents.items()
        if os.path.isdir(f"{parent}/{name}")
    }
    if not folders:
        return None
    return Group(name, tuple(folders.items()), tuple(limits.enforced(folders)))


def of_process(pid: int, name: str) -> Group | None:
    """The group that a process is in, made by somebody else (a container engine).

    None: the process is gone, or its group cannot be seen from here.
    """
    mounts = hierarchy.mounts()
    folders: dict[str, str] = {}
    for line in read(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") if controllers else ("v2",):
            folder = mounts.get(controller)
            if folder is not None and path != "/" and os.path.isdir(f"{folder}{path}"):
                folders[controller] = f"{folder}{path}"
    if not folders:
        return None
    return Group(name, tuple(folders.items()), tuple(limits.enforced(folders)))


def _make(parent: str, name: str, *, v2: bool) -> None:
    for attempt in range(10):
        try:
            os.makedirs(f"{parent}/{name}", exist_ok=True)
        except FileNotFoundError:  # the last neighbour took the parent with it just now
            if attempt == 9:
                raise
        else:
            break
    if v2:
        # Only now: with a child in it nobody takes the parent away and makes it anew, without limits.
        hierarchy.enable(os.path.dirname(parent))
        hierarchy.enable(parent)


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfineError(f"control group name was {name!r}: use letters, digits, '.', '_', '-'")
