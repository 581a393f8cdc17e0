"""What is attached to an image: documents that name it as their subject (OCI 1.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ntp.oci.descriptor import EMPTY, MANIFEST, Descriptor, parse
from ntp.oci.image import Image
from ntp.oci.layout import Layout


@dataclass(frozen=True, slots=True)
class Attached:
    """A manifest whose subject is an image. `document`: its one layer."""

    descriptor: Descriptor
    document: Descriptor
    config: Descriptor


def attach(
    layout: Layout,
    image: Image,
    content: bytes,
    media_type: str,
    *,
    annotations: Mapping[str, str] | None = None,
) -> Attached:
    """Write a document about an image into its layout. The media type is the artifact's type, too."""
    document = layout.put(content, media_type)
    config = layout.put(b"{}", EMPTY)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": media_type,
        "config": config.to_json(),
        "layers": [document.to_json()],
        "subject": image.descriptor.to_json(),
        "annotations": dict(annotations or {}),
    }
    plain = layout.put_json(manifest, MANIFEST)
    described = Descriptor(
        plain.media_type, plain.digest, plain.size, dict(annotations or {}), media_type
    )
    return Attached(described, document, config)


def attached(layout: Layout, image: Image, among: Sequence[Descriptor]) -> tuple[Attached, ...]:
    """Return those of `among` that are one document about this image; what else somebody attached is passed over."""
    found = []
    for descriptor in among:
        if descriptor.artifact_type is None or descriptor.media_type != MANIFEST:
            continue
        manifest = layout.read_json(descriptor)
        where = f"the manifest {descriptor.digest}"
        if "subject" not in manifest:
            continue  # an artifact about nothing, as a catalogue is
        if parse(manifest.get("subject"), f"the subject of {where}").digest != image.digest:
            continue
        layers = manifest.get("layers")
        if not isinstance(layers, list) or len(layers) != 1:
            continue
        document = parse(layers[0], where)
        found.append(Attached(descriptor, document, parse(manifest.get("config"), where)))
    return tuple(found)
