"""What names bytes: media type, SHA-256 and size; and the JSON documents that are named so."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ntp.oci.fault import OciError

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

INDEXES = frozenset({INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})
CONFIGS = frozenset({CONFIG, DOCKER_CONFIG})
LAYERS = frozenset({LAYER, LAYER_GZIP, DOCKER_LAYER_GZIP})

MAX_DOCUMENT = 4 * 1024**2
"""Bytes of a manifest, an index or a config: what registries accept."""
MAX_BLOB = 4 * 1024**3

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """`digest`: `sha256:` and 64 hexadecimal digits. `size`: bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None
    platform: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.artifact_type is not None:
            found["artifactType"] = self.artifact_type
        if self.platform is not None:
            found["platform"] = dict(self.platform)
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found

    @property
    def hexadecimal(self) -> str:
        return self.digest.partition(":")[2]


def parse(document: object, where: str) -> Descriptor:
    """Return a descriptor that somebody else wrote.

    Raises:
        OciError: `where` has something else than a descriptor of ours.
    """
    found = document if isinstance(document, dict) else {}
    media, digest, size = found.get("mediaType"), found.get("digest"), found.get("size")
    if not isinstance(media, str) or not _MEDIA_TYPE.fullmatch(media):
        raise OciError(f"{where} has no media type")
    if not is_digest(digest):
        raise OciError(f"{where} has the digest {str(digest)[:80]!r}, and only sha256 is read")
    if type(size) is not int or not 0 <= size <= MAX_BLOB:
        raise OciError(
            f"{where} has the size {str(size)[:40]!r}; at most {MAX_BLOB:,} bytes are read"
        )
    artifact, platform = found.get("artifactType"), found.get("platform")
    return Descriptor(
        media,
        str(digest),
        size,
        _texts(found.get("annotations")),
        artifact if isinstance(artifact, str) else None,
        _texts(platform) if isinstance(platform, dict) else None,
    )


def _texts(value: object) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: text for name, text in pairs if isinstance(name, str) and isinstance(text, str)}


def is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def describe(content: bytes, media_type: str) -> Descriptor:
    return Descriptor(media_type, digest_of(content), len(content))


def dump(document: object) -> bytes:
    """Return the one way in which we write a document: its digest depends on nothing else."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def load(content: bytes, where: str) -> dict[str, Any]:
    """Read a document that somebody else wrote.

    Raises:
        OciError: it is no JSON object, or readers may differ over what it says: a key twice, NaN.
    """
    try:
        document = json.loads(content, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise OciError(f"{where} is no JSON: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise OciError(f"{where} is no JSON object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(
            name for name, count in Counter(name for name, _ in pairs).items() if count > 1
        )
        raise ValueError(f"the key {twice[:80]!r} is there twice")
    return found


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")
