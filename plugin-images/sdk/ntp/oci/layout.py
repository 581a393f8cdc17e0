"""An OCI image layout on disk: blobs by digest, an index of what is in it. Every read is checked."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ntp.oci.descriptor import (
    INDEX,
    MAX_DOCUMENT,
    Descriptor,
    dump,
    is_digest,
    load,
    parse,
)
from ntp.oci.fault import LostError, OciError

REF = "org.opencontainers.image.ref.name"
MARK = b'{"imageLayoutVersion":"1.0.0"}'
CHUNK = 1024**2
CHECKED = 1000
"""Blobs that are remembered as read through."""
_checked: set[tuple[str | int, ...]] = set()
LOCK_S = 60.0
"""Longest wait for another writer of the index, who needs milliseconds."""


class Layout:
    """Several processes may write into one layout: a blob is whole or not there, the index is locked."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def create(cls, root: Path) -> "Layout":
        """Return the layout at `root`, made where nothing is yet; OSError where it cannot be."""
        (root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        found = cls(root)
        if not (root / "oci-layout").exists():
            found._replace("oci-layout", MARK)
        if not (root / "index.json").exists():
            with found.locked():
                if not (root / "index.json").exists():
                    found.write_index(())
        return found

    @classmethod
    def open(cls, root: Path) -> "Layout":
        """Return the layout at `root`; OciError if there is none."""
        found = cls(root)
        try:
            mark = load(_bounded(root / "oci-layout"), f"{root}/oci-layout")
        except OSError as error:
            raise OciError(f"{root} is no OCI layout: it has no file 'oci-layout'") from error
        if mark.get("imageLayoutVersion") != "1.0.0":
            raise OciError(f"{root} is an OCI layout of version {mark.get('imageLayoutVersion')!r}")
        return found

    def path(self, digest: str) -> Path:
        """Return where a blob is, or would be."""
        if not is_digest(digest):
            raise OciError(f"{digest!r} is no digest")
        return self.root / "blobs" / "sha256" / digest.partition(":")[2]

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether a blob of that name and size is there; it is not read."""
        try:
            found = self.path(descriptor.digest).lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == descriptor.size

    def put(self, content: bytes, media_type: str) -> Descriptor:
        return self.produce(lambda out: out.write(content), media_type)

    def put_json(self, document: object, media_type: str) -> Descriptor:
        return self.put(dump(document), media_type)

    def produce(self, write: Callable[[IO[bytes]], object], media_type: str) -> Descriptor:
        """Take in what `write` writes, under its own digest."""
        with self._scratch() as (scratch, out):
            hashed = Hashed(out)
            write(hashed)  # type: ignore[arg-type] # it has the one method that is used
            out.flush()
            found = Descriptor(media_type, hashed.digest, hashed.size)
            self._keep(scratch, found)
        return found

    def take(self, chunks: Iterator[bytes], expected: Descriptor) -> None:
        """Take in somebody else's blob, if it is exactly what its descriptor says.

        Raises:
            OciError: more bytes, fewer bytes, or other bytes.
        """
        with self._scratch() as (scratch, out):
            hashed = Hashed(out)
            for chunk in chunks:
                if hashed.size + len(chunk) > expected.size:
                    raise OciError(
                        f"the blob {expected.digest} has more than its {expected.size:,} bytes"
                    )
                hashed.write(chunk)
            _compare(hashed, expected)
            out.flush()
            self._keep(scratch, expected)

    def read(self, descriptor: Descriptor, *, limit: int = MAX_DOCUMENT) -> bytes:
        """Return a small blob; OciError if it is absent, large, or not what its descriptor says."""
        if descriptor.size > limit:
            raise OciError(f"{descriptor.digest} has {descriptor.size:,} bytes; {limit:,} are read")
        return b"".join(self.chunks(descriptor))

    def read_json(self, descriptor: Descriptor) -> dict[str, Any]:
        return load(self.read(descriptor), descriptor.digest)

    def chunks(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob; after its last byte raise OciError if it is not what its descriptor says."""
        hashed = Hashed(None)
        with self._opened(descriptor) as file:
            while chunk := file.read(CHUNK):
                hashed.write(chunk)
                if hashed.size > descriptor.size:
                    break
                yield chunk
        _compare(hashed, descriptor)

    def check(self, descriptor: Descriptor) -> None:
        """Read a blob through; OciError if it is not what its descriptor says.

        Once in a process for as long as the file is not touched: fifty plugins share a base.
        """
        before = self._file(descriptor)
        if before is not None and before in _checked:
            return
        for _ in self.chunks(descriptor):
            pass
        if before is not None and before == self._file(descriptor):
            if len(_checked) >= CHECKED:
                _checked.clear()
            _checked.add(before)

    def index(self) -> tuple[Descriptor, ...]:
        """Return what index.json names."""
        where = f"{self.root}/index.json"
        try:
            document = load(_bounded(self.root / "index.json"), where)
        except OSError as error:
            raise OciError(f"{where} cannot be read: {error.strerror}") from error
        manifests = document.get("manifests")
        if not isinstance(manifests, list) or len(manifests) > 10_000:
            raise OciError(f"{where} has no list of manifests")
        return tuple(parse(each, where) for each in manifests)

    def write_index(self, manifests: Sequence[Descriptor]) -> None:
        document = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [each.to_json() for each in manifests],
        }
        self._replace("index.json", dump(document))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers of the index out; reading needs no lock. OciError at the deadline."""
        deadline = time.monotonic() + LOCK_S
        fd = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        words = f"another process holds {self.root} for more than {LOCK_S:.0f} s"
                        raise OciError(words, fix="see who it is, or end it") from error
                    time.sleep(0.02)
            yield
        finally:
            os.close(fd)

    def _file(self, descriptor: Descriptor) -> tuple[str | int, ...] | None:
        """Say which file holds a blob, and in which state: a write changes the last number."""
        try:
            found = self.path(descriptor.digest).lstat()
        except OSError:
            return None
        return (
            descriptor.digest,
            descriptor.size,
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
        )

    @contextlib.contextmanager
    def _opened(self, descriptor: Descriptor) -> Iterator[IO[bytes]]:
        path = self.path(descriptor.digest)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise LostError(f"the blob {descriptor.digest} is not in {self.root}") from error
        except OSError as error:
            words = f"the blob {descriptor.digest} cannot be read: {error.strerror}"
            raise OciError(words, fix=f"see {path}") from error
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OciError(f"the blob {descriptor.digest} is no regular file")
            yield file

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[tuple[Path, IO[bytes]]]:
        scratch = self.root / "blobs" / "sha256" / f".{secrets.token_hex(8)}"
        try:
            with scratch.open("xb") as out:
                yield scratch, out
        finally:
            scratch.unlink(missing_ok=True)

    def _keep(self, scratch: Path, found: Descriptor) -> None:
        scratch.chmod(0o444)
        scratch.replace(self.path(found.digest))

    def _replace(self, name: str, content: bytes) -> None:
        scratch = self.root / f".{name}.{secrets.token_hex(4)}"
        try:
            scratch.write_bytes(content)
            scratch.replace(self.root / name)
        finally:
            scratch.unlink(missing_ok=True)


class Hashed:
    """Counts and hashes what is written, and writes it on."""

    def __init__(self, out: IO[bytes] | None) -> None:
        self._out = out
        self._total = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> int:
        self._total.update(content)
        self.size += len(content)
        if self._out is not None:
            self._out.write(content)
        return len(content)

    def flush(self) -> None:
        """Nothing is held back here."""

    @property
    def digest(self) -> str:
        return f"sha256:{self._total.hexdigest()}"


def _compare(found: Hashed, expected: Descriptor) -> None:
    if found.size != expected.size:
        raise LostError(
            f"the blob {expected.digest} has {found.size:,} bytes, and its descriptor says "
            f"{expected.size:,}"
        )
    if found.digest != expected.digest:
        raise LostError(
            f"the blob {expected.digest} was altered: its bytes are {found.digest}",
            fix="get it once more; if that stays so, ask who serves it",
        )


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_DOCUMENT + 1)
    if len(content) > MAX_DOCUMENT:
        raise OciError(f"{path} has more than {MAX_DOCUMENT:,} bytes")
    return content


def named(descriptor: Descriptor, name: str) -> Descriptor:
    """Return the descriptor under a name in an index."""
    return Descriptor(
        descriptor.media_type,
        descriptor.digest,
        descriptor.size,
        {**descriptor.annotations, REF: name},
        descriptor.artifact_type,
        descriptor.platform,
    )
