"""Landlock: a process gives up access to files, TCP and other processes; needs no privilege."""
# ruff: noqa: PTH110  # see files.py

import os
import stat
from collections.abc import Iterable

from ntp.confine import kernel

# include/uapi/linux/landlock.h, LANDLOCK_ACCESS_FS_*
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_SYM = (
    1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 12,
)  # fmt: skip
REFER, TRUNCATE, RESOLVE_UNIX = 1 << 13, 1 << 14, 1 << 16
READ = READ_FILE | READ_DIR
WRITE = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO
WRITE |= MAKE_SYM | REFER | TRUNCATE
_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | 1 << 15 | RESOLVE_UNIX

# Rights that a kernel of a given ABI can take away (1 << 15 is IOCTL_DEV).
_ALL_BY_ABI = {
    1: (1 << 13) - 1,
    2: (1 << 14) - 1,
    3: (1 << 15) - 1,
    5: (1 << 16) - 1,
    9: (1 << 17) - 1,
}
_BIND_TCP_CONNECT_TCP = 0b11
_SCOPE_ABSTRACT_SOCKETS_SIGNALS = 0b11


def handled(abi: int) -> int:
    """Every right over files that this ABI knows: all of them are taken away but what is allowed."""
    return max((rights for least, rights in _ALL_BY_ABI.items() if abi >= least), default=0)


def restrict(allowed: Iterable[tuple[str, int]], abi: int) -> None:
    """Keep only `allowed` (path, rights beneath it); no TCP by own hand, no signals to outsiders.

    Paths that are absent are skipped. Holds for the caller and all that it starts. Needs
    no_new_privileges before. OSError if the kernel refuses.
    """
    known = handled(abi)
    attributes = known.to_bytes(8, "little")
    if abi >= 4:
        attributes += _BIND_TCP_CONNECT_TCP.to_bytes(8, "little")
    if abi >= 6:
        attributes += _SCOPE_ABSTRACT_SOCKETS_SIGNALS.to_bytes(8, "little")
    ruleset = kernel.landlock_create(attributes)
    try:
        for path, rights in allowed:
            if os.path.exists(path):
                _allow(ruleset, path, rights & known)
        kernel.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        kernel.landlock_allow(ruleset, rights if folder else rights & _ON_FILES, fd)
    finally:
        os.close(fd)
