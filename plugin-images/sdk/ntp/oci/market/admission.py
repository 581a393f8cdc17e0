"""What has to hold before an image of somebody else is installed, in the one order; each step may only refuse.

Resolve the tag once; the manifest is what its digest says; sizes and types; signed by a key that may sign this
plugin, and is not revoked; SBOM and provenance; licence; only then layers, hashed while they stream.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ntp.contract import semver
from ntp.contract.manifest import Manifest
from ntp.oci import archive, described, provenance, report, sbom, source
from ntp.oci import image as images
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.market.catalogue import Catalogue, Entry, Release
from ntp.oci.market.place import Place, Progress
from ntp.oci.referrer import Attached, attached
from ntp.oci.signing import signature
from ntp.oci.signing.key import PublicKey
from ntp.oci.signing.signature import Trusted

MAX_IMAGE = 4 * 1024**3
NEEDED = {sbom.MEDIA_TYPE: "SBOM", provenance.MEDIA_TYPE: "provenance statement"}


@dataclass(frozen=True, slots=True)
class Admitted:
    """An image whose signature holds. `documents`: media type -> content, each covered by the signature."""

    image: Image
    manifest: Manifest
    attachments: tuple[Attached, ...]
    documents: Mapping[str, bytes]
    key: PublicKey

    @property
    def report(self) -> bytes | None:
        return self.documents.get(report.MEDIA_TYPE)


def find(catalogue: Catalogue, name: str, version: str | None, where: str) -> tuple[Entry, str, Release]:  # fmt: skip
    """Return a plugin of a catalogue, a version of it, and its release; no version: the newest.

    Raises:
        OciError: it has none such.
    """
    entry = catalogue.plugins.get(name)
    if entry is None:
        near = ", ".join(sorted(catalogue.plugins)[:10])
        raise OciError(
            f"{where} has no plugin '{name[:80]}'",
            fix=f"it has {near}" if near else "it has none yet",
            reason="NoSuchPlugin",
        )
    wanted = version or entry.newest
    release = entry.versions.get(wanted)
    if release is None:
        known = ", ".join(sorted(entry.versions, key=semver.order, reverse=True)[:10])
        raise OciError(
            f"{where} has no '{name}' {wanted[:80]}",
            fix=f"it has {known}",
            reason="NoSuchPlugin",
        )
    return entry, wanted, release


def look(place: Place, catalogue: Catalogue, name: str, version: str, into: Layout) -> Admitted:
    """Verify all that can be verified without a layer.

    Args:
        place: has the image.
        catalogue: verified; it has this release.
        name: of the plugin.
        version: of it.
        into: takes manifest, config and what is attached.

    Raises:
        OciError: the tag was moved, something was altered or is not signed, or a rule is broken.
    """
    release = catalogue.plugins[name].versions[version]
    now = place.resolve(name, version)
    if now is None:
        raise OciError(f"'{name}' {version} is not at {place.location}", reason="ImageNotFound")
    if now != release.digest:
        raise OciError(
            f"the tag of '{name}' {version} was moved: it is {now}, and the catalogue has {release.digest}",
            fix="ask who owns the marketplace; nothing was fetched",
            reason="TagMoved",
        )
    image, attachments = place.pull_manifest(name, version, release.digest, into)
    if image.digest != release.digest or image.size != release.size:
        raise OciError(
            f"'{name}' {version} is {image.digest} with {image.size:,} bytes, and the catalogue has "
            f"{release.digest} with {release.size:,}"
        )
    found = admit(into, image, attachments, lambda hint: catalogue.key_for(name, hint), name)
    if found.manifest.version != version:
        raise OciError(
            f"the image of '{name}' {version} says that it is {found.manifest.version}",
            reason="SignatureRefused",
        )
    if release.licence is not None:
        raise OciError(
            f"'{name}' {version} needs the licence {release.licence[:80]!r}, which this release cannot check",
            fix="update ntp",
            reason="LicenceNeeded",
        )
    return found


def admit(
    layout: Layout,
    image: Image,
    attachments: tuple[Attached, ...],
    trusted: Trusted,
    name: str | None = None,
) -> Admitted:
    """Verify an image whose manifest, config and attachments are in a layout; its layers are not read.

    Args:
        layout: has them.
        image: read with its digests compared.
        attachments: what is about it.
        trusted: which keys may sign it.
        name: of the plugin; None: as the image says.

    Raises:
        OciError: see `look`.
    """
    if image.size > MAX_IMAGE:
        raise OciError(f"{image.digest} has {image.size:,} bytes, and {MAX_IMAGE:,} are taken")
    said = described.manifest(image, name or image.digest)
    verified = signature.verify(layout, image, attachments, trusted, name=name or said.name)
    if said.name != (name or said.name):
        raise OciError(
            f"the image of '{name}' says that it is '{said.name}'", reason="SignatureRefused"
        )
    documents = {
        each.document.media_type: layout.read(each.document) for each in verified.documents
    }
    for media, words in NEEDED.items():
        if media not in documents:
            raise OciError(
                f"'{said.name}' {said.version} was signed without its {words}",
                fix="ask its author for an image that `ntp plugin package` made",
                reason="Unsigned",
            )
    return Admitted(image, said, attachments, documents, verified.key)


def fetch(place: Place, found: Admitted, into: Layout, progress: Progress) -> None:
    """Fetch the layers of an image that was admitted, and compare each with its digest."""
    said = found.manifest
    place.pull_layers(said.name, said.version, found.image, into, progress)
    images.check(into, found.image)


def from_file(path: Path, into: Layout, trusted: Trusted) -> Admitted:
    """Take an image out of an OCI archive and verify it, whole; no registry and no catalogue is asked.

    Raises:
        OciError: it is none, has not one image, or `admit` refuses it.
    """
    index = archive.take(path, into)
    chosen = images.choose_from(
        into, index, None, architecture=source.architecture(), shown=str(path)
    )
    found = admit(into, chosen, attached(into, chosen, index), trusted)
    images.check(into, chosen)
    return found
