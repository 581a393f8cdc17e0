"""What an image is made of, as a CycloneDX document: the plugin, its wheels, what its base says.

Written by hand: it has no time and no random number in it, so that the same image has the same one.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ntp.oci.descriptor import dump

MEDIA_TYPE = "application/vnd.cyclonedx+json"
SPECIFICATION = "1.6"


@dataclass(frozen=True, slots=True)
class Component:
    """`purl`: package URL. `sha256`: of the file that was installed, hexadecimal. `scope`: where it is."""

    name: str
    version: str
    purl: str
    sha256: str | None = None
    where: str = ""

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "library",
            "bom-ref": self.purl,
            "name": self.name,
            "version": self.version,
            "purl": self.purl,
        }
        if self.sha256 is not None:
            found["hashes"] = [{"alg": "SHA-256", "content": self.sha256}]
        if self.where:
            found["properties"] = [{"name": "ntp:layer", "value": self.where}]
        return found

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Component":
        """Read what `to_json` wrote."""
        hashes = document.get("hashes") or [{}]
        properties = document.get("properties") or [{}]
        return cls(
            str(document["name"]),
            str(document["version"]),
            str(document["purl"]),
            hashes[0].get("content"),
            str(properties[0].get("value", "")),
        )


def pypi(name: str, version: str, sha256: str | None, where: str) -> Component:
    """Return a wheel of the Python package index's kind; `name` is canonical."""
    return Component(name, version, f"pkg:pypi/{name}@{version}", sha256, where)


def write(
    *,
    subject: str,
    digest: str,
    name: str,
    version: str,
    components: Sequence[Component],
) -> bytes:
    """Return the document.

    Args:
        subject: package URL of what it describes.
        digest: of the image; the document's own number is made from it.
        name: of the plugin, or the base.
        version: of it.
        components: in any order.
    """
    parts = {each.purl: each for each in components}
    return dump(
        {
            "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": SPECIFICATION,
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{subject}#{digest}')}",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "container",
                    "bom-ref": subject,
                    "name": name,
                    "version": version,
                    "purl": subject,
                    "hashes": [{"alg": "SHA-256", "content": digest.partition(":")[2]}],
                },
            },
            "components": [parts[purl].to_json() for purl in sorted(parts)],
            "dependencies": [
                {"ref": subject, "dependsOn": sorted(parts)},
                *({"ref": purl} for purl in sorted(parts)),
            ],
        }
    )
