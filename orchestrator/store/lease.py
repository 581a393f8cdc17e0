"""One controller a project on one machine: a lock on a file, which the kernel drops with its holder."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from orchestrator.errors import ConflictError, UnreachableError

EPOCH_FILE = "controller.epoch"


class FileLease:
    """Take the lock at entry, or ConflictError names who holds it; never waits.

    The epoch is written before the first use, so that a later holder's is always larger. The first one
    is the time in microseconds since 1970: what runs of a project whose folder was removed has a smaller
    one, since no controllers follow each other as fast.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "controller.lock"
        self._descriptor: int | None = None
        self.epoch = 0

    async def __aenter__(self) -> Self:
        self.acquire()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.release()

    def acquire(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnreachableError(f"the lock {self._path} cannot be opened: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.epoch = self._next_epoch()
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise ConflictError(
                f"another controller (pid {holder}) runs this project; `ntpctl status` asks it"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise UnreachableError(f"the lock {self._path} cannot be written: {error}") from error
        self._descriptor = descriptor

    def release(self) -> None:
        # The file stays: deleting a lock file lets two holders lock two files of one name.
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def held(self) -> bool:
        """Whether the lock is ours and still the one that others would find at that path."""
        if self._descriptor is None:
            return False
        try:
            ours, there = os.fstat(self._descriptor), self._path.stat()
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def _next_epoch(self) -> int:
        path = self._folder / EPOCH_FILE
        try:
            last = int(path.read_text())
        except (FileNotFoundError, ValueError):
            last = time.time_ns() // 1000
        fresh = path.with_name(EPOCH_FILE + ".new")
        with fresh.open("w") as file:
            file.write(f"{last + 1}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return last + 1
