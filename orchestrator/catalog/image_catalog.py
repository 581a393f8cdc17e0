"""The catalog of a runtime that runs images: a plugin's own, or one that is built of its files. Port `Catalog`."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ntp.oci import base_image
from ntp.package.lock import Lock
from orchestrator.catalog import by_image
from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.image_store import OURS, SITE, ImageStore, base_name
from orchestrator.catalog.images import Images
from orchestrator.catalog.named_images import NamedImages
from orchestrator.errors import Problem
from orchestrator.launch import Environment
from orchestrator.spec.model import Artifact, Wanted


class ImageCatalog:
    """Finds plugins as `plugins` does, and those that entries name by their image."""

    def __init__(
        self,
        plugins: LocalCatalog,
        store: ImageStore,
        images: Images,
        named: NamedImages,
        below: str | None,
    ) -> None:
        """Keep the parts. `below` names the base image that is built on; None: the one named last."""
        self._plugins = plugins
        self._store = store
        self._images = images
        self._named = named
        self._below = below
        self._building = asyncio.Lock()

    async def resolve(
        self, wanted: Sequence[Wanted]
    ) -> tuple[Mapping[str, Artifact], Sequence[Problem]]:
        return await by_image.resolve(self._plugins, wanted, self._named.artifact)

    async def prepare(self, artifact: Artifact) -> Environment:
        """Build the image where this input has none yet; one that was named is run as it is.

        Raises:
            ActionError: no base was named, or the wheels cannot be had; or a named image cannot.
            UnreachableError: the registry of what is missing does not answer.
        """
        if artifact.image:
            async with self._building:
                return await asyncio.to_thread(self._as_it_is, artifact)
        lock = await self._plugins.wheels(artifact)
        async with self._building:
            return await asyncio.to_thread(self._prepare, artifact, lock)

    async def image_of(self, artifact: Artifact, *, ran: bool = False) -> str | None:
        if artifact.image:
            return artifact.digest
        find = self._store.made_of if ran else self._images.known
        return await asyncio.to_thread(find, artifact.digest)

    def _prepare(self, artifact: Artifact, lock: Lock | None) -> Environment:
        below = self._images.base(self._below)
        made = self._images.image(artifact, lock, below)
        image = self._store.runnable(made.name, id_=made.id, digest=made.digest)
        python = Path(base_image.facts(below.image, below.name).python)
        serving = Environment(python, OURS, made.digest, image)
        return Environment(python, SITE, made.digest, image, serving)

    def _as_it_is(self, artifact: Artifact) -> Environment:
        below = self._images.base(self._below)
        digest = below.image.digest
        image = self._store.runnable(base_name(digest), id_=below.image.id, digest=digest)
        python = Path(base_image.facts(below.image, below.name).python)
        serving = Environment(python, OURS, digest, image)
        return replace(self._named.environment(artifact), serving=serving)
