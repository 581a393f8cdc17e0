"""A strict reader of tar: regular files and folders only, everything bounded, nothing is unpacked.

tarfile's own filters were passed by (CVE-2025-4517), and Debian 12's Python has none at all.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from ntp.oci.fault import OciError

BLOCK = 512
_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,9}) ")
_PAX_LIMIT = 64 * 1024
_OCTAL = re.compile(rb"[0-7]*")


class TooLargeError(OciError):
    """An archive has more files, or bytes of them, than it may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one archive. `total`: bytes of all contents. `path`: bytes of a path. `depth`: its parts."""

    files: int = 20_000
    total: int = 8 * 1024**3
    path: int = 512
    depth: int = 32


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file: its path without `./`, its size, and where its content begins."""

    path: str
    size: int
    offset: int


def members(
    stream: IO[bytes], limits: Limits | None = None
) -> Iterator[tuple[Member, io.RawIOBase]]:
    """Yield each regular file with a reader of its content; folders are passed over.

    Contents may be left unread. The stream is read once, forwards.

    Raises:
        OciError: a link, a device, a path out of the archive, a name twice, a limit, or no tar.
    """
    limits = limits or Limits()
    source = _Counted(stream)
    seen: set[str] = set()
    total, count, extended = 0, 0, dict[str, str]()
    while True:
        header = source.exactly(BLOCK, "a header")
        if header == bytes(BLOCK):
            return
        kind, size = _header(header)
        if kind == b"x":
            if extended:
                raise OciError("the archive has two extended headers for one file")
            extended = _extended(source, size)
            continue
        path = extended.get("path") or _path(header)
        size = int(extended.get("size", size))
        extended = {}
        clean = _checked(path, limits)
        count += 1
        total += size
        if count > limits.files or total > limits.total:
            raise TooLargeError(
                f"the archive has more than {limits.files:,} files, or {limits.total:,} bytes"
            )
        if kind == b"5":
            if size:
                raise OciError(f"the folder {clean!r} of the archive has content")
            continue
        if kind not in (b"0", b"\0"):
            raise OciError(f"{clean!r} in the archive is no regular file (type {kind!r})")
        if clean in seen:
            raise OciError(f"{clean!r} is twice in the archive")
        seen.add(clean)
        begin = source.offset
        yield Member(clean, size, begin), _Part(source, begin, size)
        source.skip_to(begin + size)
        source.skip_to(begin + -(-size // BLOCK) * BLOCK)


class _Counted:
    """A stream that knows how far it was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.offset = 0

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self.offset += len(content)
        return content

    def exactly(self, size: int, what: str) -> bytes:
        content = b""
        while len(content) < size:
            chunk = self.read(size - len(content))
            if not chunk:
                raise OciError(f"the archive ends within {what}; it was cut off, or is no tar")
            content += chunk
        return content

    def skip_to(self, offset: int) -> None:
        while self.offset < offset:
            self.exactly(min(1024**2, offset - self.offset), "a file")


class _Part(io.RawIOBase):
    """The content of one file, as long as nothing behind it was read."""

    def __init__(self, source: _Counted, begin: int, size: int) -> None:
        self._source = source
        self._end = begin + size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = self._end - self._source.offset
        if left <= 0:
            return b""
        wanted = left if size is None or size < 0 else min(size, left)
        chunk = self._source.read(wanted)
        if not chunk and wanted:
            raise OciError("the archive ends within a file; it was cut off")
        return chunk


def _header(header: bytes) -> tuple[bytes, int]:
    said = _number(header[148:156], "a checksum")
    if said != sum(header[:148]) + sum(header[156:]) + 8 * 32:
        raise OciError("the archive has a header whose checksum is wrong; it is damaged, or no tar")
    return header[156:157], _number(header[124:136], "a size")


def _number(field: bytes, what: str) -> int:
    text = field.strip(b" \0")
    if not _OCTAL.fullmatch(text):
        raise OciError(f"the archive has {what} that is no octal number")
    return int(text or b"0", 8)


def _path(header: bytes) -> str:
    name, prefix = header[:100].partition(b"\0")[0], header[345:500].partition(b"\0")[0]
    whole = prefix + b"/" + name if prefix and header[257:262] == b"ustar" else name
    return _text(whole)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise OciError("the archive has a name that is not UTF-8") from error


def _extended(source: _Counted, size: int) -> dict[str, str]:
    """PAX: `length key=value` and a line feed; a path or a size that a header has no room for."""
    if size > _PAX_LIMIT:
        raise OciError("the archive has an extended header that is too large")
    content = source.exactly(-(-size // BLOCK) * BLOCK, "an extended header")[:size]
    found: dict[str, str] = {}
    checks: dict[str, Callable[[str], bool]] = {
        "path": bool,
        "size": lambda text: text.isascii() and text.isdigit() and len(text) < 20,
    }
    while content:
        length = _PAX_RECORD.match(content)
        end = int(length[1]) if length else 0
        if (
            length is None
            or end > len(content)
            or end <= length.end()
            or content[end - 1 : end] != b"\n"
        ):
            raise OciError("the archive has an extended header that cannot be read")
        key, equals, value = _text(content[length.end() : end - 1]).partition("=")
        if not equals or key in found or (key in checks and not checks[key](value)):
            raise OciError(
                f"the archive has an extended header with {key[:40]!r}, which is not read"
            )
        if key == "linkpath" or key.startswith(("GNU.sparse", "SCHILY.xattr")):
            raise OciError(
                f"the archive has an extended header with {key[:40]!r}, which is not read"
            )
        found[key] = value
        content = content[end:]
    return found


def _checked(path: str, limits: Limits) -> str:
    if path.startswith("/") or "\0" in path or "\\" in path or not path.isprintable():
        raise OciError(f"the path {path[:80]!r} has no place in an archive")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OciError(f"the path {path[:80]!r} leads out of the archive")
    if len(parts) > limits.depth or len(path.encode()) > limits.path:
        raise OciError(f"the path {path[:80]!r} is too long or too deep")
    return str(PurePosixPath(*parts)) if parts else "."
