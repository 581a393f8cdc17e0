"""The code of a plugin, out of its image: what `plugin_image` has put there, and nothing else is read."""

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from ntp.oci.base_image import CODE
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.untar import Limits, members
from ntp.package.tree import MAX_BYTES, MAX_FILES

_COMPILED = "__pycache__"
_LIMITS = Limits(files=4 * MAX_FILES, total=4 * MAX_BYTES)
"""Of the layer, in which compiled files and folders lie too."""


def code(layout: Layout, image: Image) -> Mapping[str, bytes]:
    """Return the files of the plugin's folder, by path; compiled ones are left out.

    Args:
        layout: has the image whole.
        image: read with its digests compared.

    Raises:
        OciError: the last layer is not the plugin's code, was altered, or holds what no plugin may.
    """
    if not image.layers:
        raise OciError(f"{image.digest} has no layer")
    last, files = image.layers[-1], dict[str, bytes]()
    try:
        packed = io.BytesIO(layout.read(last, limit=_LIMITS.total))
        with io.BufferedReader(gzip.GzipFile(fileobj=packed)) as tar:
            for member, content in members(tar, _LIMITS):
                path = PurePosixPath("/", member.path)
                if not path.is_relative_to(CODE):
                    raise OciError(
                        f"the last layer of {image.digest} has '{member.path}', which is not in {CODE}",
                        fix="package it again: `ntp plugin package`",
                    )
                if _COMPILED not in path.parts:
                    files[str(path.relative_to(CODE))] = _whole(content, member.size)
    except (OSError, EOFError, zlib.error) as error:
        raise OciError(f"the layer {last.digest} cannot be unpacked: {error}") from error
    return files


def _whole(content: io.RawIOBase, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        found += content.read(size - len(found)) or b""
    return bytes(found)
