"""What `ntp plugin test` said of a plugin, as a document that is attached to its image."""

from pathlib import Path

import msgspec

from ntp.oci.descriptor import MAX_DOCUMENT, load
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.referrer import Attached, attach

MEDIA_TYPE = "application/vnd.ntp.report.v1+json"


def read_file(path: Path) -> bytes:
    """Return a report as it was written.

    Raises:
        OciError: it cannot be read, is no JSON object, or is too large.
    """
    fix = "name what `ntp plugin test --output json` wrote"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_DOCUMENT + 1)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise OciError(f"the report {path} cannot be read: {words}", fix=fix) from error
    if len(content) > MAX_DOCUMENT:
        raise OciError(f"the report {path} has more than {MAX_DOCUMENT:,} bytes", fix=fix)
    try:
        load(content, f"the report {path}")
    except OciError as error:
        raise OciError(str(error), fix=fix) from error
    return content


class _Subject(msgspec.Struct):
    name: str
    version: str


class _Verdict(msgspec.Struct):
    plugin: _Subject
    passed: bool


def check(content: bytes, name: str, version: str) -> None:
    """See that a report is of this release, and that it passed: whoever signs it says so.

    Raises:
        OciError: it is of another plugin or version, did not pass, or is no report.
    """
    fix = "leave --report out, and it is tested now; or test this version: ntp plugin test"
    try:
        found = msgspec.json.decode(content, type=_Verdict)
    except msgspec.MsgspecError as error:
        raise OciError(
            f"the report is none of `ntp plugin test`: {error}", fix=fix, reason="NotPublishable"
        ) from error
    said = found.plugin
    if (said.name, said.version) != (name, version):
        raise OciError(
            f"the report is of {said.name[:80]!r} {said.version[:80]!r}, and this is '{name}' {version}",
            fix=fix,
            reason="NotPublishable",
        )
    if not found.passed:
        raise OciError(
            f"the report says that '{name}' {version} did not pass",
            fix=fix,
            reason="NotPublishable",
        )


def attach_to(layout: Layout, image: Image, content: bytes) -> Attached:
    return attach(layout, image, content, MEDIA_TYPE)
