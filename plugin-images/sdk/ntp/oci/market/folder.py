"""A marketplace in a folder: an OCI layout, that skopeo and others read too."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ntp.contract import semver
from ntp.contract.names import object_name
from ntp.oci import archive, artifact
from ntp.oci.descriptor import Descriptor
from ntp.oci.fault import OciError
from ntp.oci.image import Image, one_platform, read
from ntp.oci.layout import REF, Layout, named
from ntp.oci.market.place import CATALOGUE, KIND, Listed, Progress, moved
from ntp.oci.referrer import Attached, attached
from ntp.oci.source import architecture

LOCAL = "localhost"
"""The host in the name of an image that no registry has: as podman calls them."""


class Folder:
    """`root`: made when something is written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.location = str(root)

    def reference(self, name: str, version: str) -> str:
        return local_reference(name, version)

    def resolve(self, name: str, version: str) -> str | None:
        found = self._named(_entry(name, version))
        return None if found is None else found.digest

    def pull_manifest(
        self, name: str, version: str, digest: str, into: Layout
    ) -> tuple[Image, tuple[Attached, ...]]:
        del name, version
        there = self._there()
        index = there.index()
        found = next((each for each in index if each.digest == digest), None)
        if found is None:
            raise OciError(f"{digest} is not in {self.root}", reason="ImageNotFound")
        chosen = one_platform(there, found, architecture=architecture())
        image = read(there, chosen)
        mine = attached(there, image, index)
        wanted = {image.descriptor.digest, image.config_descriptor.digest}
        for blob in archive.blobs_of(image, mine):
            if blob.digest in wanted or blob not in image.layers:
                _copy(there, blob, into)
        return image, mine

    def pull_layers(
        self, name: str, version: str, image: Image, into: Layout, progress: Progress
    ) -> None:
        del name, version
        there = self._there()
        for number, layer in enumerate(image.layers, start=1):
            progress(f"layer {number} of {len(image.layers)} ({layer.size:,} bytes)")
            _copy(there, layer, into)

    def push(
        self,
        layout: Layout,
        image: Image,
        attachments: Sequence[Attached],
        *,
        name: str,
        version: str,
        progress: Progress,
    ) -> None:
        there = Layout.create(self.root)
        for blob in archive.blobs_of(image, attachments):
            if not there.has(blob):
                progress(f"{blob.digest[:19]} ({blob.size:,} bytes)")
            _copy(layout, blob, there)
        entry = named(image.descriptor, _entry(name, version))
        self._list(there, [entry, *(each.descriptor for each in attachments)], entry)

    def catalogue(self) -> Listed | None:
        found = self._named(CATALOGUE)
        if found is None:
            return None
        there = self._there()
        return Listed(found.digest, artifact.read(there, found).contents(there))

    def write_catalogue(self, files: Mapping[str, bytes], *, before: str | None) -> None:
        there = Layout.create(self.root)
        made = artifact.write(there, KIND, files)
        self._list(there, [], named(made.descriptor, CATALOGUE), before=(before,))

    def close(self) -> None:
        """Nothing is held."""

    def _there(self) -> Layout:
        return Layout.open(self.root)

    def _named(self, entry: str) -> Descriptor | None:
        if not (self.root / "index.json").exists():
            return None
        return next(
            (each for each in self._there().index() if each.annotations.get(REF) == entry), None
        )

    def _list(
        self,
        there: Layout,
        mine: Sequence[Descriptor],
        entry: Descriptor,
        *,
        before: tuple[str | None] | None = None,
    ) -> None:
        """Name what was written in the index, in place of what had that name."""
        name = entry.annotations[REF]
        with there.locked():
            index = there.index()
            old = next((each for each in index if each.annotations.get(REF) == name), None)
            if before is not None and before[0] != (old.digest if old else None):
                raise moved(self.location)
            new = {each.digest: each for each in (entry, *mine)}
            kept = [each for each in index if each is not old and each.digest not in new]
            there.write_index([*new.values(), *kept])
        if old is not None and before is not None:
            with contextlib.suppress(OSError):
                there.path(old.digest).unlink()  # a catalogue's manifest; nobody else names it


def local_reference(name: str, version: str) -> str:
    """Return the name of an image that no registry has, without a digest."""
    return f"{LOCAL}/{_entry(name, version)}"


def _entry(name: str, version: str) -> str:
    return f"{object_name(name)}:{semver.tag(version)}"


def _copy(source: Layout, blob: Descriptor, into: Layout) -> None:
    if into.has(blob):
        into.check(blob)
    else:
        into.take(source.chunks(blob), blob)
