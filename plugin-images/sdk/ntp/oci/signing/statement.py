"""What is signed: an in-toto statement that names an image and the documents about it, all by digest.

Its predicate is cosign's own "these were signed", which has no content: the subjects say it all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ntp.oci.descriptor import MANIFESTS, Descriptor, dump, is_digest, load
from ntp.oci.fault import OciError
from ntp.oci.provenance import MEDIA_TYPE, STATEMENT

__all__ = ["MEDIA_TYPE", "PREDICATE", "Statement", "read", "write"]

PREDICATE = "https://sigstore.dev/cosign/sign/v1"
MAX_SUBJECTS = 32


@dataclass(frozen=True, slots=True)
class Statement:
    """`image`: digest of its manifest. `documents`: digest -> media type."""

    name: str
    image: str
    documents: dict[str, str]


def write(name: str, image: Descriptor, documents: Sequence[Descriptor]) -> bytes:
    """Return the statement; the same subjects make the same bytes, in any order.

    Args:
        name: of the plugin.
        image: its manifest.
        documents: SBOM, provenance, report: the documents themselves, not the manifests around them.
    """
    listed = sorted(documents, key=lambda each: (each.media_type, each.digest))
    return dump(
        {
            "_type": STATEMENT,
            "subject": [
                _subject(name, image),
                *(_subject(each.media_type, each) for each in listed),
            ],
            "predicateType": PREDICATE,
            "predicate": {},
        }
    )


def read(content: bytes, where: str) -> Statement:
    """Read a statement whose signature was verified already.

    Raises:
        OciError: it is of another kind, or does not name one image.
    """
    found = load(content, where)
    if found.get("_type") != STATEMENT or found.get("predicateType") != PREDICATE:
        raise OciError(f"{where} says something else than that an image was signed")
    subjects = found.get("subject")
    if not isinstance(subjects, list) or not 0 < len(subjects) <= MAX_SUBJECTS:
        raise OciError(f"{where} has no list of at most {MAX_SUBJECTS} subjects")
    images: list[tuple[str, str]] = []
    documents: dict[str, str] = {}
    for each in subjects:
        name, digest, media = _parts(each, where)
        if media in MANIFESTS:
            images.append((name, digest))
        else:
            documents[digest] = media
    if len(images) != 1:
        raise OciError(f"{where} names {len(images)} images, and one is signed at a time")
    return Statement(*images[0], documents)


def _subject(name: str, of: Descriptor) -> dict[str, Any]:
    return {"name": name, "mediaType": of.media_type, "digest": {"sha256": of.hexadecimal}}


def _parts(subject: object, where: str) -> tuple[str, str, str]:
    found = subject if isinstance(subject, dict) else {}
    name, media, digests = found.get("name"), found.get("mediaType"), found.get("digest")
    digest = f"sha256:{digests.get('sha256')}" if isinstance(digests, dict) else ""
    if not (isinstance(name, str) and isinstance(media, str) and is_digest(digest)):
        raise OciError(f"{where} has a subject without name, media type and SHA-256")
    return name, digest, media
