"""The image of the egress proxy: a base of Debian's packages, on it Debian's Squid, our settings and helper.

Plugins' images lie on the same base: a node that runs plugins has all of it but the last layers.
"""

import re
import sys
from pathlib import Path

from ntp import __version__
from ntp.oci import base_image, layer
from ntp.oci import image as images
from ntp.oci.base_image import OCI, OWN, Facts
from ntp.oci.descriptor import digest_of, dump
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layer import File, Form
from ntp.oci.layout import Layout
from ntp.oci.sbom import Component

HERE = Path(__file__).parent
SETTINGS = HERE.parent / "egress-proxy"
sys.path.insert(0, str(HERE.parent / "base"))  # where packages of Debian are known

from debian_packages import NOT_NEEDED, DebianError, Package, closure, entries, fetch  # noqa: E402
from from_debian import roots  # noqa: E402

NAME = "ntp-egress-proxy"
FOLDER = "/opt/ntp-egress"
PROGRAM = "/usr/sbin/squid"
FORM = "1"
"""Changes whenever this file makes another image of the same input."""
_UNUSED = NOT_NEEDED | {"libdbi-perl", "logrotate", "lsb-base", "sysvinit-utils"}
"""What Squid's packages ask for beside that: Perl for helpers that log to databases, rotation, init scripts."""
_KEPT = re.compile(
    r"usr/sbin/squid$|usr/lib/squid/unlinkd$|usr/lib/[^/]+/[^/]+\.so[.0-9]*$"
    r"|usr/share/squid/(mime\.conf$|icons/)|usr/share/squid-langpack/templates/|usr/share/doc/[^/]+/copyright$"
)
_TEMPLATES = "/usr/share/squid-langpack/templates/"


def packages(base: Image) -> list[Package]:
    """Return what has to be added to a base.

    Raises:
        OciError: it is not one of Debian's packages, or apt does not know Squid.
    """
    if base.labels.get(f"{OWN}made-from") != "debian":
        raise OciError(
            "the egress proxy is Debian's Squid, and the base is of something else",
            fix="make it with plugin-images/egress-proxy/Dockerfile, or take a base of plugin-images/base/from_debian.py",
        )
    try:
        there = {
            each.name
            for each in closure(roots(f"python{sys.version_info[0]}.{sys.version_info[1]}"))
        }
        return [
            each
            for each in closure(["squid", "squid-langpack"], without=_UNUSED)
            if each.name not in there
        ]
    except DebianError as error:
        raise OciError(str(error), fix="apt-get update") from error


def key(base: Image, added: list[Package]) -> str:
    """Return what the image follows from."""
    ours = [digest_of(path.read_bytes()) for path in _settings().values()]
    packed = [_KEPT.pattern, *(each.sha256 for each in added)]
    return digest_of(dump([FORM, base.digest, *packed, *ours]))


def make(
    layout: Layout, base: Image, facts: Facts, added: list[Package], scratch: Path
) -> tuple[Image, list[Component]]:
    """Return the image, and what it has beside its base."""
    debs = scratch / "debs"
    debs.mkdir()
    try:
        fetch(added, debs)
        found = entries(added, debs, kept=_KEPT)
    except DebianError as error:
        raise OciError(str(error), fix="apt-get update") from error
    # Squid reads all its pages from one folder, and ours are two of them.
    pages = {path: each for path, each in found.items() if path.startswith(_TEMPLATES)}
    for path, page in pages.items():
        del found[path]
        found[f"{FOLDER}/errors/{path.removeprefix(_TEMPLATES)}"] = page
    ours = {f"{FOLDER}/{name}": File(path) for name, path in _settings().items()}
    form = Form(compress=True)
    version = next(each.version for each in added if each.name == "squid")
    image = images.build(
        layout,
        base=base,
        layers=[
            layer.write(layout, found, form, comment=f"Debian packages: squid {version}"),
            layer.write(layout, ours, form, comment="ntp: settings and helper of the egress proxy"),
        ],
        settings={
            **base_image.settings(
                facts.python, {f"{OCI}title": NAME, f"{OCI}version": __version__}
            ),
            # No fork, no pid file; its configuration asks the helper, which has the base's Python.
            "Entrypoint": [PROGRAM, "-N", "-f", f"{FOLDER}/squid.conf"],
        },
        annotations={},
        architecture=base.architecture,
    )
    return image, [Component(p.name, p.version, p.purl, p.sha256, "program") for p in added]


def _settings() -> dict[str, Path]:
    """Return our files by their names in the image's folder."""
    pages = {f"errors/{path.name}": path for path in sorted((SETTINGS / "errors").iterdir())}
    return {"squid.conf": SETTINGS / "squid.conf", "allow.py": SETTINGS / "allow.py", **pages}
