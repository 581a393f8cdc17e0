"""A plugin's output, read back from its two files while the shim writes and rotates them."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from ntp.confine import shim_files
from orchestrator.ports import LogLine

POLL_S = 0.1
CHUNK = 64 * 1024


class Reader:
    """Follows `log` over rotations. Between two reads at most one of the two files is skipped over
    (both rotated away): that is 1 MiB in `POLL_S`, which the shim's rate budget does not allow.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / shim_files.LOG
        self._before = folder / shim_files.LOG_BEFORE
        self._fd: int | None = None
        self._rest = b""

    def is_there(self) -> bool:
        """False: the instance was removed."""
        return self._log.parent.is_dir()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def read(self) -> Iterator[LogLine]:
        """Yield everything that came since the last call; nothing if there was nothing."""
        if self._fd is None:
            self._fd = _open(self._before) or _open(self._log)
        while self._fd is not None:
            yield from self._drain(self._fd)
            following = self._next(self._fd)
            if following is None:
                return
            os.close(self._fd)
            self._fd = following

    def _drain(self, fd: int) -> Iterator[LogLine]:
        while data := os.read(fd, CHUNK):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                parsed = parse(line)
                if parsed is not None:
                    yield parsed

    def _next(self, fd: int) -> int | None:
        """The file that continues the one that was read to its end; None: it is the newest."""
        # Ours stays open, so no new file can have its inode number.
        mine = os.fstat(fd)
        newest = _open(self._log)
        if newest is not None and os.path.samestat(mine, os.fstat(newest)):
            os.close(newest)
            return None
        before = _open(self._before)
        if before is None or os.path.samestat(mine, os.fstat(before)):
            if before is not None:
                os.close(before)
            return newest
        if newest is not None:
            os.close(newest)
        return before


async def read(folder: Path, *, follow: bool, tail: int) -> AsyncIterator[LogLine]:
    """Yield the last `tail` lines (negative: all that are kept), then, with `follow`, new ones.

    Following ends when the instance is removed, not when a life ends: the next one writes on.
    """
    reader = Reader(folder)
    try:
        recent = deque(reader.read(), maxlen=tail if tail >= 0 else None)
        for line in recent:
            yield line
        while follow and reader.is_there():
            await asyncio.sleep(POLL_S)
            for line in reader.read():
                yield line
    finally:
        reader.close()


def parse(line: bytes) -> LogLine | None:
    """Read `time stream P|F text`; None for what is not of that form."""
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return None
    try:
        at = datetime.fromisoformat(parts[0].decode("ascii"))
    except ValueError:
        return None
    return LogLine(
        at.astimezone(UTC), parts[1].decode("ascii", "replace"), parts[3].decode(errors="replace")
    )


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
