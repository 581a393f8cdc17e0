"""The catalog on a cluster, where nodes pull images: those that the chart lists, and those that entries name. Port `Catalog`.

Nothing is pulled or built here: of an image that an entry names only what it says of itself is read.
"""

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ntp.contract.manifest import Manifest
from ntp.contract.names import object_name
from ntp.oci import reference
from ntp.oci.descriptor import is_digest
from ntp.oci.reference import Reference
from ntp.oci.registry import Registry
from ntp.oci.registry_access import logged_in
from ntp.oci.source import architecture
from orchestrator.catalog.artifacts import of_manifest
from orchestrator.catalog.fault import Fault, FaultError
from orchestrator.catalog.image_store import SITE, about, row_of
from orchestrator.catalog.named_images import NamedImage, NamedImages
from orchestrator.catalog.told import told
from orchestrator.errors import Problem
from orchestrator.launch import Environment, Image
from orchestrator.spec.model import Artifact, Wanted
from orchestrator.spec.schema import manifests

AT_ONCE = 3
"""Registries asked at a time."""


class DescribedImages(NamedImages):
    """As `NamedImages`, by manifest and config alone; what a digest says is asked for once."""

    def _fetched(self, asked: Reference, text: str) -> NamedImage:
        del text
        registry = Registry(asked.host, credentials=logged_in(asked.host, self._environment))
        try:
            image = registry.pull_manifest(asked, self._store.layout(), architecture=architecture())
        finally:
            registry.close()
        manifest, python = self.checked(image, str(asked))
        said = about(manifest.name, manifest.version, image.digest)
        row = row_of(image, said, made=False)
        return NamedImage(str(asked.at(image.digest)), image, row, manifest, Path(python))


class ClusterCatalog:
    """`listed`: plugin -> its image by digest; `python`: of those images, as the base of this release has it."""

    def __init__(
        self, listed: Mapping[str, str], *, bundled: Path, named: DescribedImages, python: Path
    ) -> None:
        self._listed = {object_name(name): image for name, image in listed.items()}
        self._known = {object_name(each.name): each for each in manifests(bundled)}
        self._named = named
        self._python = python
        self._pythons: dict[str, Path] = {}
        self._answers: dict[Wanted, Artifact] = {}
        self._made: dict[tuple[str, str], Artifact] = {}
        """By plugin and image: a thousand entries of one plugin share what is known of it."""

    async def resolve(
        self, wanted: Sequence[Wanted]
    ) -> tuple[Mapping[str, Artifact], Sequence[Problem]]:
        artifacts: dict[str, Artifact] = {}
        problems: list[Problem] = []
        slots = asyncio.Semaphore(AT_ONCE)

        async def answer(one: Wanted) -> None:
            try:
                if one.image is None:
                    artifacts[one.name] = self._bundled(one)
                    return
                async with slots:
                    artifacts[one.name] = await asyncio.to_thread(self._by_image, one)
            except FaultError as error:
                problems.extend(error.at(one))

        async with asyncio.TaskGroup() as tasks:
            for one in wanted:
                tasks.create_task(answer(one))
        return artifacts, sorted(problems)

    async def prepare(self, artifact: Artifact) -> Environment:
        """Return the image as it is: whether a node can pull it is seen there.

        Raises:
            ActionError: what a named image says of itself cannot be had.
            UnreachableError: its registry does not answer.
        """
        image = Image(artifact.image, frozenset({artifact.digest}))
        python = self._pythons.get(artifact.image)
        if python is None and artifact.image not in self._listed.values():
            with told():
                found = await asyncio.to_thread(self._named.fetched, artifact.image)
            python = self._pythons[artifact.image] = found.python
        return Environment(python or self._python, SITE, artifact.digest, image)

    async def image_of(self, artifact: Artifact, *, ran: bool = False) -> str | None:  # noqa: ARG002 - of the port
        return artifact.digest

    def _by_image(self, wanted: Wanted) -> Artifact:
        digest = reference.parse(wanted.image or "").digest
        if digest is not None and wanted in self._answers:
            return self._answers[wanted]
        found = self._named.artifact(wanted)
        if digest is not None:
            self._answers[wanted] = found
        return found

    def _bundled(self, wanted: Wanted) -> Artifact:
        name = object_name(wanted.plugin)
        push = f"`ntp plugin package {wanted.source or wanted.plugin} --push REGISTRY --pin` makes its image and writes it here"
        if wanted.source is not None:
            raise FaultError(
                Fault(
                    f"source '{wanted.source}' is of another machine, and a cluster runs images",
                    push,
                )
            )
        if name not in self._listed or name not in self._known:
            near = difflib.get_close_matches(name, self._listed, n=1)
            hint = f"did you mean '{self._known[near[0]].name}'? Else " if near and near[0] in self._known else ""  # fmt: skip
            there = ", ".join(sorted(each.name for key, each in self._known.items() if key in self._listed))  # fmt: skip
            message = f"the plugin '{wanted.plugin}' is none that this release brings along ({there or 'none'})"
            raise FaultError(Fault(message, f"{hint}{push}"))
        return self._artifact(wanted, self._known[name], reference.parse(self._listed[name]))

    def _artifact(self, wanted: Wanted, manifest: Manifest, listed: Reference) -> Artifact:
        if wanted.pinned is not None and not is_digest(wanted.pinned):
            raise FaultError(
                Fault(f"what '{wanted.plugin}' was when it was applied is not known", "apply anew")
            )
        asked = listed if wanted.pinned is None else listed.at(wanted.pinned)
        key = (manifest.name, str(asked))
        if key not in self._made:
            self._made[key] = of_manifest(
                manifest,
                digest=asked.digest or "",
                code=Path(),
                origin="bundled",
                image=str(asked),
            )
        return self._made[key]
