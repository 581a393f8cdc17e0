"""What an image of somebody else says of itself: a claim, read with the same care as a plugin.yaml."""

import json
from pathlib import PurePosixPath

from ntp.contract.manifest import Manifest, read
from ntp.contract.problem import Problem
from ntp.oci.base_image import CODE, MODULES, command
from ntp.oci.descriptor import digest_of
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.plugin_image import MANIFEST, MANIFEST_DIGEST

LONGEST_PATH = 256


class DescribedError(OciError):
    """The image's manifest has problems: all of them, in `problems` too."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def manifest(image: Image, name: str) -> Manifest:
    """Return the plugin's manifest out of the image's labels.

    Args:
        image: read with its digests compared, so that these are the labels that its digest stands for.
        name: what a person calls it.

    Raises:
        DescribedError: its manifest has problems; all of them.
        OciError: it is no image of a plugin.
    """
    text = image.labels.get(MANIFEST)
    if text is None:
        raise OciError(
            f"{name} is no image of a plugin: it has no label {MANIFEST}",
            fix="name one that `ntp plugin package` made",
        )
    if digest_of(text.encode()) != image.labels.get(MANIFEST_DIGEST):
        raise OciError(f"{name}: its labels {MANIFEST} and {MANIFEST_DIGEST} do not fit each other")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OciError(f"{name}: its label {MANIFEST} is no JSON") from error
    found, problems = read(document, file=name)
    if found is None:
        raise DescribedError(problems)
    return found


def python(image: Image, name: str) -> str:
    """Return the path of the image's Python, with which it starts what every plugin's image starts.

    Raises:
        OciError: it starts something else, or looks for modules elsewhere.
    """
    settings = image.config.get("config")
    found = settings if isinstance(settings, dict) else {}
    starts, environment = found.get("Entrypoint"), found.get("Env")
    path = str(starts[0]) if isinstance(starts, list) and starts else ""
    modules = [
        word
        for word in (environment if isinstance(environment, list) else ())
        if str(word).partition("=")[0] == MODULES.partition("=")[0]
    ]
    whole = PurePosixPath(path).is_absolute() and len(path) <= LONGEST_PATH and path.isprintable()
    if not whole or starts != command(path) or modules != [MODULES]:
        raise OciError(
            f"{name} starts otherwise than the images that this release runs",
            fix="package it again: `ntp plugin package` on a base of this release",
        )
    return path


def oddities(image: Image, *, reserved: str) -> tuple[str, ...]:
    """Return what its config asks for that no image of ours does, in words; a runtime refuses these.

    An engine follows such fields by itself: it makes volumes, copies labels to containers, runs
    health checks. All that a runtime sets itself (user, environment, entrypoint) is not looked at.

    Args:
        image: with its digests compared.
        reserved: prefix of the labels by which the runtime knows its own containers.
    """
    settings = image.config.get("config")
    found = settings if isinstance(settings, dict) else {}
    told = [f"it has the volume {path!r}" for path in sorted(map(str, found.get("Volumes") or ()))]
    told += [
        f"it has the label {label!r}, whose prefix is the runtime's own"
        for label in sorted(image.labels)
        if label.startswith(reserved)
    ]
    told += [
        f"it sets {field}" for field in ("Healthcheck", "OnBuild", "Shell") if found.get(field)
    ]
    folder = found.get("WorkingDir") or "/"
    if folder not in ("/", CODE):
        told.append(f"it works in {str(folder)[:80]!r}")
    return tuple(told)
