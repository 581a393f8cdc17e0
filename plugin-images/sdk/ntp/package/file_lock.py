"""A lock between processes and threads: a file that one holds alone, or several together."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ntp.package.fault import PackageError

_POLL_S = 0.05


@contextlib.contextmanager
def hold(path: Path, *, within_s: float, held: str, together: bool = False) -> Iterator[None]:
    """Hold the lock of a file, made where it is missing, as long as the block lasts.

    Args:
        path: the file; its folder is there.
        within_s: how long to wait for the others.
        held: what another process does meanwhile, in words: `another process <held> for more than …`.
        together: with others who say so too; else alone.

    Raises:
        PackageError: CacheBusy, at the deadline.
    """
    kind = fcntl.LOCK_SH if together else fcntl.LOCK_EX
    deadline = time.monotonic() + within_s
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise PackageError(
                        f"another process {held} for more than {within_s:g} s; see who it is, "
                        "or end it",
                        reason="CacheBusy",
                    ) from error
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(fd)
