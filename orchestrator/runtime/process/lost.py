"""Lives whose run folder somebody removed: their shims run on, and no file tells of them any more.

A shim names its folder on its command line, and holds the lock that lay in it. Blocking.
"""

import os
from contextlib import suppress
from pathlib import Path

from ntp.confine import cgroup, hierarchy, shim_files, tree
from orchestrator.errors import ActionError
from orchestrator.runtime.process.folder import NAME

KILL_S = 15.0


class Lost:
    """Those of one project, as they were when this was made: what is started later is not lost.

    Args:
        owner: names the project's control groups.
        run: the folder of all run folders.
    """

    def __init__(self, owner: str, run: Path) -> None:
        self._owner = owner
        self._run = run
        self._shims: dict[str, set[int]] = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):  # noqa: PTH208  # names alone
            name = self._name(pid)
            if name is not None:
                self._shims.setdefault(name, set()).add(pid)

    def names(self) -> set[str]:
        """Names of those that still run."""
        for name, shims in list(self._shims.items()):
            self._shims[name] = {pid for pid in shims if self._name(pid) == name}
            if not self._shims[name]:
                del self._shims[name]
        return set(self._shims)

    def end(self, name: str) -> None:
        """Kill a life with all that it started: nobody can ask it to end.

        Raises:
            ActionError: something of it is still there.
        """
        if name not in self.names():
            return
        ended = [tree.kill(pid, timeout_s=KILL_S) for pid in self._shims[name]]
        for layout in hierarchy.everywhere():
            group = cgroup.attach(f"{self._owner}.{name}", layout=layout)
            if group is not None:
                ended.append(group.kill() and group.remove())
        if not all(ended):
            raise ActionError(
                f"{name}, whose run folder was removed, cannot be killed", reason="LeftoverAlive"
            )

    def _name(self, pid: int) -> str | None:
        """Whose shim it is, if it is one of ours that has lost its folder."""
        with suppress(OSError, ValueError):
            words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
            folder = Path(words[words.index("watch") + 1 :][0])
            lock = next(word for word in words if word.startswith("lock="))
            held = Path(f"/proc/{pid}/fd/{lock.removeprefix('lock=')}").stat()
            ours = folder.parent == self._run and NAME.fullmatch(folder.name)
            if ours and not _is_there(held, folder):
                return folder.name
        return None


def _is_there(held: os.stat_result, folder: Path) -> bool:
    """Whether the lock that a shim holds is that of the folder that is there now."""
    try:
        return os.path.samestat(held, (folder / shim_files.LOCK).stat())
    except FileNotFoundError:
        return False
