"""Texts of any length as objects of a cluster, which hold one MiB each: compressed, and cut in pieces.

The head of a document is written last and names its pieces by what is in them. So whoever reads has
all of one state or all of the one before it, wherever the writer was cut off.
"""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.cluster.kinds import CONFIG_MAP, SECRET, Body, Kind

PIECE = 700_000
"""Bytes in one object: with base64 and its head it stays below what one request may have (1.5 MiB)."""
MOST_BYTES = 256 * 1024 * 1024
"""Of one document, unpacked: what is larger was not written by us."""
DOCUMENT, SUM, PIECES, EPOCH = (
    f"ntp.dev/{each}" for each in ("document", "sum", "pieces", "epoch")
)
PART, STATE = "ntp.dev/part", "state"
_BODY = "body"
_UNFIT = re.compile(r"[^a-z0-9.]+")
_PIECE_NAME = re.compile(r".+\.[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Document:
    """`name` is unique in a release; `secret`: it holds what not everybody may read."""

    name: str
    secret: bool = False

    @property
    def kind(self) -> Kind:
        return SECRET if self.secret else CONFIG_MAP


def labels(release: str) -> dict[str, str]:
    """Return what every object of the state of a release has."""
    return {
        "app.kubernetes.io/name": "ntp",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": STATE,
        "app.kubernetes.io/managed-by": "ntp",
        PART: STATE,
    }


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def packed(release: str, document: Document, text: str, *, epoch: int) -> tuple[Body, list[Body]]:
    """Return the head of a document and the pieces that have to be there before it."""
    raw = zlib.compress(text.encode(), 6)
    notes = {DOCUMENT: document.name, SUM: digest(text), EPOCH: str(epoch)}
    name = object_name(release, document)
    if len(raw) <= PIECE:
        return _body(release, document, name, notes, raw), []
    pieces = []
    for start in range(0, len(raw), PIECE):
        cut = raw[start : start + PIECE]
        own = f"{name}.{hashlib.sha256(cut).hexdigest()[:16]}"
        pieces.append(_body(release, document, own, {EPOCH: str(epoch)}, cut))
    named = " ".join(each["metadata"]["name"] for each in pieces)
    return _body(release, document, name, {**notes, PIECES: named}, b""), pieces


def unpacked(head: Body, piece: Callable[[str], Body | None]) -> str | None:
    """Return what a document says; None: it is damaged, or a piece of it is gone."""
    notes = notes_of(head)
    bodies: Sequence[Body | None] = [head]
    if notes.get(PIECES):
        bodies = [piece(name) for name in notes[PIECES].split()]
    try:
        raw = b"".join(_raw(each) for each in bodies)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(raw, MOST_BYTES).decode()
    except (zlib.error, ValueError, LookupError, TypeError):
        return None
    return text if digest(text) == notes.get(SUM) else None


def notes_of(body: Body) -> Mapping[str, str]:
    return body["metadata"].get("annotations") or {}


def epoch_of(body: Body) -> int:
    """Return the epoch of who wrote an object; 0: it does not say."""
    told = notes_of(body).get(EPOCH, "")
    return int(told) if told.isdigit() else 0


def object_name(release: str, document: Document) -> str:
    """Return the name of a document's head: readable, and another one for each document."""
    plain = _UNFIT.sub("-", document.name.lower()).strip("-.")[:40].strip("-.")
    if plain != document.name:
        plain = f"{plain or 'x'}-{digest(document.name)[:8]}"
    return f"{release}-{STATE}-{plain}"


def is_piece(name: str) -> bool:
    """Tell by its name whether an object is a piece: what is noted on it may be gone."""
    return _PIECE_NAME.fullmatch(name) is not None


def named_by(release: str, name: str) -> str:
    """Return what the document of a head is called, as far as the name of the object says so."""
    return name.removeprefix(f"{release}-{STATE}-")


def _body(
    release: str, document: Document, name: str, notes: Mapping[str, str], raw: bytes
) -> Body:
    metadata = {"labels": labels(release), "annotations": dict(notes)}
    data = {_BODY: base64.b64encode(raw).decode()} if raw else {}
    if document.secret:
        return SECRET.body(name, metadata=metadata, type="ntp.dev/state", data=data)
    return CONFIG_MAP.body(name, metadata=metadata, binaryData=data)


def _raw(body: Body | None) -> bytes:
    if body is None:
        raise LookupError("a piece is gone")
    data = body.get("data" if body["kind"] == SECRET.kind else "binaryData") or {}
    return base64.b64decode(data[_BODY], validate=True)
