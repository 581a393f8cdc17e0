"""The catalog of a runtime without an engine: plugins by their files, and out of images. Port `Catalog`."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from ntp.oci.fault import OciError
from orchestrator.catalog import by_image
from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.fault import Fault, FaultError
from orchestrator.catalog.fit import Reason, obstacles
from orchestrator.catalog.named_images import NamedImage, NamedImages
from orchestrator.catalog.told import told, told_of_packages
from orchestrator.catalog.unpacked import Folders, Unpacked
from orchestrator.errors import ActionError, Problem
from orchestrator.launch import Environment
from orchestrator.spec.model import Artifact, Wanted


class ProcessCatalog:
    """Finds plugins as `plugins` does, and those that entries name by their image.

    Of an image only what is the plugin's own is run, its code and its wheels, with the Python and the
    SDK of every other plugin here: where these do not fit, the entry is refused.
    """

    def __init__(self, plugins: LocalCatalog, named: NamedImages, unpacked: Unpacked) -> None:
        self._plugins = plugins
        self._named = named
        self._unpacked = unpacked
        self._unpacking = asyncio.Lock()

    async def resolve(
        self, wanted: Sequence[Wanted]
    ) -> tuple[Mapping[str, Artifact], Sequence[Problem]]:
        return await by_image.resolve(self._plugins, wanted, self._artifact)

    async def prepare(self, artifact: Artifact) -> Environment:
        """Do as the port says.

        Raises:
            ActionError: the wheels or the image cannot be had, or it does not fit what is here by now.
            UnreachableError: the registry of an image that is not here any more does not answer.
        """
        if not artifact.image:
            return await self._plugins.prepare(artifact)
        async with self._unpacking:
            return await asyncio.to_thread(self._prepare, artifact)

    async def image_of(self, artifact: Artifact, *, ran: bool = False) -> str | None:  # noqa: ARG002 - of the port
        return artifact.digest if artifact.image else None

    def _artifact(self, wanted: Wanted) -> Artifact:
        artifact = self._named.artifact(wanted)
        name = str(wanted.image).partition("@")[0]
        try:
            with told_of_packages():
                found = self._named.fetched(artifact.image)
                folders = self._unpacked.of(found.image, name)
                reasons = self._obstacles(found, folders)
        except OciError as error:
            raise FaultError(Fault(str(error), error.fix or "name another image")) from error
        if reasons:
            raise FaultError(*(Fault(f"{name}: {what}", fix) for what, fix in reasons))
        return artifact

    def _prepare(self, artifact: Artifact) -> Environment:
        with told():
            found = self._named.fetched(artifact.image)
            folders = self._unpacked.of(found.image, artifact.plugin)
            reasons = self._obstacles(found, folders)
            if reasons:
                words = "\n".join(f"{what}\n  fix: {fix}" for what, fix in reasons)
                raise ActionError(words, reason="ImageRefused", permanent=True)
            made = self._plugins.environments.around(folders.wheels)
        unaltered = partial(self._unpacked.unaltered, folders)
        return Environment(
            made.python, made.site, made.digest, code=folders.code, unaltered=unaltered
        )

    def _obstacles(self, found: NamedImage, folders: Folders) -> Sequence[Reason]:
        given = self._plugins.environments.base().versions
        return obstacles(folders, found.manifest, given)
