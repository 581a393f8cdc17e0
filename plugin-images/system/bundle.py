"""Put images of several layouts and archives into one archive, and say their digests as values of the chart.

    python plugin-images/system/bundle.py -o dist/cluster dist/system dist/cache/images

Writes `images.tar`, which containerd takes (`ctr -n k8s.io images import`), with the layers that images
share in it once; `images.yaml`, for `helm install -f`; and `kustomization.yaml`, a component that says the same to
`manifests/`. Of several versions of an image the newest is taken.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ntp.contract.names import object_name
from ntp.oci import archive
from ntp.oci import image as images
from ntp.oci.base_image import OCI, OWN
from ntp.oci.descriptor import Descriptor
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.referrer import Attached, attached

NOWHERE = "localhost/ntp"
"""Nobody can offer an image under this name: those that are loaded onto the nodes have it."""
Found = tuple[Image, Sequence[Attached]]
_MADE = f"{OWN}made"
_BASE = "ntp-base"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--registry", default=NOWHERE, metavar="HOST/PATH")
    parser.add_argument("places", nargs="+", type=Path, metavar="LAYOUT|ARCHIVE")
    given = parser.parse_args()
    os.umask(0o022)
    try:
        with tempfile.TemporaryDirectory(prefix="ntp-bundle-") as scratch:
            layout = Layout.create(Path(scratch))
            found = newest(layout, given.places)
            given.output.mkdir(parents=True, exist_ok=True)
            write(layout, found, given.registry.rstrip("/"), given.output)
    except OciError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.fix:
            print(f"  fix: {error.fix}", file=sys.stderr)
        return 5
    for name, (image, _) in found.items():
        print(f"{image.digest}  {name}")
    return 0


def newest(layout: Layout, places: Sequence[Path]) -> dict[str, Found]:
    """Bring the images into one layout, with what is attached; return them by what they are called."""
    found: list[tuple[str, str, Found]] = []
    for place in places:
        index = archive.take(place, layout) if place.is_file() else _brought(place, layout)
        for each in index:
            if each.artifact_type is None:
                image = images.read(layout, each)
                name = object_name(image.labels.get(f"{OCI}title", ""))
                about = attached(layout, image, index)
                found.append((each.annotations.get(_MADE, ""), name, (image, about)))
    found.sort(key=lambda item: item[0])
    return {name: image for _, name, image in found if name and name != _BASE}


def _brought(folder: Path, layout: Layout) -> Sequence[Descriptor]:
    other = Layout.open(folder)
    index = other.index()
    wanted: list[Descriptor] = []
    for each in index:
        if each.artifact_type is None:
            image = images.read(other, each)
            wanted += archive.blobs_of(image, attached(other, image, index))
        else:
            wanted.append(each)  # read to know what it is about
    for blob in wanted:
        if not layout.has(blob):
            _link(other.path(blob.digest), layout.path(blob.digest))
        layout.check(blob)
    return index


def _link(source: Path, target: Path) -> None:
    """Have the same bytes there; where a hard link is not possible, copied."""
    try:
        target.hardlink_to(source)
    except OSError:
        target.write_bytes(source.read_bytes())


def write(layout: Layout, found: dict[str, Found], registry: str, output: Path) -> None:
    """Write archive, values and component. The archive is replaced as a whole."""
    items = [
        archive.Item(
            image, f"{registry}/{name}", image.labels[f"{OCI}version"].replace("+", "_"), about
        )
        for name, (image, about) in sorted(found.items())
    ]
    with (output / "images.tar.new").open("wb") as out:
        archive.write(layout, items, out, by_digest=True)
    (output / "images.tar.new").replace(output / "images.tar")
    digests = {name: image.digest for name, (image, _) in sorted(found.items())}
    said = {"image": {"registry": registry, "digests": digests}}
    (output / "images.yaml").write_text(yaml.safe_dump(said, sort_keys=True))
    told = component(digests, registry)
    (output / "kustomization.yaml").write_text(yaml.safe_dump(told, sort_keys=False))


def component(digests: Mapping[str, str], registry: str) -> dict[str, Any]:
    """Return what has manifests/ run these images, and offer the bundled plugins among them."""
    own = {name: digest for name, digest in digests.items() if name.startswith("ntp-")}
    offered = json.dumps(
        {
            name.replace("-", "_"): f"{registry}/{name}@{digest}"
            for name, digest in digests.items()
            if name not in own
        }
    )
    # A controller reads them at its start.
    note = {"ntp.dev/images": hashlib.sha256(offered.encode()).hexdigest()}
    patches = [
        ("v1", "ConfigMap", "ntp-images", {"data": {"images.yaml": offered}}),
        (
            "apps/v1",
            "Deployment",
            "ntp-controller",
            {"spec": {"template": {"metadata": {"annotations": note}}}},
        ),
    ]
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "images": [
            {"name": f"{NOWHERE}/{name}", "newName": f"{registry}/{name}", "digest": digest}
            for name, digest in own.items()
        ],
        "patches": [
            {
                "patch": yaml.safe_dump(
                    {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **body}
                )
            }
            for version, kind, name, body in patches
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
