"""A Unix socket address holds 107 bytes; state folders may be longer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import UnreachableError

LONGEST = 107


@contextmanager
def short(path: Path) -> Iterator[str]:
    """Yield an address for `path` that fits, good while the context lasts.

    Linux resolves `/proc/self/fd/N/name` through the open folder N. Raises FileNotFoundError if the
    folder is not there, and UnreachableError where no short way to it exists.
    """
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        way = f"/proc/self/fd/{folder}/{path.name}"
        if not Path(f"/proc/self/fd/{folder}").exists():
            raise UnreachableError(
                f"the path of the controller's socket is too long for this system: {path}; "
                "set NTP_STATE to a shorter folder"
            )
        yield way
    finally:
        os.close(folder)
