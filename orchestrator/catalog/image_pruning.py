"""Removes the images that nobody uses from the store, every blob that only they had, and what was taken out of these."""

import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ntp.oci.descriptor import INDEXES, Descriptor, parse
from ntp.oci.fault import LostError, OciError
from ntp.oci.layout import Layout
from ntp.package.seals import ROOM as SEALS
from orchestrator.catalog.image_store import PLUGIN, ImageStore, PluginImage
from orchestrator.catalog.told import told
from orchestrator.catalog.unpacked import ROOM, layer_of


@dataclass(frozen=True, slots=True)
class Pruned:
    """`size`: bytes of the blobs that nothing else has, and of what was taken out of them for processes.

    `kept`: the other images. `unreadable`: digests of images, and of what is attached to one, of which the
    manifest or the config was gone, or altered. `unreadable_in_use`: of those that stay all the same.
    """

    images: tuple[PluginImage, ...]
    size: int
    kept: tuple[PluginImage, ...] = ()
    unreadable: tuple[str, ...] = ()
    unreadable_in_use: tuple[str, ...] = ()


def prune(store: ImageStore, used: Collection[str], *, dry_run: bool) -> Pruned:
    """Remove every image of a plugin whose digest is not in `used`, be it gone or altered itself.

    The base stays. One that is used stays named also where it was lost: whoever uses it fetches or builds
    it again. Until then nobody knows what belongs to it: then only blobs go that another removed one has.

    Args:
        store: is kept from builders and fetchers meanwhile.
        used: digests.
        dry_run: only say what would be removed.

    Raises:
        ActionError: something cannot be read or written (nothing was removed if it was read), or somebody
            builds or fetches for long.
    """
    if not (store.root / "index.json").exists():
        return Pruned((), 0)
    with told(), store.alone():
        rows, unreadable = store.looked_through()
        _refuse_unknown(unreadable)
        gone = tuple(row for row in rows if row.digest not in used)
        stay = tuple(row for row in rows if row.digest in used)
        lost = tuple(each for each in unreadable if each not in used)
        lost_in_use = tuple(each for each in unreadable if each in used)
        layout = store.layout()
        index = layout.index()
        removed = {*lost, *(row.digest for row in gone)}
        kept = [each for each in index if each.digest not in removed]
        kept = [each for each in kept if _subject(layout, each) not in removed]
        needed = {digest for each in kept for digest in _reached(layout, each)}
        loose = [blob for blob in _blobs(layout) if f"sha256:{blob.name}" not in needed]
        # What was laid aside stays while its layer is used, for who runs from it is asked nowhere. What else
        # begins with a dot was left by who was killed while filling or removing it: we are alone.
        folders = [
            each for each in _listed(store.root.parent / ROOM) if layer_of(each) not in needed
        ]
        if lost_in_use:
            theirs = {row.digest for row in gone}
            known = {digest for each in index if each.digest in theirs for digest in _reached(layout, each)}  # fmt: skip
            loose = [blob for blob in loose if f"sha256:{blob.name}" in known]
            folders = []
        size = sum(blob.stat().st_size for blob in loose) + sum(map(_size, folders))
        if not dry_run:
            with layout.locked():
                # First the names: cut off here, only blobs are left that the next one finds.
                layout.write_index(kept)
                for blob in loose:
                    blob.unlink(missing_ok=True)
            for folder in folders:
                _remove(folder)
                (store.root.parent / SEALS / f"{folder.name}.json").unlink(missing_ok=True)
        return Pruned(gone, size, stay, lost, lost_in_use)


def _refuse_unknown(unreadable: Mapping[str, OciError]) -> None:
    """What is not gone for certain may be there again in a moment, or for another release: OciError."""
    for digest, error in unreadable.items():
        if not isinstance(error, LostError):
            words = f"nothing was removed: of {digest} is not known what belongs to it: {error}"
            raise OciError(words, fix=error.fix) from error


def _listed(room: Path) -> Sequence[Path]:
    return list(room.iterdir()) if room.is_dir() else []


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def _remove(folder: Path) -> None:
    """First the name: cut off here, nobody takes the rest for the whole."""
    if folder.name[0] != ".":
        folder = folder.rename(folder.with_name(f".{folder.name}.{secrets.token_hex(4)}"))
    shutil.rmtree(folder)


def _subject(layout: Layout, entry: Descriptor) -> str:
    """What an attachment is attached to; empty for what is none."""
    if entry.artifact_type is None or PLUGIN in entry.annotations:
        return ""
    try:
        return parse(layout.read_json(entry).get("subject"), "a subject").digest
    except OciError:
        return ""


def _reached(layout: Layout, entry: Descriptor) -> Iterator[str]:
    yield entry.digest
    if entry.media_type in INDEXES:
        return
    try:
        manifest = layout.read_json(entry)
    except LostError:
        return
    layers = manifest.get("layers")
    for blob in (manifest.get("config"), *(layers if isinstance(layers, list) else ())):
        if isinstance(blob, dict):
            yield str(blob.get("digest"))


def _blobs(layout: Layout) -> Sequence[Path]:
    folder = layout.root / "blobs" / "sha256"
    # What begins with a dot is being written, by an older release that knows no lock.
    return [each for each in folder.iterdir() if not each.name.startswith(".")]
