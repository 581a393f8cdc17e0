"""A disk that loses what was not synced when the power is cut.

A file system lies in a file. What is written to it stays in the kernel's memory until it is synced, or
written back; so a copy of the file is what a disk would hold if the machine lost its power in this moment.
"""

import os
import shutil
import subprocess
from pathlib import Path

SIZE = 512 * 1024 * 1024
DEADLINE = 60
_COMMIT_S = 300
"""Seconds between two writings of ext4's own accord."""


def can_mount() -> bool:
    """Whether this machine lets us: root, in the first namespace of mounts."""
    return (
        os.geteuid() == 0 and bool(shutil.which("mkfs.ext4")) and Path("/dev/loop-control").exists()
    )


class Disk:
    """Mounted at `place` until `close`.

    Args:
        folder: holds the file, and the mount point.
    """

    def __init__(self, folder: Path) -> None:
        self.place = folder / "disk"
        self.place.mkdir(parents=True)
        self._file = folder / "disk.0"
        self._next = folder / "disk.1"
        with self._file.open("wb") as file:
            file.truncate(SIZE)
        _run("mkfs.ext4", "-q", "-F", str(self._file))
        self._mount()

    def cut(self) -> None:
        """Take what a disk would hold now; whoever writes to it has to be stopped."""
        _run("cp", "--sparse=always", str(self._file), str(self._next))

    def restore(self) -> None:
        """Go on with what `cut` took; whoever had files open is gone."""
        self._unmount()
        self._file, self._next = self._next, self._file
        self._next.unlink()
        self._mount()

    def close(self) -> None:
        self._unmount()
        self._file.unlink()

    def _mount(self) -> None:
        _run("mount", "-o", f"loop,commit={_COMMIT_S}", str(self._file), str(self.place))

    def _unmount(self) -> None:
        _run("umount", str(self.place))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, timeout=DEADLINE, capture_output=True, text=True)
