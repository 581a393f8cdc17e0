"""The catalog of a runtime that runs images: found as ever, prepared by building an image. Port `Catalog`."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ntp.oci import base
from ntp.package.lock import Lock
from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.images import Images
from orchestrator.errors import Problem
from orchestrator.ports import Environment, Image
from orchestrator.spec.model import Artifact, Wanted

SITE = tuple(map(Path, (base.SDK_FOLDER, base.WHEELS_FOLDER, base.RUNTIME_FOLDER)))


class ImageCatalog:
    """Finds plugins as `plugins` does; `below` names the base image, None: the one named last."""

    def __init__(self, plugins: LocalCatalog, images: Images, below: str | None) -> None:
        self._plugins = plugins
        self._images = images
        self._below = below
        self._building = asyncio.Lock()

    async def resolve(
        self, wanted: Sequence[Wanted]
    ) -> tuple[Mapping[str, Artifact], Sequence[Problem]]:
        return await self._plugins.resolve(wanted)

    async def prepare(self, artifact: Artifact) -> Environment:
        """Build the image where this input has none yet.

        Raises:
            ActionError: no base was named, or the wheels cannot be had.
            UnreachableError: the registry of the base does not answer.
        """
        lock = await self._plugins.wheels(artifact)
        async with self._building:
            return await asyncio.to_thread(self._prepare, artifact, lock)

    def _prepare(self, artifact: Artifact, lock: Lock | None) -> Environment:
        below = self._images.base(self._below)
        made = self._images.image(artifact, lock, below)
        image = Image(
            made.name,
            frozenset({made.id, made.digest}),
            partial(self._images.archive, [made.digest]),
        )
        python = Path(base.facts(below.image, below.name).python)
        return Environment(python, SITE, made.digest, image)
