"""Files in a registry or a layout that are no image: a manifest with a type, and a name for each file."""

from collections.abc import Mapping
from dataclasses import dataclass

from ntp.oci.descriptor import EMPTY, MANIFEST, MAX_DOCUMENT, Descriptor, dump, parse
from ntp.oci.fault import OciError
from ntp.oci.layout import Layout

TITLE = "org.opencontainers.image.title"
"""By which `oras pull` names a file."""
MAX_FILES = 64
MAX_BYTES = 32 * 1024**2
"""Of all its files."""
_FILE = "application/json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """`files`: name -> its blob, at most 4 MiB."""

    descriptor: Descriptor
    kind: str
    config: Descriptor
    files: Mapping[str, Descriptor]

    def contents(self, layout: Layout) -> dict[str, bytes]:
        return {name: layout.read(blob) for name, blob in self.files.items()}


def write(layout: Layout, kind: str, files: Mapping[str, bytes]) -> Artifact:
    """Write JSON files into a layout, as one artifact of this type."""
    blobs = {name: layout.put(content, _FILE) for name, content in sorted(files.items())}
    config = layout.put(dump({}), EMPTY)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": config.to_json(),
        "layers": [
            {**blob.to_json(), "annotations": {TITLE: name}} for name, blob in blobs.items()
        ],
    }
    plain = layout.put_json(manifest, MANIFEST)
    described = Descriptor(plain.media_type, plain.digest, plain.size, {}, kind)
    return Artifact(described, kind, config, blobs)


def read(layout: Layout, descriptor: Descriptor) -> Artifact:
    """Read an artifact's manifest; its files are named, and not read.

    Raises:
        OciError: it is no such manifest, has a config, or too many or too large files.
    """
    where = f"the manifest {descriptor.digest}"
    manifest = layout.read_json(descriptor)
    kind, layers = manifest.get("artifactType"), manifest.get("layers")
    if not isinstance(kind, str) or not isinstance(layers, list) or len(layers) > MAX_FILES:
        raise OciError(f"{where} is no artifact of at most {MAX_FILES} files")
    files: dict[str, Descriptor] = {}
    for each in layers:
        blob = parse(each, f"a file of {where}")
        name = blob.annotations.get(TITLE, "")
        if not name or name in files or blob.size > MAX_DOCUMENT:
            raise OciError(f"{where} has a file without a name of its own, or a large one")
        files[name] = blob
    if sum(blob.size for blob in files.values()) > MAX_BYTES:
        raise OciError(f"{where} has more than {MAX_BYTES:,} bytes of files")
    config = parse(manifest.get("config"), where)
    if config.media_type != EMPTY or config.size > MAX_DOCUMENT:
        raise OciError(f"{where} has the config {config.media_type} of {config.size:,} bytes")
    return Artifact(descriptor, kind, config, files)
