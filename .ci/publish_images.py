"""Push packed images with their SBOM and provenance.

    python .ci/publish_images.py [--values FILE] REGISTRY/PATH TAG FILE…

An archive `rsi-indicator.tar` of one image becomes `REGISTRY/PATH/rsi-indicator:TAG`; of an archive of several each
goes by its title. Where the same image is there for several architectures, TAG names an index of all. What is there
already is not sent again. Prints a reference by digest for each; `--values` writes the digests as values of the chart.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import yaml

from ntp.contract.names import object_name
from ntp.oci import archive, reference
from ntp.oci import image as images
from ntp.oci.base_image import OCI
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.reference import Reference
from ntp.oci.referrer import Attached, attached
from ntp.oci.registry import Registry
from ntp.oci.registry_access import logged_in

Found = dict[str, tuple[Image, tuple[Attached, ...]]]
"""By architecture."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--values", type=Path, metavar="FILE")
    parser.add_argument("place", metavar="REGISTRY/PATH")
    parser.add_argument("tag", metavar="TAG")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    given = parser.parse_args()
    place = given.place.rstrip("/")
    digests = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            layout = Layout.create(Path(folder))
            for name, found in sorted(read(layout, given.files).items()):
                pushed = push(layout, found, reference.parse(f"{place}/{name}:{given.tag}"))
                digests[name] = pushed.digest
                print(pushed)
    except OciError as error:
        print(f"error: {error}\n  fix: {error.fix}", file=sys.stderr)
        return 5
    if given.values:
        said = {"image": {"registry": place, "digests": digests}}
        given.values.write_text(yaml.safe_dump(said, sort_keys=True))
    return 0


def read(layout: Layout, files: list[Path]) -> dict[str, Found]:
    """Bring the images of all archives into a layout; return them by name and architecture."""
    found: dict[str, Found] = {}
    for file in files:
        index = archive.take(file, layout)
        # An archive names an image by its tag and by its digest.
        every = {each.digest: each for each in index if each.artifact_type is None}
        for each in every.values():
            image = images.read(layout, each)
            images.check(layout, image)
            title = object_name(image.labels.get(f"{OCI}title", ""))
            name = title if len(every) > 1 else file.stem
            found.setdefault(name, {})[image.architecture] = (image, attached(layout, image, index))
    return found


def push(layout: Layout, found: Found, to: Reference) -> Reference:
    """Send one image for each architecture; return what names it, or all of them."""
    registry = Registry(to.host, credentials=logged_in(to.host, os.environ))
    try:
        alone = len(found) == 1
        for image, about in found.values():
            pushed = registry.push(
                layout,
                image,
                to if alone else Reference(to.host, to.repository, None, image.digest),
                attachments=about,
            )
        return (
            pushed
            if alone
            else registry.push_index(layout, [each for each, _ in found.values()], to)
        )
    finally:
        registry.close()


if __name__ == "__main__":
    sys.exit(main())
