"""One file for a whole image: an OCI layout as a tar, that `docker load` of older engines reads too."""

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from ntp.oci.descriptor import INDEX, MAX_DOCUMENT, Descriptor, dump, load, parse
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import CHUNK, MARK, Hashed, Layout, named
from ntp.oci.referrer import Attached
from ntp.oci.untar import Limits, Member, members

_BLOBS = "blobs/sha256/"
_CONTAINERD_NAME = "io.containerd.image.name"
_HUB = "docker.io/"
"""What every name without a registry begins with, once it is written out."""


@dataclass(frozen=True, slots=True)
class Item:
    """An image in an archive.

    `name`: what an engine calls it: `ntp/bollinger-strategy`. `tag`: of that name. `attachments`: SBOM,
    provenance; an engine needs none.
    """

    image: Image
    name: str
    tag: str
    attachments: Sequence[Attached] = ()


def write(
    layout: Layout, items: Sequence[Item], out: IO[bytes], *, by_digest: bool = False
) -> None:
    """Write images with what is attached to them; the bytes depend on nothing else.

    manifest.json is what `docker load` reads; an engine with containerd's image store reads the index,
    and there the name that containerd has an annotation for. Several images share their blobs, so that an engine is sent a base once.

    Args:
        layout: has the blobs; each is compared with its digest on the way.
        items: in the index a single image goes by its tag, several by name and tag.
        out: where to.
        by_digest: have containerd know each by `name@sha256:…`, too. It gives an image that it imports
            no name but those in the index, and a pod that asks by digest is not shown another.
    """
    alone = len(items) == 1
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            each.to_json()
            for item in items
            for each in (
                _for_containerd(
                    named(item.image.descriptor, item.tag if alone else f"{item.name}:{item.tag}"),
                    f"{item.name}:{item.tag}",
                ),
                *(_digest_for_containerd(item) for _ in range(by_digest)),
                *(attached.descriptor for attached in item.attachments),
            )
        ],
    }
    old = [
        {
            "Config": _BLOBS + item.image.config_descriptor.hexadecimal,
            "RepoTags": [f"{item.name}:{item.tag}"],
            "Layers": [_BLOBS + layer.hexadecimal for layer in item.image.layers],
        }
        for item in items
    ]
    small = {
        "oci-layout": MARK,
        "index.json": dump(index),
        "manifest.json": dump(old),
    }
    blobs = {each.digest: each for item in items for each in _blobs(item.image, item.attachments)}
    with tarfile.open(fileobj=out, mode="w|", bufsize=CHUNK, format=tarfile.PAX_FORMAT) as tar:
        tar.copybufsize = CHUNK  # type: ignore[attr-defined] # 16 KiB at a time costs seconds
        for path, content in small.items():
            tar.addfile(_info(path, len(content)), io.BytesIO(content))
        for digest in sorted(blobs):
            found = _info(_BLOBS + blobs[digest].hexadecimal, blobs[digest].size)
            tar.addfile(found, _Checked(layout, blobs[digest]))


def _for_containerd(descriptor: Descriptor, name: str) -> Descriptor:
    first, several, _ = name.partition("/")
    has_host = several and (first == "localhost" or "." in first or ":" in first)
    full = name if has_host else f"{_HUB}{name}"
    return replace(descriptor, annotations={**descriptor.annotations, _CONTAINERD_NAME: full})


def _digest_for_containerd(item: Item) -> Descriptor:
    return _for_containerd(item.image.descriptor, f"{item.name}@{item.image.digest}")


def blobs_of(image: Image, attachments: Sequence[Attached] = ()) -> tuple[Descriptor, ...]:
    """Return every blob once, manifests included."""
    return tuple({each.digest: each for each in _blobs(image, attachments)}.values())


def _blobs(image: Image, attachments: Sequence[Attached]) -> list[Descriptor]:
    found = [*image.layers, image.config_descriptor, image.descriptor]
    for each in attachments:
        found += [each.document, each.config, each.descriptor]
    return found


def _info(path: str, size: int) -> tarfile.TarInfo:
    found = tarfile.TarInfo(path)
    found.size, found.mode = size, 0o644
    return found


class _Checked(io.RawIOBase):
    """A blob as tarfile reads it; OciError behind its last byte if it was altered."""

    def __init__(self, layout: Layout, descriptor: Descriptor) -> None:
        self._chunks = layout.chunks(descriptor)
        self._chunk = b""
        self._at = 0
        self._left = descriptor.size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._at == len(self._chunk):
            self._chunk, self._at = next(self._chunks, b""), 0
        end = len(self._chunk) if size < 0 else self._at + size
        content = self._chunk[self._at : end]
        self._at += len(content)
        self._left -= len(content)
        if not self._left:
            next(self._chunks, None)  # behind the last byte it is compared
        return content


def take(path: Path, into: Layout, limits: Limits | None = None) -> tuple[Descriptor, ...]:
    """Take every blob of an archive into a layout, by its own digest; return its index.

    Raises:
        OciError: it is no OCI archive; a blob is not what its name says; something else is in it.
    """
    index: bytes | None = None
    mark: bytes | None = None
    with path.open("rb") as file:
        for member, content in members(file, limits):
            if member.path.startswith(_BLOBS):
                _take_blob(member, content, into)
            elif member.path == "index.json":
                index = _small(member, content)
            elif member.path == "oci-layout":
                mark = _small(member, content)
    if index is None or mark is None:
        raise OciError(
            f"{path} is no OCI archive: it has no {'oci-layout' if index else 'index.json'}"
        )
    manifests = load(index, f"{path}: index.json").get("manifests")
    if not isinstance(manifests, list) or len(manifests) > 1000:
        raise OciError(f"{path}: index.json has no list of manifests")
    return tuple(parse(each, f"{path}: index.json") for each in manifests)


def _take_blob(member: Member, content: io.RawIOBase, into: Layout) -> None:
    expected = Descriptor("", f"sha256:{member.path.removeprefix(_BLOBS)}", member.size)
    into.path(expected.digest)
    if into.has(expected):
        total = Hashed(None)
        while chunk := content.read(CHUNK):
            total.write(chunk)
        if total.digest != expected.digest:
            raise OciError(f"the blob {expected.digest} was altered: its bytes are {total.digest}")
        return
    into.take(iter(lambda: content.read(CHUNK), b""), expected)


def _small(member: Member, content: io.RawIOBase) -> bytes:
    if member.size > MAX_DOCUMENT:
        raise OciError(f"{member.path} in the archive has {member.size:,} bytes")
    return b"".join(iter(lambda: content.read(CHUNK), b""))
