"""The layers that `ntp plugin package` puts on a base: which they are, and their files, taken out strictly."""

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from ntp.oci.base_image import CODE, OWN, WHEELS_FOLDER
from ntp.oci.descriptor import LAYER, Descriptor, dump, load
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layer import Layer
from ntp.oci.layout import CHUNK, Layout
from ntp.oci.untar import Limits, TooLargeError, members
from ntp.package.tree import MAX_BYTES, MAX_FILES

LAYERS, PYTHON, CONTRACT = f"{OWN}layers", f"{OWN}python", f"{OWN}contract"
"""Labels: which of its layers are the plugin's, what its compiled files fit, which contract it was made for."""
_COMPILED = "__pycache__"
LIMITS = {
    CODE: Limits(files=4 * MAX_FILES, total=4 * MAX_BYTES),
    WHEELS_FOLDER: Limits(files=50_000, total=2 * 1024**3),
}
"""Of what is taken out of each kind of layer, in which compiled files and folders lie too."""


@dataclass(frozen=True, slots=True)
class OwnLayers:
    """What of an image is the plugin itself.

    `python`: what its compiled files fit, as `ntp.package.interpreter.platform_tag` says it.
    `contract`: that of the SDK in its base.
    """

    code: Descriptor
    wheels: Descriptor | None
    python: str
    contract: str


def label(wheels: Layer | None, code: Layer) -> str:
    """Return what LAYERS says: the digests of the tars, which are the same compressed or not."""
    said = {"code": code.diff_id} if wheels is None else {"code": code.diff_id, "wheels": wheels.diff_id}  # fmt: skip
    return dump(said).decode()


def own_layers(image: Image, name: str) -> OwnLayers:
    """Return the plugin's own layers.

    Args:
        image: read with its digests compared.
        name: what a person calls it.

    Raises:
        OciError: `ntp plugin package` did not make it so; or another one has put layers on top.
    """
    said = _said(image.labels.get(LAYERS))
    wanted = [said[key] for key in ("wheels", "code") if key in said]
    if not said or list(image.diff_ids[-len(wanted) :]) != wanted:
        raise OciError(
            f"{name} is not as `ntp plugin package` makes it: it can only be run whole",
            fix="run it on Docker (NTP_RUNTIME=docker), or have its author package it with this release",
        )
    return OwnLayers(
        code=image.layers[-1],
        wheels=image.layers[-2] if "wheels" in said else None,
        python=image.labels.get(PYTHON, ""),
        contract=image.labels.get(CONTRACT, ""),
    )


def _said(text: str | None) -> Mapping[str, str]:
    try:
        found = load((text or "").encode(), LAYERS)
    except OciError:
        return {}
    whole = "code" in found and found.keys() <= {"code", "wheels"}
    return found if whole and all(isinstance(each, str) for each in found.values()) else {}


def take_out(layout: Layout, layer: Descriptor, inside: str, folder: Path) -> None:
    """Write the files of a layer; compiled ones are left out, for they may fit another Python.

    Args:
        layout: has the layer.
        layer: the code, or the wheels.
        inside: the one folder of the image in which its files may be: CODE or WHEELS_FOLDER.
        folder: where to; empty, and nobody else's.

    Raises:
        OciError: it was altered, or holds what no such layer may: links, devices, ways out, too much.
    """
    limits = LIMITS[inside]
    try:
        blob = _Chunks(layout.chunks(layer))
        stream: IO[bytes] = io.BufferedReader(cast("io.RawIOBase", blob), CHUNK)
        if layer.media_type != LAYER:
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
        for member, content in members(stream, limits):
            path = PurePosixPath("/", member.path)
            if not path.is_relative_to(inside) or path == PurePosixPath(inside):
                raise OciError(
                    f"the layer {layer.digest} has '{member.path}', which is not in {inside}",
                    fix="package it again: `ntp plugin package`",
                )
            if _COMPILED not in path.parts:
                _write(folder / path.relative_to(inside), content, member.size)
        blob.drain()  # its digest is that of the whole
    except TooLargeError as error:
        raise OciError(
            f"the layer {layer.digest} for {inside} has more than {limits.files:,} files, or "
            f"{limits.total >> 20:,} MiB unpacked",
            fix="run it whole, on Docker (NTP_RUNTIME=docker), or have its author require less",
        ) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise OciError(f"the layer {layer.digest} has a file where it has a folder") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OciError(f"the layer {layer.digest} cannot be unpacked: {error}") from error


def _write(file: Path, content: io.RawIOBase, size: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as out:
        left = size
        while left:
            chunk = content.read(min(left, CHUNK)) or b""
            out.write(chunk)
            left -= len(chunk)


class _Chunks(io.RawIOBase):
    """A stream of what is yielded."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override] # any buffer, as io says
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def drain(self) -> None:
        for _ in self._chunks:
            pass
