"""Build the images that the chart runs beside plugins: the controller's, nats-server's, the egress proxy's.

    python plugin-images/system/build.py --base dist/base -o dist/system

No registry of images, no engine, no root. They lie in one OCI layout, each with its SBOM; where nothing
that an image follows from has changed, it is not made again.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import controller
import egress_proxy
import nats

from ntp import __version__
from ntp.oci import base_image, sbom, source
from ntp.oci import image as images
from ntp.oci.descriptor import Descriptor
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import REF, Layout, named
from ntp.oci.plugin_image import INPUT
from ntp.oci.referrer import attach
from ntp.oci.sbom import Component
from orchestrator.bus import server_binary

OF = f"{base_image.OWN}of"
"""Annotation in the index: which image a document is attached to, by its name here."""
Made = tuple[Image, Sequence[Component]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--base", default=os.environ.get("NTP_BASE"), metavar="IMAGE")
    given = parser.parse_args()
    if not given.base:
        parser.error("--base, or NTP_BASE, names what the controller's image is built on")
    os.umask(0o022)
    try:
        made = build(Layout.create(given.output), given.base)
    except OciError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.fix:
            print(f"  fix: {error.fix}", file=sys.stderr)
        return 5
    print(json.dumps({name: image.digest for name, image in made.items()}, indent=2))
    return 0


def build(layout: Layout, base: str) -> dict[str, Image]:
    """Return the images by name; they are in the layout, with what is attached to them."""
    below = source.fetch(base, layout, environment=os.environ)
    facts = base_image.facts(below.image, below.name)
    program = server_binary.find()
    with tempfile.TemporaryDirectory(prefix="ntp-system-") as scratch:
        built = controller.wheel(Path(scratch))
        squid = egress_proxy.packages(below.image)
        return {
            controller.NAME: _once(
                layout,
                controller.NAME,
                controller.key(below.image, built),
                lambda: controller.make(layout, below.image, facts, built),
            ),
            nats.NAME: _once(
                layout,
                nats.NAME,
                nats.key(program),
                lambda: nats.make(layout, program, below.image.architecture),
            ),
            egress_proxy.NAME: _once(
                layout,
                egress_proxy.NAME,
                egress_proxy.key(below.image, squid),
                lambda: egress_proxy.make(layout, below.image, facts, squid, Path(scratch)),
            ),
        }


def _once(layout: Layout, name: str, wanted: str, make: Callable[[], Made]) -> Image:
    index = layout.index()
    for each in index:
        if each.annotations.get(INPUT) == wanted and layout.has(each):
            return images.read(layout, each)
    image, components = make()
    about = attach(
        layout,
        image,
        sbom.write(
            subject=f"pkg:oci/{name}@{image.digest.replace(':', '%3A')}",
            digest=image.digest,
            name=name,
            version=__version__,
            components=components,
        ),
        sbom.MEDIA_TYPE,
    )
    plain = image.descriptor
    marked = Descriptor(plain.media_type, plain.digest, plain.size, {INPUT: wanted})
    with layout.locked():
        # The one that had the name goes, and what was attached to it.
        kept = [
            each
            for each in layout.index()
            if name not in (each.annotations.get(REF), each.annotations.get(OF))
        ]
        listed = about.descriptor
        said = Descriptor(
            listed.media_type, listed.digest, listed.size, {OF: name}, listed.artifact_type
        )
        layout.write_index([*kept, named(marked, name), said])
    return image


if __name__ == "__main__":
    sys.exit(main())
