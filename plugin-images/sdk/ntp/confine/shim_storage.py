"""How much a plugin keeps in its storage folder. The tree is the plugin's own, so it is not trusted."""
# see files.py

import os

ENTRIES = 20_000
"""A quota in files too: walking more of them would cost more than the plugin itself."""
DEPTH = 64


def used(folder: str) -> tuple[int, bool]:
    """Return (bytes on disk, whether all was counted): False beyond `ENTRIES` files or `DEPTH` levels.

    Follows no link: each folder is opened below its parent's descriptor.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0, True
    total, left = _walk(fd, ENTRIES, DEPTH)
    return total, left >= 0


def _walk(fd: int, left: int, depth: int) -> tuple[int, int]:
    total = 0
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    break
                try:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if not entry.is_dir(follow_symlinks=False):
                        continue
                    if depth == 0:
                        left = -1
                        break
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                    below = os.open(entry.name, flags, dir_fd=fd)
                except OSError:  # renamed or removed meanwhile
                    continue
                more, left = _walk(below, left, depth - 1)
                total += more
                if left < 0:
                    break
    finally:
        os.close(fd)
    return total, left
