"""A plugin's image that is signed, for tests: SBOM, provenance and report attached, on a base without a Linux."""

from dataclasses import dataclass
from pathlib import Path

from ntp.contract.manifest import read
from ntp.oci import image, source
from ntp.oci import report as reports
from ntp.oci.base_image import facts
from ntp.oci.image import Image
from ntp.oci.layout import Layout, named
from ntp.oci.plugin_image import Plugin, build
from ntp.oci.referrer import Attached
from ntp.oci.signing import signature
from ntp.oci.signing.keyring import Keyring, Signer
from ntp.package.tree import Tree
from ntp.package.wheels import Pip
from tests.worlds import base_image

SAID = {
    "name": "my_strategy",
    "version": "1.0.0",
    "kind": "strategy",
    "entrypoint": "my_strategy:Mine",
    "description": "Buys.",
    "egress": ["api.example.com:443"],
    "secrets": ["api_key"],
}
REPORT = b'{"signals": 12}'


@dataclass(frozen=True)
class Signed:
    layout: Layout
    image: Image
    attachments: tuple[Attached, ...]


def signer(folder: Path, name: str = "me", algorithm: str = "ecdsa-p256") -> Signer:
    """Make a key and return it ready to sign."""
    keyring = Keyring(folder)
    keyring.create(name, algorithm=algorithm, passphrase=None)
    return keyring.signer(name, None)


def signed(folder, by, *, version="1.0.0", code=b"x = 1\n", said=None, report=REPORT):
    """Return an image of `my_strategy` in a layout of its own; `by`: None for one that nobody signed.

    `report`: None for one without.
    """
    base_image.make(folder)
    layout = Layout.open(folder)
    below = image.choose(layout, None, architecture=source.architecture())
    document = {**SAID, **(said or {}), "version": version}
    assert read(document, file="plugin.yaml")[1] == ()
    plugin = Plugin(document["name"], version, document, {}, Tree({"my_strategy.py": code}), ())
    found = source.Sourced(below, "base", layout.index())
    made = build(layout, plugin, found, facts(below, "base"), pip=Pip({}))
    attachments = made.attachments
    if report is not None:
        attachments += (reports.attach_to(layout, made.image, report),)
    if by is not None:
        attachments += (signature.sign(layout, made.image, document["name"], attachments, by),)
    layout.write_index(
        [named(made.image.descriptor, version), *(each.descriptor for each in attachments)]
    )
    return Signed(layout, made.image, attachments)
