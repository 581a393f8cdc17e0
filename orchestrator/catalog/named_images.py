"""Plugins by their images: a tag is settled once, all else goes by digest, and claims are only claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ntp.contract.manifest import Manifest
from ntp.contract.names import object_name
from ntp.oci import base_image, described, reference, source
from ntp.oci import image as images
from ntp.oci.descriptor import Descriptor, is_digest
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.market.folder import LOCAL
from ntp.oci.own_layers import own_layers
from ntp.oci.reference import Reference
from ntp.oci.source import architecture
from orchestrator import launch
from orchestrator.catalog.artifacts import of_manifest
from orchestrator.catalog.fault import Fault, FaultError
from orchestrator.catalog.image_store import (
    PLUGIN,
    SITE,
    ImageStore,
    PluginImage,
    about,
    row_of,
    with_annotations,
)
from orchestrator.catalog.told import told
from orchestrator.spec.model import Artifact, Wanted

ASKED = "ntp-image.asked"
"""Of an entry of the index here: the digest that was asked for, where that lists several machines."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """`reference`: by the digest of the image itself. `python`: its path in the image."""

    reference: str
    image: Image
    row: PluginImage
    manifest: Manifest
    python: Path


class NamedImages:
    """Methods block: call them in a thread. Several processes may share one cache."""

    def __init__(
        self,
        store: ImageStore,
        environment: Mapping[str, str],
        *,
        reserved: str,
        whole: bool = False,
        bare: bool = False,
    ) -> None:
        """Keep the settings.

        Args:
            store: where images are kept; what is there is asked of nobody.
            environment: says where `docker login` left who we are.
            reserved: prefix of the labels by which the runtime knows its own containers.
            whole: an image is run as it is: then there has to be a Linux in it.
            bare: of an image only what is the plugin's own is run: nobody reads what lies below.
        """
        self._store = store
        self._environment = environment
        self._reserved = reserved
        self._whole = whole
        self._bare = bare

    def artifact(self, wanted: Wanted) -> Artifact:
        """Return the plugin that an entry's image is.

        Its tag is what it was when the entry was applied last; where it was not, the registry is asked
        once. An image that is here already is asked of nobody.

        Raises:
            FaultError: it cannot be had, or run, or is another plugin; all that is wrong with it.
        """
        try:
            found = self.fetched(self._settled(wanted))
        except described.DescribedError as error:
            faults = (Fault(f"{wanted.image}: {each.message}", each.fix) for each in error.problems)
            raise FaultError(*faults) from error
        except OciError as error:
            raise FaultError(Fault(str(error), error.fix or "name another image")) from error
        if object_name(found.manifest.name) != object_name(wanted.plugin):
            raise FaultError(
                Fault(
                    f"{wanted.image} is the plugin '{found.manifest.name}', and '{wanted.plugin}' "
                    "was asked for",
                    f"write 'plugin: {found.manifest.name}', or name another image",
                )
            )
        return of_manifest(
            found.manifest,
            digest=found.row.digest,
            code=Path(),
            origin=f"image: {wanted.image}",
            image=found.reference,
        )

    def environment(self, artifact: Artifact) -> launch.Environment:
        """Return what an artifact of `artifact` is run in: the image as it is.

        Raises:
            ActionError: it cannot be had any more.
            UnreachableError: it is not here any more, and its registry does not answer.
        """
        with told():
            found = self.fetched(artifact.image)
        row = found.row
        image = self._store.runnable(row.name, id_=row.id, digest=row.digest)
        return launch.Environment(found.python, SITE, row.digest, image)

    def settle(self, text: str) -> str:
        """Return the reference by the digest that it means now; with a digest nobody is asked.

        Raises:
            OciError: it is no reference, names nothing, or its registry does not answer.
        """
        return source.settle(text, environment=self._environment)

    def fetched(self, text: str) -> NamedImage:
        """Return an image by digest, whole and unaltered, and what it says it is.

        Raises:
            DescribedError: its manifest has problems.
            OciError: it is not there, not what its digest says, no image of a plugin, for another
                machine, or wants of an engine what no image of ours does.
        """
        asked = reference.parse(text)
        with self._store.using():
            return self._fetched(asked, text)

    def _fetched(self, asked: Reference, text: str) -> NamedImage:
        layout = self._store.layout()
        here = self._here(layout, asked.digest)
        if here is not None:
            image, said = here[0], here[1].annotations
            manifest, python = self.checked(image, text)
        elif asked.host == LOCAL:
            raise OciError(
                f"{text.partition('@')[0]} is not in the cache any more, or was altered there, and no registry has it",
                fix="it came from a folder or a file: ntpctl plugin uninstall it, and install it again",
                reason="ImageNotFound",
            )
        else:
            pulled = source.pull(text, layout, environment=self._environment)
            image = pulled.image
            # What is refused is not kept: its blobs are nobody's.
            manifest, python = self.checked(image, text)
            said = about(manifest.name, manifest.version, image.digest)
            if asked.digest is not None and asked.digest != image.digest:
                said[ASKED] = asked.digest
            self._store.keep(layout, with_annotations(image.descriptor, said), pulled.index)
        row = row_of(image, said, made=False)
        return NamedImage(str(asked.at(image.digest)), image, row, manifest, Path(python))

    def _settled(self, wanted: Wanted) -> str:
        asked = reference.parse(wanted.image or "")
        if wanted.pinned is not None:
            if not is_digest(wanted.pinned):
                raise OciError(f"what {wanted.image} was when it was applied is not known")
            return str(asked.at(wanted.pinned))
        if asked.digest is None and wanted.applied.partition("@")[0] == str(asked):
            return wanted.applied
        return self.settle(str(asked))

    def _here(self, layout: Layout, digest: str | None) -> tuple[Image, Descriptor] | None:
        for each in layout.index():
            if PLUGIN in each.annotations and digest in (each.digest, each.annotations.get(ASKED)):
                try:
                    image = images.read(layout, each)
                    self._compare(layout, image)
                except OciError:
                    return None  # something of it is gone: the registry has it
                return image, each
        return None

    def _compare(self, layout: Layout, image: Image) -> None:
        """Read through what is run of it; OciError if something of that is absent or altered."""
        try:
            own = own_layers(image, "it") if self._bare else None
        except OciError:
            own = None  # who runs it says so, and why
        if own is None:
            images.check(layout, image)
            return
        for layer in (own.code, own.wheels):
            if layer is not None:
                layout.check(layer)

    def checked(self, image: Image, text: str) -> tuple[Manifest, str]:
        """Return an image's manifest and the path of its Python, where this machine may run it.

        Raises:
            DescribedError: its manifest has problems.
            OciError: it is for another machine, or wants of an engine what no image of ours does, or has
                no Linux where one is needed.
        """
        name = text.partition("@")[0]
        if self._whole and not base_image.has_system(image):
            raise OciError(
                f"{name} has no Linux in it: it runs without Docker only",
                fix="NTP_RUNTIME=process, or have its author package it on a base: `ntp plugin package --base IMAGE`",
            )
        if image.architecture != architecture():
            raise OciError(
                f"{name} is for {image.architecture}, and this machine is {architecture()}",
                fix=f"push one for linux/{architecture()}",
            )
        manifest = described.manifest(image, name)
        if odd := described.oddities(image, reserved=self._reserved):
            raise OciError(f"{name} is refused: {'; '.join(odd)}", fix="build it without that")
        return manifest, described.python(image, name)
