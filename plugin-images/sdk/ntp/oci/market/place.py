"""Where a marketplace is: a folder or a registry, behind one face."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ntp.oci import reference
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.referrer import Attached

CATALOGUE = "ntp-catalogue"
"""Of the repository, or the entry of a folder's index; no plugin may have it as its name."""
KIND = "application/vnd.ntp.catalogue.v1+json"
LATEST = "latest"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Listed:
    """A catalogue as it lies there, unverified. `digest`: of its manifest."""

    digest: str
    files: Mapping[str, bytes]


class Place(Protocol):
    """Names of plugins are those of their manifests. Methods block and raise OciError."""

    location: str

    def reference(self, name: str, version: str) -> str:
        """Return how an entry of plugins.yaml names the image, without a digest."""

    def resolve(self, name: str, version: str) -> str | None:
        """Return the digest that the version's tag means now; None: there is none."""

    def pull_manifest(
        self, name: str, version: str, digest: str, into: Layout
    ) -> tuple[Image, tuple[Attached, ...]]:
        """Fetch what the image says of itself, and what is attached to it; none of its layers."""

    def pull_layers(
        self, name: str, version: str, image: Image, into: Layout, progress: Progress
    ) -> None:
        """Fetch the layers; each is compared with its digest and its declared size on the way."""

    def push(
        self,
        layout: Layout,
        image: Image,
        attachments: Sequence[Attached],
        *,
        name: str,
        version: str,
        progress: Progress,
    ) -> None:
        """Send an image with what is attached to it, under the version's tag."""

    def catalogue(self) -> Listed | None:
        """Return the catalogue that is there; None: there is none."""

    def write_catalogue(self, files: Mapping[str, bytes], *, before: str | None) -> None:
        """Put a catalogue in place of that whose digest was `before`; OciError if it is another by now."""

    def close(self) -> None:
        """End connections."""


def at(location: str, environment: Mapping[str, str]) -> Place:
    """Return the marketplace at a location.

    Args:
        location: a folder, by a path with a `/` in front or a `.`; or `host/path` of a registry.
        environment: where `docker login` left who we are.

    Raises:
        OciError: it is neither.
    """
    from ntp.oci.market.folder import Folder
    from ntp.oci.market.registered import Registered

    if location.startswith(("/", ".", "~")):
        return Folder(Path(location).expanduser().absolute())
    host, _, path = location.partition("/")
    try:
        reference.parse(f"{location}/{CATALOGUE}:{LATEST}")
    except OciError as error:
        raise OciError(
            f"{location[:200]!r} is no place for a marketplace",
            fix="write a folder, /srv/plugins or ./plugins; or a registry, registry.example.com/team",
        ) from error
    return Registered(host, path, environment)


def moved(location: str) -> OciError:
    return OciError(
        f"somebody else has changed the catalogue of {location} meanwhile",
        fix="run the same again",
        reason="CatalogueChanged",
    )
