"""An image in a layout: manifest and config, read with every claim checked, or made from layers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ntp.oci.descriptor import (
    CONFIG,
    CONFIGS,
    DOCKER_LAYER_GZIP,
    INDEX,
    INDEXES,
    LAYER_GZIP,
    LAYERS,
    MANIFEST,
    MANIFESTS,
    Descriptor,
    is_digest,
    parse,
)
from ntp.oci.fault import OciError
from ntp.oci.layer import Layer
from ntp.oci.layout import REF, Layout

MAX_LAYERS = 127
_ARCHITECTURE = re.compile(r"[a-z0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Image:
    """`config`: the image's own document. Its `id` names it inside an engine; `digest` in a registry."""

    descriptor: Descriptor
    config_descriptor: Descriptor
    layers: tuple[Descriptor, ...]
    config: Mapping[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        return self.descriptor.digest

    @property
    def id(self) -> str:
        return self.config_descriptor.digest

    @property
    def size(self) -> int:
        """Bytes of all its blobs, as they are stored and moved."""
        mine = self.descriptor.size + self.config_descriptor.size
        return mine + sum(layer.size for layer in self.layers)

    @property
    def labels(self) -> Mapping[str, str]:
        found = _mapping(self.config.get("config")).get("Labels")
        return {str(name): str(text) for name, text in _mapping(found).items()}

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return tuple(_mapping(self.config["rootfs"])["diff_ids"])

    @property
    def architecture(self) -> str:
        return str(self.config["architecture"])


def read(layout: Layout, descriptor: Descriptor) -> Image:
    """Return the image; manifest and config are compared with their digests, layers only named.

    Raises:
        OciError: something is absent, altered, or of a kind that has no place in an image.
    """
    if descriptor.media_type not in MANIFESTS:
        raise OciError(f"{descriptor.digest} is no image but {descriptor.media_type}")
    manifest = layout.read_json(descriptor)
    where = f"the manifest {descriptor.digest}"
    if manifest.get("schemaVersion") != 2:
        raise OciError(f"{where} is of schema version {manifest.get('schemaVersion')!r}")
    config_descriptor = parse(manifest.get("config"), f"the config of {where}")
    if config_descriptor.media_type not in CONFIGS:
        raise OciError(f"{where} is of no image: its config is {config_descriptor.media_type}")
    said = manifest.get("layers")
    if not isinstance(said, list) or len(said) > MAX_LAYERS:
        raise OciError(f"{where} has no list of at most {MAX_LAYERS} layers")
    layers = tuple(parse(each, f"a layer of {where}") for each in said)
    for layer in layers:
        if layer.media_type not in LAYERS:
            raise OciError(f"a layer of {where} is {layer.media_type}, which is not read")
    config = layout.read_json(config_descriptor)
    _check_config(config, f"the config {config_descriptor.digest}", len(layers))
    return Image(descriptor, config_descriptor, layers, config)


def check(layout: Layout, image: Image) -> None:
    """Read every layer through; OciError if one is absent or altered."""
    for layer in image.layers:
        layout.check(layer)


def choose(layout: Layout, wanted: str | None, *, architecture: str) -> Image:
    """Return the one image of a layout; OciError if it has none or several such."""
    return choose_from(
        layout, layout.index(), wanted, architecture=architecture, shown=str(layout.root)
    )


def choose_from(
    layout: Layout,
    index: Sequence[Descriptor],
    wanted: str | None,
    *,
    architecture: str,
    shown: str,
) -> Image:
    """Return the one image of an index.

    Args:
        layout: has the blobs.
        index: what is to choose from.
        wanted: a name there, or a digest; None: the only image.
        architecture: of which there may be several, in the words of Go: amd64, arm64.
        shown: what a person calls it.

    Raises:
        OciError: it has none or several such.
    """
    every = [
        each
        for each in index
        if each.artifact_type is None and each.media_type in MANIFESTS | INDEXES
    ]
    names = ", ".join(sorted({each.annotations.get(REF, each.digest) for each in every})[:10])
    found = [
        each
        for each in every
        if wanted is None or wanted in (each.annotations.get(REF), each.digest)
    ]
    if not found:
        what = f"named '{wanted}'" if wanted else "in it"
        raise OciError(
            f"{shown} has no image {what}", fix=f"it has {names}" if names else "make it again"
        )
    if len({each.digest for each in found}) > 1:
        raise OciError(f"{shown} has several images", fix=f"name one: {shown}#NAME, of {names}")
    return resolve(layout, found[0], architecture=architecture)


def resolve(layout: Layout, descriptor: Descriptor, *, architecture: str) -> Image:
    """Return the image; of an index the one for this architecture."""
    return read(layout, one_platform(layout, descriptor, architecture=architecture))


def one_platform(layout: Layout, descriptor: Descriptor, *, architecture: str) -> Descriptor:
    """Return the manifest's own descriptor; of an index that for linux and this architecture."""
    if descriptor.media_type not in INDEXES:
        return descriptor
    listed = layout.read_json(descriptor).get("manifests")
    for each in listed if isinstance(listed, list) else ():
        found = parse(each, f"the index {descriptor.digest}")
        platform = found.platform or {}
        if found.media_type in MANIFESTS and (platform.get("os"), platform.get("architecture")) == (
            "linux",
            architecture,
        ):
            return found
    raise OciError(f"{descriptor.digest} has no image for linux/{architecture}")


def build(
    layout: Layout,
    *,
    base: Image | None,
    layers: Sequence[Layer],
    settings: Mapping[str, Any],
    annotations: Mapping[str, str],
    architecture: str,
    epoch: int = 0,
) -> Image:
    """Write config and manifest of an image that has the layers of `base`, and `layers` on top.

    Args:
        layout: has the layers' blobs.
        base: None: from nothing.
        layers: on top, in order.
        settings: the config's `config`, whole: nothing of the base's settings stays by itself.
        annotations: of the manifest.
        architecture: in the words of Go.
        epoch: seconds since 1970 that it says it was made at.
    """
    created = datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z")
    below = base.config if base is not None else {}
    history = [*below.get("history", ())] if base is not None else []
    history += [{"created": created, "created_by": layer.comment} for layer in layers]
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": dict(settings),
        "rootfs": {
            "type": "layers",
            "diff_ids": [*(base.diff_ids if base else ()), *(layer.diff_id for layer in layers)],
        },
        "history": history,
    }
    if "variant" in below:
        config["variant"] = below["variant"]
    config_descriptor = layout.put_json(config, CONFIG)
    below_layers = (_as_oci(each) for each in base.layers) if base else ()
    every = (*below_layers, *(layer.descriptor for layer in layers))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config_descriptor.to_json(),
        "layers": [layer.to_json() for layer in every],
        "annotations": dict(annotations),
    }
    return Image(layout.put_json(manifest, MANIFEST), config_descriptor, every, config)


def index(images: Sequence[Image]) -> dict[str, Any]:
    """Return the document that names one image for each architecture; in one order, whoever gives them."""
    platforms = {each.architecture: each for each in images}
    if len(platforms) != len(images):
        raise OciError("two of the images are for one architecture")
    return {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {**each.descriptor.to_json(), "platform": {"os": "linux", "architecture": name}}
            for name, each in sorted(platforms.items())
        ],
    }


def _as_oci(layer: Descriptor) -> Descriptor:
    """Return the same blob under OCI's name: an OCI manifest with Docker's is refused by some."""
    kind = LAYER_GZIP if layer.media_type == DOCKER_LAYER_GZIP else layer.media_type
    return Descriptor(kind, layer.digest, layer.size)


def _check_config(config: Mapping[str, Any], where: str, layers: int) -> None:
    architecture, system = config.get("architecture"), config.get("os")
    if (
        system != "linux"
        or not isinstance(architecture, str)
        or not _ARCHITECTURE.fullmatch(architecture)
    ):
        raise OciError(f"{where} is for {str(system)[:20]!r} and not for linux")
    diff_ids = _mapping(config.get("rootfs")).get("diff_ids")
    if not isinstance(diff_ids, list) or not all(is_digest(each) for each in diff_ids):
        raise OciError(f"{where} does not say what its layers are")
    if len(diff_ids) != layers:
        raise OciError(f"{where} knows {len(diff_ids)} layers, and its manifest {layers}")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
