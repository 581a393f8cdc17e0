"""Whole lines of a file, plain or compressed, a block at a time and never more in memory."""

import contextlib
import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Self, cast

from ntp.layouts.bad import BadRow
from ntp.layouts.fault import problem

LONGEST = 64 * 1024
"""Bytes of a line; a longer one is no row of a market."""
CHUNK = 64 * 1024
"""Bytes that are read together, about a thousand rows. What is made of more leaves the processor's
cache, and above 128 KiB the C library asks the system for each buffer anew: a fifth slower."""
_GZIP = b"\x1f\x8b"

_ZIP = b"PK\x03\x04"

Note = Callable[[BadRow], None]


class Lines:
    """The lines of a file, as blocks of bytes of which each ends with a line's end.

    Iterating yields (number of the block's first line, block). A line longer than `LONGEST`, and the
    end of a file that is cut off in its compression, are noted.

    Attributes:
        done: bytes of the file that were read, as they lie on the disk.
    """

    def __init__(self, path: Path, note: Note, chunk: int = CHUNK) -> None:
        self._name = path.name
        self._note = note
        self._chunk = chunk
        self._damaged = False
        self._file = path.open("rb")
        self._text = _text(path, self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._text.close()
        self._file.close()

    @property
    def done(self) -> int:
        return self._file.tell() if not self._file.closed else 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        number, rest, skipping = 1, b"", False
        while chunk := self._read(number):
            if skipping:
                at = chunk.find(b"\n") + 1
                if not at:
                    continue
                chunk, skipping, number = chunk[at:], False, number + 1
            cut = chunk.rfind(b"\n") + 1
            if cut:
                block, rest = rest + chunk[:cut], chunk[cut:]
                yield from self._without_long(number, block)
                number += block.count(b"\n")
            else:
                rest += chunk
            if len(rest) > LONGEST:
                self._long(number, rest)
                rest, skipping = b"", True
        if rest and not self._damaged:
            yield number, rest + b"\n"

    def _read(self, number: int) -> bytes:
        try:
            return self._text.read1(self._chunk)  # of `read`, what came before damage would be lost
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            why = f"the file is cut off or damaged in its compression: {error}"
            self._note(BadRow(self._name, number, 1, "", "", why, "what comes after is not read"))
            self._damaged = True
            return b""

    def _without_long(self, number: int, block: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the block; in pieces, where a line in it is too long."""
        # A line that is too long covers a whole window of half its length without an end.
        half = LONGEST // 2
        if all(block.find(b"\n", at, at + half) >= 0 for at in range(0, len(block) - half, half)):
            yield number, block
            return
        begin = at = 0
        first = number
        while at < len(block):
            end = block.index(b"\n", at) + 1
            if end - at > LONGEST + 1:
                if at > begin:
                    yield first, block[begin:at]
                self._long(number, block[at:end])
                begin, first = end, number + 1
            at, number = end, number + 1
        if begin < len(block):
            yield first, block[begin:]

    def _long(self, number: int, line: bytes) -> None:
        head = line[:40].decode("ascii", "replace")
        why = f"the line that begins with {head!r} is longer than {LONGEST:,} bytes"
        self._note(BadRow(self._name, number, 1, "", head, why))


def _text(path: Path, file: BufferedReader) -> BufferedReader:
    """Return what the file holds, unpacked; known by its first bytes, for names lie."""
    begin = file.peek(4)[:4]
    if begin.startswith(_GZIP):
        return cast("BufferedReader", gzip.GzipFile(fileobj=file))
    if begin == _ZIP:
        # Encrypted, or packed in a way that is not known here.
        with contextlib.suppress(zipfile.BadZipFile, RuntimeError, NotImplementedError):
            members = zipfile.ZipFile(file).infolist()
            if len(members) == 1:
                return cast("BufferedReader", zipfile.ZipFile(file).open(members[0]))
        file.close()
        raise problem(
            path.name, "the archive is damaged, encrypted, or holds not just one file", "unpack it"
        )
    return file
