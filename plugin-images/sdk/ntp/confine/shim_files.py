"""A run folder: what the runtime and the shim of one plugin say to each other, as files.

Both sides may die at any line, so each file is complete or absent (`write_atomic`), and whether a
shim lives is a lock that the kernel drops with it, not a number that another process may inherit.

Imported by the watching shim, of which there is one for each plugin: it stays with modules that are
part of the interpreter. `json`, `re`, `enum`, `dataclasses` would cost 4 MB in every one of them.
"""
# ruff: noqa: PTH104, PTH108, PTH208, SIM105  # see files.py

import errno
import fcntl
import os

INSTANCE = "instance.json"
"""Who this is: name, generation, attempt, hashes, normalised spec. Written by the runtime. No secrets."""
ORDER = "order.json"
"""What to run and how confined. Written by the runtime. No secrets."""
LOCK = "lock"
"""Locked from the first moment of a start to the last of an end; holds the shim's pid."""
CONTROL = "control"
"""A FIFO that the shim reads: `stop <grace in seconds> <cause>`."""
GROUP = "group.json"
"""The control group; gone when that is gone. Written by the shim."""
STATE = "state.json"
"""The plugin runs, or ran: pids, start time, boot id. Written by the shim."""
ISOLATION = "isolation.json"
"""Tier, what is active, what is missing; verified from outside. Written by the shim."""
REFUSED = "refused.json"
"""Connections that the door refused: host:port -> count. Written by the door."""
STOPPING = "stopping"
"""A stop was asked for; holds the cause. Written by the shim."""
EXIT = "exit.json"
"""How it ended. Written by the shim; by the runtime where the shim could not."""
LOG = "log"
LOG_BEFORE = "log.1"
"""Output in the format of Kubernetes' logs: `time stream P|F text`; the older half in `log.1`."""
SHIM_LOG = "shim.log"
"""What the shim itself says: nothing, or the traceback of a bug."""
LAUNCH = "launch"
"""Folder of the read-only files of a launch; a tmpfs of the shim's own where it may mount one."""

LIVES = (STATE, ISOLATION, REFUSED, STOPPING, EXIT)
"""What describes one life only, and goes before the next."""

_WHOLE_FILE = b"\0" * 32


def _flock(kind: int) -> bytes:
    # struct flock of 64-bit Linux: l_type, l_whence, (padding), l_start, l_len, l_pid, (padding).
    return kind.to_bytes(2, "little") + _WHOLE_FILE[2:]


def take_lock(fd: int) -> bool:
    """Lock an open file for as long as any copy of this descriptor is open, in any process.

    An "open file description" lock: a child that inherits the descriptor holds it too, so it is
    handed from runtime to shim without a gap; and unlike flock(2) it can be looked at (`is_locked`).
    """
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK))
    except OSError as e:
        if e.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


def is_locked(fd: int) -> bool:
    """Whether somebody else holds the lock. Looking disturbs nobody."""
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK))
    return answer[:2] != fcntl.F_UNLCK.to_bytes(2, "little")


def write_atomic(path: str, content: bytes, *, mode: int = 0o600) -> None:
    """Put a whole file in place; a reader sees the old one or the new one."""
    part = f"{path}.part"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        while content:
            content = content[os.write(fd, content) :]
    finally:
        os.close(fd)
    os.rename(part, path)


def read(path: str, limit: int = 1 << 20) -> bytes | None:
    """Return the content, at most `limit` bytes; None where there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def reserve(path: str, size: int = 64 * 1024) -> None:
    """Take the room for a file that must be written even when the disk is full."""
    fd = os.open(f"{path}.part", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as e:
        # Not every file system can (then there is nothing to take), and a full one must not stop us.
        if e.errno not in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSPC, errno.EDQUOT}:
            raise
    finally:
        os.close(fd)


def write_reserved(path: str, content: bytes) -> None:
    """As `write_atomic`, into what `reserve` took: overwritten in place, cut, put in place."""
    fd = os.open(f"{path}.part", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        at = 0
        while at < len(content):
            at += os.pwrite(fd, content[at:], at)
        os.ftruncate(fd, len(content))
    finally:
        os.close(fd)
    os.rename(f"{path}.part", path)


def empty(folder: str) -> None:
    """Remove the files of a flat folder; the folder stays. An absent one is empty."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        remove(f"{folder}/{name}")


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def start_time(pid: int) -> int:
    """When a process was started, in ticks since boot; with its pid it names it for good. 0: gone."""
    stat = read(f"/proc/{pid}/stat", 4096)
    if not stat:
        return 0
    # The second field is a name in parentheses and may hold anything; count from behind it.
    return int(stat[stat.rindex(b")") + 2 :].split()[19])
