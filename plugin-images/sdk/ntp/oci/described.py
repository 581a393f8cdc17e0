"""What an image of somebody else says of itself: a claim, read with the same care as a plugin.yaml."""

import json

from ntp.contract.manifest import Manifest, read
from ntp.oci.base import CODE
from ntp.oci.descriptor import digest_of
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.plugin_image import MANIFEST, MANIFEST_DIGEST


def manifest(image: Image, name: str) -> Manifest:
    """Return the plugin's manifest out of the image's labels.

    Args:
        image: read with its digests compared, so that these are the labels that its digest stands for.
        name: what a person calls it.

    Raises:
        OciError: it is no image of a plugin, or its manifest has problems; all of them.
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
        raise OciError("\n".join(str(problem) for problem in problems))
    return found


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
