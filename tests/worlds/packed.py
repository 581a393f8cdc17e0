"""A plugin's image for tests, on a base without a Linux."""

from ntp.oci import image, source
from ntp.oci.base_image import facts
from ntp.oci.layout import Layout
from ntp.oci.plugin_image import Plugin, build
from ntp.package.tree import Tree
from ntp.package.wheels import Pip
from tests.worlds import base_image

SAID = {"name": "mine", "version": "1.0.0", "kind": "strategy", "entrypoint": "mine:Mine"}


def packed(folder, version="1.0.0"):
    """Return a layout, its base, and the image of plugin `mine` in that version."""
    if not folder.exists():
        base_image.make(folder)
    layout = Layout.open(folder)
    below = image.choose(layout, None, architecture=source.architecture())
    said = {**SAID, "version": version}
    plugin = Plugin("mine", version, said, {}, Tree({"mine.py": b"x = 1\n"}), ())
    found = source.Sourced(below, "base")
    return layout, below, build(layout, plugin, found, facts(below, "base"), pip=Pip({})).image
