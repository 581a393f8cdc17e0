"""The lock as a file beside the plugin."""

import contextlib
import os
import secrets
from pathlib import Path

from ntp.package.lock import Lock, LockError
from ntp.package.tree import read_file


def read_lock(path: Path) -> Lock:
    """Read a lock; LockError or TreeError if it is none."""
    try:
        return Lock.parse(read_file(path).decode())
    except UnicodeDecodeError as error:
        raise LockError("it is not UTF-8") from error


def write_lock(lock: Lock, path: Path) -> bool:
    """Write the lock beside the plugin; False where that folder cannot be written."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        owner = path.parent.stat()
        fd = os.open(scratch, flags, 0o644)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:
                # A lock that only root can change would surprise the author.
                os.fchown(fd, owner.st_uid, owner.st_gid)
            file.write(lock.render())
        scratch.replace(path)
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
    return True
