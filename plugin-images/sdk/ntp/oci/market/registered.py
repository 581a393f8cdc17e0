"""A marketplace in a registry: a repository for each plugin, one for the catalogue."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ntp.contract import semver
from ntp.contract.names import object_name
from ntp.oci import artifact, reference
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.market.place import CATALOGUE, KIND, LATEST, Listed, Progress, moved
from ntp.oci.reference import Reference
from ntp.oci.referrer import Attached, attached
from ntp.oci.registry import Registry
from ntp.oci.registry_access import logged_in
from ntp.oci.source import architecture


class Registered:
    """At `host/path`. A registry cannot compare and swap a tag: two who publish at once may lose one
    entry of the catalogue, which whoever wrote it is told of, and never an image.
    """

    def __init__(self, host: str, path: str, environment: Mapping[str, str]) -> None:
        self.location = f"{host}/{path}"
        self._registry = Registry(host, credentials=logged_in(host, environment))
        self._listed = reference.parse(f"{self.location}/{CATALOGUE}:{LATEST}")

    def reference(self, name: str, version: str) -> str:
        return f"{self.location}/{object_name(name)}:{semver.tag(version)}"

    def resolve(self, name: str, version: str) -> str | None:
        try:
            return self._registry.resolve(self._of(name, version)).digest
        except OciError as error:
            if error.reason == "ImageNotFound":
                return None
            raise

    def pull_manifest(
        self, name: str, version: str, digest: str, into: Layout
    ) -> tuple[Image, tuple[Attached, ...]]:
        wanted = self._of(name, version).at(digest)
        image = self._registry.pull_manifest(wanted, into, architecture=architecture())
        listed = self._registry.pull_attached(wanted.at(image.digest), into)
        return image, attached(into, image, listed)

    def pull_layers(
        self, name: str, version: str, image: Image, into: Layout, progress: Progress
    ) -> None:
        wanted = self._of(name, version).at(image.digest)
        self._registry.pull_layers(wanted, image, into, progress=progress)

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
        to = self._of(name, version)
        self._registry.push(layout, image, to, attachments=attachments, progress=progress)

    def catalogue(self) -> Listed | None:
        with tempfile.TemporaryDirectory(prefix="ntp-catalogue-") as scratch:
            layout = Layout.create(Path(scratch))
            try:
                found = self._registry.pull_artifact(self._listed, layout)
            except OciError as error:
                if error.reason == "ImageNotFound":
                    return None
                raise
            return Listed(found.descriptor.digest, found.contents(layout))

    def write_catalogue(self, files: Mapping[str, bytes], *, before: str | None) -> None:
        if self._now() != before:
            raise moved(self.location)
        with tempfile.TemporaryDirectory(prefix="ntp-catalogue-") as scratch:
            layout = Layout.create(Path(scratch))
            made = artifact.write(layout, KIND, files)
            self._registry.push_artifact(layout, made, self._listed)
        if self._now() != made.descriptor.digest:
            raise moved(self.location)

    def close(self) -> None:
        self._registry.close()

    def _now(self) -> str | None:
        try:
            return self._registry.resolve(self._listed).digest
        except OciError as error:
            if error.reason == "ImageNotFound":
                return None
            raise

    def _of(self, name: str, version: str) -> Reference:
        return reference.parse(self.reference(name, version))
