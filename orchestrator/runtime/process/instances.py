"""Every instance of one project, read from its run folders. Blocking: call it from a thread."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from ntp.confine import shim_end, tree
from orchestrator.decide.state import Hashes, Instance, Phase, Usage
from orchestrator.errors import ActionError
from orchestrator.runtime.process import reap
from orchestrator.runtime.process.folder import NAME, TRASH, Label, RunFolder
from orchestrator.runtime.process.lost import Lost
from orchestrator.runtime.removal import remove_tree

USAGE_AGE_S = 2.0
USAGES_A_PASS = 100
"""Reading what one plugin uses costs ten kernel files, more than all the rest of looking at it."""
NOTHING = Usage()


class Instances:
    """What is below `run`, with a memory of what cannot have changed since the last look."""

    def __init__(self, owner: str, run: Path) -> None:
        self._owner = owner
        self._run = run
        self._lost: Lost | None = None
        """Found at the first look."""
        self._folders: dict[str, RunFolder] = {}
        self._usages: dict[str, tuple[float, Usage]] = {}
        """By id of a life: when it was read (monotonic), and what."""
        self._looking = threading.Lock()

    def folder(self, name: str) -> RunFolder:
        return RunFolder(self._run / name)

    def names(self) -> Iterator[str]:
        """Names of all run folders; what a cut-off removal left is removed on the way."""
        try:
            found = sorted(path.name for path in self._run.iterdir())
        except FileNotFoundError:
            return
        for name in found:
            if NAME.fullmatch(name):
                yield name
            elif name.startswith(TRASH):
                with suppress(OSError):
                    remove_tree(self._run / name)

    def labels(self) -> dict[str, Label]:
        found = {name: self.folder(name).label() for name in self.names()}
        return {name: label for name, label in found.items() if label is not None}

    def changed(self, name: str) -> None:
        """What surrounds it and what it may use was changed in place: remembered figures are old."""
        with self._looking:
            folder = self._folders.pop(name, None)
            label = None if folder is None else folder.label()
            if label is not None:
                self._usages.pop(label.id, None)

    def look(self) -> dict[str, Instance]:
        """One listing. Lives whose shim was killed are buried; exits are included until removed."""
        with self._looking:
            folders = {name: self._folders.get(name) or self.folder(name) for name in self.names()}
            self._folders = folders
            found: dict[str, Instance] = {}
            for name, folder in folders.items():
                with suppress(FileNotFoundError):  # removed while we looked
                    instance = self._see(folder)
                    if instance is not None:
                        found[name] = instance
            self._refresh(found)
            self._lost = self._lost or Lost(self._owner, self._run)
            for name in self._lost.names() - set(found):
                found[name] = _unknown(name)
            return found

    def end_lost(self, name: str) -> None:
        """End what runs under this name and has lost its run folder."""
        with self._looking:
            if self._lost is not None:
                self._lost.end(name)

    def _see(self, folder: RunFolder) -> Instance | None:
        label = folder.label()
        if label is None:
            return _unknown(folder.name) if folder.is_held() and folder.has_label() else None
        _, usage = self._usages.get(label.id, (0.0, NOTHING))
        instance = folder.instance(label, usage)
        # After an end the shim may still be tidying up, which it can be killed in as well.
        untidy = instance.phase is not Phase.EXITED or shim_end.has_group(str(folder.path))
        if not untidy or folder.is_held():
            return instance
        with folder.taken() as lock:
            if lock is None:
                return instance
            try:
                reap.bury(folder, label)
            except ActionError:
                return instance  # still there: shown as what it is, tried again at the next look
        return folder.instance(label, usage)

    def _refresh(self, found: dict[str, Instance]) -> None:
        """Read figures of use, the oldest first, for some of those that run; for the next look too."""
        running = {i.id: i for i in found.values() if i.phase in (Phase.RUNNING, Phase.STOPPING)}
        self._usages = {life: seen for life, seen in self._usages.items() if life in running}
        due = time.monotonic() - USAGE_AGE_S
        stale = sorted((self._usages.get(life, (0.0, NOTHING))[0], life) for life in running)
        for read_at, life in stale[:USAGES_A_PASS]:
            if read_at > due:
                return
            instance = running[life]
            usage = replace(self._read(instance), at=datetime.now(UTC))
            self._usages[life] = (time.monotonic(), usage)
            found[instance.name] = replace(instance, usage=usage)

    def _read(self, instance: Instance) -> Usage:
        group = shim_end.group_of(str(self._run / instance.name))
        if group is not None and group.folders:
            return Usage(**asdict(group.usage()))
        plugin = tree.plugin(instance.pid) if instance.pid is not None else None
        return process_usage(plugin) if plugin is not None else NOTHING


def _unknown(name: str) -> Instance:
    """Somebody runs under this name, and its label is damaged or gone: of no generation, so replaced."""
    nothing = Hashes("", "", "", "", "")
    return Instance(name, 0, 0, nothing, Phase.RUNNING, id=f"unreadable-{name}")


def process_usage(pid: int) -> Usage:
    """What one process uses, where no control group counts a whole plugin; zeros if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return NOTHING
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    ticks = stat.rpartition(")")[2].split()[11:13]  # utime, stime: proc(5), fields 14 and 15
    return Usage(
        memory=_kib(lines.get("VmRSS", "0")),
        memory_peak=_kib(lines.get("VmHWM", "0")),
        cpu_s=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        pids=int(lines.get("Threads", "0")),
    )


def _kib(text: str) -> int:
    return int(text.split(maxsplit=1)[0]) * 1024
