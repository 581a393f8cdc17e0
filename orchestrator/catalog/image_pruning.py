"""Removes the images that nobody uses from the store, every blob that only they had, and what was taken out of these."""

import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ntp.oci.descriptor import INDEXES, Descriptor, parse
from ntp.oci.fault import OciError
from ntp.oci.layout import Layout
from ntp.package.seals import ROOM as SEALS
from orchestrator.catalog.image_store import PLUGIN, ImageStore, PluginImage
from orchestrator.catalog.told import told
from orchestrator.catalog.unpacked import ROOM, layer_of


@dataclass(frozen=True, slots=True)
class Pruned:
    """`size`: bytes of the blobs that nothing else has, and of what was taken out of them for processes.

    `unreadable`: digests of images whose manifest was gone, or altered; those of what is attached to one too.
    """

    images: tuple[PluginImage, ...]
    size: int
    unreadable: tuple[str, ...] = ()


def prune(store: ImageStore, used: Collection[str], *, dry_run: bool) -> Pruned:
    """Remove every image of a plugin whose digest is not in `used`, and what cannot be read any more.

    The base stays. Whoever uses what cannot be read fetches or builds it again.

    Args:
        store: is kept from builders and fetchers meanwhile.
        used: digests.
        dry_run: only say what would be removed.

    Raises:
        ActionError: the store cannot be read or written, or somebody builds or fetches for long.
    """
    if not (store.root / "index.json").exists():
        return Pruned((), 0)
    with told(), store.alone():
        rows, unreadable = store.looked_through()
        gone = tuple(row for row in rows if row.digest not in used)
        lost = tuple(each.digest for each in unreadable)
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
        return Pruned(gone, size, lost)


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
    manifest = layout.read_json(entry)
    layers = manifest.get("layers")
    for blob in (manifest.get("config"), *(layers if isinstance(layers, list) else ())):
        if isinstance(blob, dict):
            yield str(blob.get("digest"))


def _blobs(layout: Layout) -> Sequence[Path]:
    folder = layout.root / "blobs" / "sha256"
    # What begins with a dot is being written, by an older release that knows no lock.
    return [each for each in folder.iterdir() if not each.name.startswith(".")]
