"""Images of marketplaces on their way into the store: verified first, fetched then, never the other way round."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ntp.contract.manifest import Manifest
from ntp.oci import image as images
from ntp.oci.archive import blobs_of
from ntp.oci.descriptor import Descriptor
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.market import admission
from ntp.oci.market.admission import Admitted
from ntp.oci.market.catalogue import Catalogue
from ntp.oci.market.place import Place
from ntp.oci.referrer import Attached, attached
from ntp.oci.signing.signature import Trusted
from orchestrator.catalog.image_store import ImageStore, about, with_annotations
from orchestrator.catalog.named_images import NamedImages

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be installed: its signature holds, and this machine can run it. `layout`: has no layer yet
    where it comes from a marketplace, all of it where it comes from a file.
    """

    found: Admitted
    layout: Layout
    place: Place | None

    @property
    def manifest(self) -> Manifest:
        return self.found.manifest


class Purchases:
    """Methods block. What is refused leaves nothing: all lies in a scratch folder until it is kept."""

    def __init__(self, store: ImageStore, named: NamedImages) -> None:
        self._store = store
        self._named = named

    @contextmanager
    def from_place(
        self, place: Place, catalogue: Catalogue, name: str, version: str
    ) -> Iterator[Candidate]:
        """Yield a release that was verified as far as it can be without its layers.

        Raises:
            OciError: the first rule that is broken, in the order of `admission`.
        """
        with _scratch() as layout:
            found = admission.look(place, catalogue, name, version, layout)
            self._named.checked(found.image, f"{name} {version}")
            yield Candidate(found, layout, place)

    @contextmanager
    def from_file(self, file: Path, trusted: Trusted) -> Iterator[Candidate]:
        """Yield the image of an OCI archive, verified whole; nobody is asked."""
        with _scratch() as layout:
            found = admission.from_file(file, layout, trusted)
            self._named.checked(found.image, str(file))
            yield Candidate(found, layout, None)

    def keep(self, candidate: Candidate, progress: Progress = lambda _: None) -> None:
        """Fetch the layers, each compared with its digest, and keep the image in the store.

        Raises:
            OciError: a layer is not what its digest says, or cannot be had.
        """
        found, store = candidate.found, self._store
        with store.using():
            into = store.layout()
            for blob in blobs_of(found.image, found.attachments):
                _drop_altered(into, blob)
            if candidate.place is not None:
                admission.fetch(candidate.place, found, into, progress)
            for blob in _blobs(candidate):
                if not into.has(blob):
                    into.take(candidate.layout.chunks(blob), blob)
            manifest = found.manifest
            said = about(manifest.name, manifest.version, found.image.digest)
            entry = with_annotations(found.image.descriptor, said)
            store.keep(into, entry, [each.descriptor for each in found.attachments])

    def kept(self, digest: str) -> tuple[Layout, Image, tuple[Attached, ...]] | None:
        """Return where an image lies in the store, with what is attached to it; None: it is not there."""
        layout = self._store.layout()
        index = layout.index()
        entry = next((each for each in index if each.digest == digest), None)
        if entry is None:
            return None
        image = images.read(layout, entry)
        return layout, image, attached(layout, image, index)


def _drop_altered(layout: Layout, blob: Descriptor) -> None:
    """Remove what is not what its name says, so that it is fetched: installing again mends a cache."""
    if layout.has(blob):
        try:
            layout.check(blob)
        except OciError:
            layout.path(blob.digest).unlink(missing_ok=True)


def _blobs(candidate: Candidate) -> Iterator[Descriptor]:
    found = candidate.found
    layers = set() if candidate.place is None else {each.digest for each in found.image.layers}
    for blob in blobs_of(found.image, found.attachments):
        if blob.digest not in layers:
            yield blob


@contextmanager
def _scratch() -> Iterator[Layout]:
    with tempfile.TemporaryDirectory(prefix="ntp-look-") as folder:
        yield Layout.create(Path(folder))
