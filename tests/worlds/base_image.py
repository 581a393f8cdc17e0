"""A base image for tests of packing: facts and layers are real, a Linux below them is not there."""

import sys
from pathlib import Path

from ntp import __version__
from ntp.contract import CONTRACT
from ntp.oci import base_image, layer, sbom
from ntp.oci.base_image import Facts
from ntp.oci.image import Image
from ntp.oci.layer import File, Form, Held
from ntp.oci.layout import Layout, named
from ntp.oci.referrer import attach
from ntp.oci.source import architecture
from ntp.package.given import SDK
from ntp.package.interpreter import platform_tag

GIVEN = {SDK: __version__, "numpy": "2.0.0", "websockets": "15.0"}


def make(folder: Path, *, tag: str | None = None, more: str = "") -> Image:
    """Write a layout with one base, an SBOM attached; `more` makes it another image."""
    layout = Layout.create(folder)
    sdk = folder.parent / f"{folder.name}-sdk"
    (sdk / "ntp").mkdir(parents=True)
    (sdk / "ntp" / "__init__.py").write_text(f"# {more}\n")
    below = layer.write(layout, {"/etc/os-release": File(Held(b"ID=none\n"))})
    image = base_image.build(
        layout,
        system=None,
        below=[below],
        sdk=sdk,
        runtime=sdk / "none",
        facts=Facts(sys.executable, tag or platform_tag(), GIVEN, CONTRACT),
        labels={},
        architecture=architecture(),
        form=Form(),
    )
    about = attach(
        layout,
        image,
        sbom.write(
            subject="pkg:oci/base",
            digest=image.digest,
            name="base",
            version="1",
            components=[sbom.Component("libc6", "2.36", "pkg:deb/debian/libc6@2.36", "0" * 64)],
        ),
        sbom.MEDIA_TYPE,
    )
    layout.write_index([named(image.descriptor, "ntp-base"), about.descriptor])
    return image
