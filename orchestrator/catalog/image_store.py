"""The images of plugins that are here: one OCI layout under the user's cache, in which they share layers.

An image is never changed: another input is another image, and what runs by digest is found as long as
it lies here.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ntp.contract.names import object_name
from ntp.oci import archive, base_image
from ntp.oci import image as images
from ntp.oci.descriptor import Descriptor
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import REF, Layout
from ntp.oci.plugin_image import INPUT
from ntp.package.cache import Cache
from ntp.package.file_lock import hold
from orchestrator import launch
from orchestrator.catalog.told import told, told_of_packages

FOLDER = "images"
SITE = tuple(
    map(Path, (base_image.SDK_FOLDER, base_image.WHEELS_FOLDER, base_image.RUNTIME_FOLDER))
)
"""Where the modules of a plugin's image are, in the order in which they are looked for."""
OURS = tuple(map(Path, (base_image.SDK_FOLDER, base_image.RUNTIME_FOLDER)))
"""Those of them that are the base's: no wheel of a plugin is there."""
PLUGIN, VERSION, MADE = "ntp-image.plugin", "ntp-image.version", "ntp-image.made"
BASE = base_image.NAMED_LAST
"""Of the entry of the base that was named last: its name."""
_MADE_OF, _SERVED = "image-of", "image-users"
LOCK_S = 120.0
"""Longest wait for who builds or fetches an image."""
_OURS = "ntp-"
"""Of an entry of the index here; the images themselves do not say when they were made."""


@dataclass(frozen=True, slots=True)
class PluginImage:
    """`name`: what an engine calls it. `id`: in an engine; `digest`: in a registry. `made`: just now."""

    plugin: str
    version: str
    name: str
    digest: str
    id: str
    size: int
    base: str
    at: datetime
    made: bool


class ImageStore:
    """Methods block: call them in a thread. Several processes may share one cache.

    Args:
        cache: the user's folder for what can be made again.
        lock_s: how long one who prunes, or who is kept out by him, waits.
    """

    def __init__(self, cache: Path, *, lock_s: float = LOCK_S) -> None:
        self.root = cache / FOLDER
        self._lock_s = lock_s
        self._cache = Cache(cache)

    def layout(self) -> Layout:
        return Layout.create(self.root)

    def keep(
        self,
        layout: Layout,
        entry: Descriptor,
        attachments: Sequence[Descriptor],
        *,
        in_place_of: str | None = None,
    ) -> None:
        """Name an image in the index, with what is attached to it.

        What has the annotation `in_place_of` is not named any more. What is attached may come from a
        registry: it takes the place of nothing that is here, and says nothing in our own words.
        """
        with layout.locked():
            others = [
                each
                for each in layout.index()
                if each.digest != entry.digest
                and (in_place_of is None or in_place_of not in each.annotations)
            ]
            known = {each.digest for each in (entry, *others)}
            fresh = [_in_its_words(each) for each in attachments if each.digest not in known]
            layout.write_index([entry, *fresh, *others])

    def using(self) -> AbstractContextManager[None]:
        """Keep `alone` out while blobs are written that no index names yet. ActionError at the deadline."""
        return self._held(together=True)

    def alone(self) -> AbstractContextManager[None]:
        """Keep all who build or fetch out. ActionError at the deadline."""
        return self._held(together=False)

    @contextlib.contextmanager
    def _held(self, *, together: bool) -> Iterator[None]:
        held = f"builds, fetches or prunes images in {self.root}"
        path = self._existing() / ".use"
        with (
            told_of_packages(),
            hold(path, within_s=self._lock_s, held=held, together=together),
        ):
            yield

    def serve(self, state: Path) -> None:
        """Remember that what is applied in this state file is run from here; `prune` asks it."""
        name = hashlib.sha256(os.fsencode(state.absolute())).hexdigest()[:16]
        with told_of_packages():
            self._cache.write(_SERVED, name, str(state.absolute()))

    def served(self) -> Sequence[Path]:
        """Return the state files that are there of those which are run from here."""
        found = (self._cache.read(_SERVED, each.stem) for each in self._served())
        return sorted(Path(each) for each in found if isinstance(each, str) and Path(each).exists())

    def _served(self) -> Iterator[Path]:
        return (self._cache.root / _SERVED).glob("*.json")

    def note(self, artifact: str, image: str) -> None:
        """Remember which image was made of an artifact last; both by digest."""
        if self.made_of(artifact) != image:
            with told_of_packages():
                self._cache.write(_MADE_OF, artifact, image)

    def made_of(self, artifact: str) -> str:
        """Return the digest of the image that was made of an artifact last; empty: not known."""
        return str(self._cache.read(_MADE_OF, artifact) or "")

    def runnable(self, name: str, *, id_: str, digest: str) -> launch.Image:
        """Return an image of here as a runtime takes it: known by either digest, loaded where it is missing."""
        return launch.Image(name, frozenset({id_, digest}), partial(self.archive, [digest]))

    @contextlib.contextmanager
    def archive(self, digests: Sequence[str]) -> Iterator[Path]:
        """Yield a file of these images that `docker load` takes, for as long as the block lasts.

        What they share is in it once. Every byte was compared with its digest on the way.

        Raises:
            ActionError: one is not here any more, or was altered.
        """
        with tempfile.TemporaryDirectory(prefix="ntp-load-", dir=self._existing()) as folder:
            file = Path(folder) / "images.tar"
            with told(), self.using():
                layout = self.layout()
                index = {
                    each.digest: each
                    for each in layout.index()
                    if PLUGIN in each.annotations or BASE in each.annotations
                }
                for digest in digests:
                    if digest not in index:
                        words = f"the image {digest} is not here any more"
                        raise OciError(words, fix="ntpctl images build")
                items = [_item(layout, index[digest]) for digest in dict.fromkeys(digests)]
                with file.open("xb") as out:
                    archive.write(layout, items, out)
            yield file

    def listed(self) -> Sequence[PluginImage]:
        """Return the images that are here and can be read, the newest of each plugin first.

        Raises:
            ActionError: the store cannot be read.
        """
        return self.looked_through()[0]

    def looked_through(self) -> tuple[Sequence[PluginImage], Mapping[str, OciError]]:
        """Return the same, and why what else the index names cannot be read, by digest.

        Raises:
            ActionError: the store cannot be read.
        """
        rows: list[PluginImage] = []
        unreadable: dict[str, OciError] = {}
        if (self.root / "index.json").exists():
            with told():
                layout = self.layout()
                for each in layout.index():
                    try:
                        if PLUGIN in each.annotations:
                            image = images.read(layout, each)
                            rows.append(row_of(image, each.annotations, made=False))
                        else:
                            layout.read_json(each)
                    except OciError as error:
                        unreadable[each.digest] = error
                    except OSError as error:
                        words = f"{each.digest} cannot be read: {error.strerror}"
                        unreadable[each.digest] = OciError(words, fix=f"see {self.root}")
        rows.sort(key=lambda row: row.at, reverse=True)
        return sorted(rows, key=lambda row: row.plugin), unreadable

    def _existing(self) -> Path:
        with told():
            self.layout()
        return self.root


def _in_its_words(attachment: Descriptor) -> Descriptor:
    theirs = {
        name: text
        for name, text in attachment.annotations.items()
        if not name.startswith(_OURS) and name != REF
    }
    return replace(attachment, annotations=theirs)


def about(plugin: str, version: str, wanted: str) -> dict[str, str]:
    """Return what the index says of an image; `wanted`: the digest of all that it follows from."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {INPUT: wanted, PLUGIN: plugin, VERSION: version, MADE: now}


def _item(layout: Layout, entry: Descriptor) -> archive.Item:
    is_base = BASE in entry.annotations
    called = base_name(entry.digest) if is_base else _name(entry.annotations)
    name, _, tag = called.partition(":")
    return archive.Item(images.read(layout, entry), name, tag)


def base_name(digest: str) -> str:
    """Return what an engine calls a base."""
    return f"ntp/base:{digest.partition(':')[2][:12]}"


def _name(about: Mapping[str, str]) -> str:
    return f"ntp/{object_name(about[PLUGIN])}:{about[VERSION].replace('+', '_')}"


def with_annotations(descriptor: Descriptor, annotations: Mapping[str, str]) -> Descriptor:
    return replace(descriptor, annotations={**descriptor.annotations, **annotations})


def row_of(image: Image, about: Mapping[str, str], *, made: bool) -> PluginImage:
    """Return an image as it is shown; `about`: what the index says of it."""
    labels = image.labels
    return PluginImage(
        plugin=about[PLUGIN],
        version=about[VERSION],
        name=_name(about),
        digest=image.digest,
        id=image.id,
        size=image.size,
        base=labels.get(f"{base_image.OCI}base.digest", ""),
        at=datetime.fromisoformat(about[MADE]),
        made=made,
    )
