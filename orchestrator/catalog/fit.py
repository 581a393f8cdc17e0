"""Whether what an image holds can be run by this Python and this SDK; every reason why not, at once."""

import glob
import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, parse_tag, sys_tags
from packaging.utils import canonicalize_name
from packaging.version import Version

from ntp.contract import CONTRACT
from ntp.contract.manifest import Manifest
from ntp.oci.fault import OciError
from ntp.package.interpreter import platform_tag
from orchestrator.catalog.unpacked import Folders

_MOST = 1024**2
"""Bytes that are read of what a wheel says of itself."""
_MOST_TAGS = 1024
"""Of one line: what stands between its dots is multiplied."""
DOCKER = "or run it whole, on Docker (NTP_RUNTIME=docker)"
Reason = tuple[str, str]
"""What does not fit, and what to do."""


def obstacles(found: Folders, manifest: Manifest, given: Mapping[str, str]) -> Sequence[Reason]:
    """Return all that stands against running it here.

    Args:
        found: what was taken out of the image.
        manifest: of the plugin.
        given: what comes with the SDK here: canonical name -> version.

    Raises:
        OciError: its wheels do not say what they are, or say what cannot be understood.
    """
    try:
        wheels = [] if found.wheels is None else list(_wheels(found.wheels))
        return [
            *_contract(found.layers.contract),
            *(reason for wheel in wheels for reason in _wheel(wheel)),
            *_unmet(manifest.requirements, wheels, given),
            *_code(found),
        ]
    except (ValueError, RecursionError) as error:
        # All of it was written by a stranger: a marker may compare what has no order.
        raise OciError(f"what its wheels need cannot be understood: {str(error)[:200]}") from error


@dataclass(frozen=True, slots=True)
class _Wheel:
    name: str
    version: str
    python: str
    """Versions of Python that it is for; empty: any."""
    needs: tuple[Requirement, ...]
    tags: frozenset[Tag]
    told: str
    """Its tags, as a person reads them."""


def _contract(made_for: str) -> Iterator[Reason]:
    theirs, ours = _numbers(made_for), _numbers(CONTRACT)
    if theirs[:1] != ours[:1] or theirs > ours:
        newer = "update ntp-orchestrator" if theirs > ours else "have its author package it anew"
        yield (
            f"it was packaged for contract {made_for or 'unknown'}, and {CONTRACT} is spoken here",
            f"{newer}, {DOCKER}",
        )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    plain = all(part.isdecimal() and len(part) < 10 for part in parts)
    return tuple(map(int, parts)) if plain else ()


def _wheel(wheel: _Wheel) -> Iterator[Reason]:
    here = platform.python_version()
    if not wheel.tags & _supported():
        yield (
            f"its {wheel.name} {wheel.version} is compiled for {wheel.told}, and this is {platform_tag()}",
            f"run ntpctl with the Python that it was packaged with, {DOCKER}",
        )
    if wheel.python and not SpecifierSet(wheel.python).contains(here, prereleases=True):
        yield (
            f"its {wheel.name} {wheel.version} needs Python {wheel.python}, and this is {here}",
            f"run ntpctl with such a Python, {DOCKER}",
        )


def _unmet(
    requirements: Sequence[str], wheels: Sequence[_Wheel], given: Mapping[str, str]
) -> Iterator[Reason]:
    """What the image's base brought in another version, or its Python brought itself."""
    there = {**given, **{wheel.name: wheel.version for wheel in wheels}}
    asked = [("it", Requirement(text)) for text in requirements]
    asked += [
        (f"its {wheel.name} {wheel.version}", each) for wheel in wheels for each in wheel.needs
    ]
    for who, each in asked:
        # Extras of a requirement that is there were resolved when it was packaged.
        if each.marker is not None and not each.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(each.name)
        version = there.get(name)
        if version is None:
            found = "which is not in its image and not here"
        elif not each.specifier.contains(version, prereleases=True):
            found = f"and {name} {version} is here"
        else:
            continue
        fix = (
            "update ntp-orchestrator"
            if name in given
            else "have its author package it for this Python"
        )
        yield f"{who} needs {name}{each.specifier}, {found}", f"{fix}, {DOCKER}"


def _code(found: Folders) -> Iterator[Reason]:
    """It was Python where it was packaged; what did not compile here is of another version."""
    for file in sorted(found.code.rglob("*.py")):
        if not any((file.parent / "__pycache__").glob(f"{glob.escape(file.stem)}.*.pyc")):
            where = file.relative_to(found.code)
            made_for = found.layers.python or "another"
            yield (
                f"its '{where}' is no Python {platform.python_version()}: it was packaged for {made_for}",
                f"run ntpctl with the Python that it was packaged with, {DOCKER}",
            )


@cache
def _supported() -> frozenset[Tag]:
    return frozenset(sys_tags())


def _wheels(folder: Path) -> Iterator[_Wheel]:
    for about in sorted(folder.glob("*.dist-info")):
        try:
            said = BytesHeaderParser().parsebytes(_head(about / "METADATA"))
            made = BytesHeaderParser().parsebytes(_head(about / "WHEEL"))
            tags = [str(text) for text in made.get_all("tag", [])]
            yield _Wheel(
                name=canonicalize_name(str(said["name"])),
                version=str(Version(str(said["version"]))),
                python=str(SpecifierSet(str(said.get("requires-python", "")))),
                needs=tuple(Requirement(str(text)) for text in said.get_all("requires-dist", [])),
                tags=frozenset(tag for text in tags for tag in _tags(text)),
                told=", ".join(tags)[:100],
            )
        except (OSError, ValueError, RecursionError) as error:
            raise OciError(
                f"the wheel {about.name[:80]!r} in it does not say what it is: {str(error)[:200]}"
            ) from error


def _tags(text: str) -> frozenset[Tag]:
    if math.prod(len(part.split(".")) for part in text.split("-")) > _MOST_TAGS:
        raise ValueError(f"it has more than {_MOST_TAGS} tags")
    return parse_tag(text)


def _head(file: Path) -> bytes:
    """Return what stands before a description, which may be long."""
    with file.open("rb") as content:
        read = content.read(_MOST)
    head, end, _ = read.replace(b"\r\n", b"\n").partition(b"\n\n")
    if not end and len(read) == _MOST:
        raise ValueError(f"its {file.name} has more than {_MOST:,} bytes")
    return head
