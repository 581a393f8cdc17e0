"""Where the files of an instance lie on this machine: secrets in memory, records in the state folder."""

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ntp.confine import shim_files
from ntp.contract.launch import DOOR_SOCKET, TERMINATION_FILE
from orchestrator.errors import ActionError
from orchestrator.runtime.removal import remove_tree

DOOR_FOLDER = "/run/ntp.door"
"""Where a plugin sees the folder of its door's socket: a folder, for a socket is made anew."""
CONTAINER, STOPPING, EXIT, LIMITS, LOCK = (
    "container",
    "stopping",
    "exit.json",
    "limits.json",
    "lock",
)
LIVES = "lives"
LOCK_S = 60.0


class Places:
    """Folders of one project. Blocking: call it from threads.

    Args:
        owner: names the project on this machine.
        state: the project's state folder; `run` and `storage` in it are ours.
    """

    def __init__(self, owner: str, state: Path) -> None:
        self._run = state / "run"
        self._storage = state / "storage"
        memory, self.in_memory = _memory_folder()
        self.memory = (memory if memory is not None else state / "memory") / f"ntp-{owner}"

    def names(self) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(path.name for path in self._run.iterdir() if path.is_dir())
        return []

    def run(self, name: str) -> Path:
        return self._run / name

    def launch(self, name: str) -> Path:
        return self.memory / name / "launch"

    def door(self, name: str) -> Path:
        return self.doors / name

    @property
    def doors(self) -> Path:
        return self.memory / ".doors"

    def storage(self, name: str) -> Path:
        return self._storage / name

    def stored(self) -> dict[str, int]:
        """Instances whose storage was kept -> its owner."""
        with suppress(FileNotFoundError):
            return {path.name: path.stat().st_uid for path in self._storage.iterdir()}
        return {}

    @contextmanager
    def locked(self, name: str, *, within_s: float = LOCK_S) -> Iterator[Path]:
        """Hold the instance's run folder, made if absent: one start or removal at a time.

        Raises:
            ActionError: (Busy) somebody else held it all the time.
        """
        folder = self.run(name)
        deadline = time.monotonic() + within_s
        while True:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_current(fd, folder / LOCK):
                        yield folder
                        return
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise ActionError(f"{name} is held by somebody", reason="Busy") from None
                    time.sleep(0.01)
                finally:
                    os.close(fd)

    def lay_out(self, name: str, files: Mapping[str, bytes], uid: int) -> None:
        """Write the files of a launch where only the plugin (and root) can read them."""
        folder = self.launch(name)
        for part in (self.memory, self.memory / name):
            private(part)
        remove_tree(folder)
        folder.mkdir(mode=0o700)
        for file, content in files.items():
            _put(folder / file, content, 0o400, uid)
        _put(folder / TERMINATION_FILE, b"", 0o600, uid)
        (folder / DOOR_SOCKET).symlink_to(f"{DOOR_FOLDER}/{DOOR_SOCKET}")
        own(folder, uid)
        folder.chmod(0o500)

    def clear_launch(self, name: str) -> None:
        remove_tree(self.memory / name)
        remove_tree(self.door(name))

    def make_storage(self, name: str, uid: int) -> Path:
        folder = self.storage(name)
        folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0 and folder.stat().st_uid != uid:
            for _, _, found, descriptor in os.fwalk(folder):
                os.fchown(descriptor, uid, uid)
                for file in found:
                    os.chown(file, uid, uid, dir_fd=descriptor, follow_symlinks=False)
        return folder

    def forget(self, name: str, *, delete_data: bool) -> None:
        self.clear_launch(name)
        remove_tree(self.run(name))
        if delete_data:
            remove_tree(self.storage(name))

    def close(self, *, delete_data: bool) -> None:
        remove_tree(self.memory)
        remove_tree(self._run)  # also of starts that were refused
        if delete_data:
            remove_tree(self._storage)
        with suppress(OSError):
            self._storage.rmdir()


def record(path: Path, content: Any) -> None:
    shim_files.write_atomic(str(path), json.dumps(content).encode())


def recorded(path: Path) -> Any:
    content = shim_files.read(str(path))
    with suppress(ValueError):
        return json.loads(content) if content else None
    return None


def private(folder: Path) -> None:
    """Make a folder that others can neither look into nor have made for us: its parent may be /dev/shm."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ActionError(
            f"{folder} belongs to somebody else: remove it", reason="LaunchFolder", permanent=True
        )
    folder.chmod(0o700)


def _put(path: Path, content: bytes, mode: int, uid: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.write(fd, content)
        os.fchmod(fd, mode)
        if os.geteuid() == 0:
            os.fchown(fd, uid, uid)
    finally:
        os.close(fd)


def own(folder: Path, uid: int) -> None:
    if os.geteuid() == 0:
        os.chown(folder, uid, uid)


def _is_current(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _memory_folder() -> tuple[Path | None, bool]:
    """The first folder in memory that we may write and the engine sees too; none: the disk."""
    candidates = [os.environ.get("XDG_RUNTIME_DIR", ""), "/run", "/dev/shm"]  # noqa: S108
    for candidate in candidates[1 if os.geteuid() == 0 else 0 :]:
        if candidate and os.access(candidate, os.W_OK) and is_tmpfs(candidate):
            return Path(candidate), True
    return None, False


def is_tmpfs(folder: str) -> bool:
    real = os.path.realpath(folder)
    best = ("", "")
    for line in (
        Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    ):
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        if (real == point or real.startswith(f"{point.rstrip('/')}/")) and len(point) >= len(
            best[0]
        ):
            best = (point, after.split()[0])
    return best[1] in {"tmpfs", "ramfs"}
