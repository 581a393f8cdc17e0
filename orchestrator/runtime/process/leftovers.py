"""What still exists of a project that was taken down: nothing, if all went well."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from ntp.confine import hierarchy, tree
from orchestrator.runtime.uids import owner_of

COMMAND_CHARS = 120


def left_behind(project: str, state: Path) -> list[str]:
    """Return processes, mounts and control groups of a project, and its state folder, in words.

    A plugin's own command line names nothing of the project: its control group, what is mounted from
    the state folder into its view, or its parent tells whose it is.
    """
    mark = str(state)
    groups = list(_groups(f"{owner_of(project, state)}."))
    grouped = {pid for group in groups for pid in _members(group)}
    marked = {pid for pid in _pids() if mark in _command(pid) or mark in _own_mounts(pid)}
    processes = tree.members(*marked, *grouped) - {os.getpid()} if marked or grouped else set()
    found = [
        f"process {pid}: {_command(pid).strip()[:COMMAND_CHARS]}"
        for pid in sorted(processes)
        if tree.alive(pid)
    ]
    found += [f"control group {group}" for group in groups]
    found += [f"mount {line.split()[1]}" for line in _lines("/proc/self/mounts") if mark in line]
    if state.exists():
        found.append(f"folder {state}")
    return found


def _groups(prefix: str) -> Iterator[str]:
    parents = (layout.parents().values() for layout in hierarchy.everywhere())
    for parent in itertools.chain.from_iterable(parents):
        try:
            groups = sorted(Path(parent).iterdir())
        except OSError:
            continue
        yield from (str(group) for group in groups if group.name.startswith(prefix))


def _members(group: str) -> Iterator[int]:
    yield from (int(line) for line in _lines(f"{group}/cgroup.procs") if line.isdigit())


def _pids() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            yield int(entry.name)


def _command(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode("utf-8", "replace")
        )
    except OSError:
        return ""


def _own_mounts(pid: int) -> str:
    """Return what is mounted in the view of a process, where that is not everybody's."""
    try:
        if Path(f"/proc/{pid}/ns/mnt").readlink() == Path("/proc/self/ns/mnt").readlink():
            return ""
        return Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
