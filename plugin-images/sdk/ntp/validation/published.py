"""The manifest of what was published before: of a folder, an image in a file or layout, or one in a registry."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ntp.contract.manifest import FILE, Manifest
from ntp.oci import source
from ntp.oci.described import manifest as described
from ntp.oci.fault import OciError
from ntp.oci.layout import Layout
from ntp.package.manifest_file import parse
from ntp.package.tree import TreeError, read_file


def manifest_of(text: str, progress: Callable[[str], None]) -> Manifest:
    """Return the manifest of a plugin's folder, or of an image as `ntp.oci.source.fetch` takes it.

    Raises:
        OciError: it is not there, or is no plugin.
    """
    file = Path(text) / FILE
    if not os.path.lexists(file):
        with tempfile.TemporaryDirectory(prefix="ntp-published-") as scratch:
            layout = Layout.create(Path(scratch))
            found = source.fetch(text, layout, environment=os.environ, progress=progress)
            return described(found.image, found.name)
    try:
        manifest, problems = parse(read_file(file), file=str(file))
    except TreeError as error:
        raise OciError(f"{text}: {error}", fix=error.fix) from error
    if manifest is None:
        raise OciError("\n".join(map(str, problems)))
    return manifest
