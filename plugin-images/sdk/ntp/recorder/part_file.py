"""A file that has its name only once it is whole: until then it is `<name>.part`."""

import contextlib
import errno
import fcntl
import os
import zlib
from pathlib import Path
from typing import Any, Self

from ntp.recorder.fault import RecordError

_BUFFER = 64 * 1024
_GZIP = 31
"""zlib's way to say: with gzip's header and checksum."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class PartFile:
    """Takes whole lines; compresses them where the name ends in `.gz`. Methods block, for an instant.

    What was flushed survives whatever ends us. Where the disk is full, or fails, the lines before it
    stay whole, and `finish` gives them their name.

    Raises:
        RecordError: the file is there already, or is being written, or cannot be.
    """

    def __init__(self, path: Path, *, force: bool) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self.lines = 0
        """That are on the disk."""
        self._waiting = bytearray()
        self._good = 0
        self._packer: Any = (
            zlib.compressobj(6, zlib.DEFLATED, _GZIP) if path.suffix == ".gz" else None
        )
        if path.exists() and not force:
            raise RecordError(f"{path} is there already", "name another file, or say --force")
        try:
            self._file = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RecordError(f"{self.part} cannot be written: {_words(error)}") from error
        try:
            self._claim(force=force)
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Close what `finish` or `discard` has not; the part stays as it is."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def write(self, line: bytes) -> None:
        """Take a line with its end. Raises OSError as `flush`."""
        self._waiting += line
        if len(self._waiting) >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hand what waits to the system.

        Raises:
            OSError: the disk is full, or fails; what did not fit as a whole line is dropped.
        """
        if not self._waiting:
            return
        lines, before = bytes(self._waiting), self._packer
        self._waiting.clear()
        packed = lines
        if before is not None:
            before = self._packer.copy()
            packed = self._packer.compress(lines) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        try:
            self._put(packed)
        except OSError:
            if before is None:
                lines = lines[: self._written()]
                whole = lines.rfind(b"\n") + 1
                self.lines += lines.count(b"\n")
                self._good += whole
            self._packer = before
            os.ftruncate(self._file, self._good)
            os.lseek(self._file, self._good, os.SEEK_SET)
            raise
        self._good += len(packed)
        self.lines += lines.count(b"\n")

    def finish(self) -> None:
        """Give the file its name, durably; what still waits is flushed first, if it can be.

        Raises:
            OSError: what waited could not be written; call it again to finish without. From that
                second call: the disk fails, and the part is left.
        """
        self.flush()
        if self._packer is not None:
            # Without its end a compressed file can be read to there.
            with contextlib.suppress(OSError):
                self._put(self._packer.flush(zlib.Z_FINISH))
        os.fsync(self._file)
        self.part.replace(self.path)
        with contextlib.suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)

    def _claim(self, *, force: bool) -> None:
        """Take the part for us alone; refuse what another recording has left or is writing."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = f"another recording is writing {self.part}"
            raise RecordError(words, "name another file") from None
        size = os.fstat(self._file).st_size
        if size and not force:
            words = f"{self.part} is what a recording that was cut off has left, {size:,} bytes"
            raise RecordError(words, "rename or remove it, or say --force")
        os.ftruncate(self._file, 0)

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def _written(self) -> int:
        return os.lseek(self._file, 0, os.SEEK_CUR) - self._good


def full(error: OSError) -> bool:
    """Tell whether there was no room, as against a disk that fails."""
    return error.errno in _FULL


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
