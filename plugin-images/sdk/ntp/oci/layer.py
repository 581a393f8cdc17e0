"""One layer of an image: a tar whose bytes depend on paths and contents alone."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Protocol

from ntp.oci.descriptor import LAYER_GZIP, Descriptor
from ntp.oci.fault import OciError
from ntp.oci.layout import CHUNK, Layout
from ntp.oci.wrapped import Wrapped

FILE_MODE, PROGRAM_MODE, FOLDER_MODE = 0o644, 0o755, 0o755


class Content(Protocol):
    """Where a file's bytes are."""

    def read_bytes(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that are in memory."""

    content: bytes

    def read_bytes(self) -> bytes:
        return self.content


@dataclass(frozen=True, slots=True)
class File:
    """A regular file; `owner`: uid and gid."""

    content: Content
    program: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link; a base has them, a plugin's layers do not."""

    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that may be empty. Those above a file are made by themselves."""

    mode: int = FOLDER_MODE


Entry = File | Link | Folder


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in a layout. `diff_id`: the digest of the tar itself, compressed or not."""

    descriptor: Descriptor
    diff_id: str
    comment: str


@dataclass(frozen=True, slots=True)
class Form:
    """How layers are written.

    `epoch`: seconds since 1970 that every file has (SOURCE_DATE_EPOCH). `compress`: or else the gzip is
    one that only wraps. What deflate makes of the same bytes differs from one zlib to another (zlib,
    zlib-ng, Apple's), so only without it the digest is the same on every machine; and a plain tar would
    be compressed by whoever copies it, which changes its digest too. The image's id (the digest of its
    config) is the same either way.
    """

    epoch: int = 0
    compress: bool = False


PLAIN = Form()


def write(
    layout: Layout, entries: Mapping[str, Entry], form: Form = PLAIN, *, comment: str = ""
) -> Layer:
    """Write a layer into the layout: sorted, one time, owner root, two modes.

    Args:
        layout: where to.
        entries: by absolute path inside the image.
        form: how.
        comment: for the image's history.
    """
    inner = hashlib.sha256()

    def produce(out: IO[bytes]) -> None:
        if form.compress:
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=out, mtime=0) as packed:
                _tar(_Tee(packed, inner), entries, form.epoch)
            return
        wrapped = Wrapped(out)
        _tar(_Tee(wrapped, inner), entries, form.epoch)
        wrapped.end()

    descriptor = layout.produce(produce, LAYER_GZIP)
    return Layer(descriptor, f"sha256:{inner.hexdigest()}", comment)


class _Tee(io.RawIOBase):
    """Writes on, and hashes what it writes."""

    def __init__(self, out: "Wrapped | gzip.GzipFile", total: "hashlib._Hash") -> None:
        self._out = out
        self._total = total

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload] # any buffer, as io says
        self._out.write(content)
        self._total.update(content)
        return len(content)


def _tar(out: io.RawIOBase, entries: Mapping[str, Entry], epoch: int) -> None:
    with tarfile.open(fileobj=out, mode="w|", bufsize=CHUNK, format=tarfile.PAX_FORMAT) as tar:
        for path, entry in _with_parents(entries):
            found = tarfile.TarInfo(path)
            found.mtime = epoch
            match entry:
                case File(content, program):
                    data = content.read_bytes()
                    found.mode = PROGRAM_MODE if program else FILE_MODE
                    found.size = len(data)
                    tar.addfile(found, io.BytesIO(data))
                case Link(target):
                    found.type, found.linkname, found.mode = tarfile.SYMTYPE, target, 0o777
                    tar.addfile(found)
                case Folder(mode):
                    found.type, found.mode = tarfile.DIRTYPE, mode
                    tar.addfile(found)


def _with_parents(entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry]]:
    every: dict[str, Entry] = {}
    for path, entry in entries.items():
        clean = _inside(path)
        for parent in PurePosixPath(clean).parents:
            if parent != PurePosixPath("."):
                every.setdefault(str(parent), Folder())
        every[clean] = entry
    # By parts: a folder comes right before what is in it.
    return iter(sorted(every.items(), key=lambda item: PurePosixPath(item[0]).parts))


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path.startswith("/") or ".." in parts or len(parts) < 2 or not path.isprintable():
        raise OciError(f"the path {path!r} has no place in an image")
    if any(part.startswith(".wh.") for part in parts):
        raise OciError(f"the path {path!r} would delete a file of the layers below")
    return "/".join(parts[1:])


def under(folder: str, files: Iterable[tuple[str, Content]]) -> dict[str, Entry]:
    """Return regular files by their path in the image, below `folder`."""
    return {f"{folder}/{path}": File(content) for path, content in files}
