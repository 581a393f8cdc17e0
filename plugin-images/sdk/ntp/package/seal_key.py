"""The key of seals: a file of its own outside of the cache, for nobody else to read."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

NAME = "seals.key"
_BYTES = 32


class SealKey:
    """Made when it is asked for first.

    Where its folder is not there or cannot be written, it is one that no other process has: what this one
    seals holds for itself, and another compares anew.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME
        self._key = b""

    def read(self) -> bytes:
        """Return it; it stays the same for as long as this object lives. Blocks."""
        if not self._key:
            self._key = self._kept() or self._made()
        return self._key

    def _kept(self) -> bytes:
        try:
            fd = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            seen = os.fstat(fd)
            # Whoever else could read or write it could seal what they like.
            private = stat.S_ISREG(seen.st_mode) and not seen.st_mode & 0o077
            if not private or seen.st_uid != os.geteuid() or seen.st_size != _BYTES:
                return b""
            return os.read(fd, _BYTES)
        finally:
            os.close(fd)

    def _made(self) -> bytes:
        fresh = secrets.token_bytes(_BYTES)
        scratch = self._file.with_name(f".{NAME}.{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):
            try:
                with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:  # fmt: skip
                    out.write(fresh)
                scratch.replace(self._file)
            finally:
                scratch.unlink(missing_ok=True)
        return fresh
