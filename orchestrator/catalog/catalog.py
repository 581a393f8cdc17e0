"""The catalog of one machine: plugin files, bundled plugins, a cache of what was made of them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ntp.contract.manifest import FILE, Manifest
from ntp.contract.names import object_name
from ntp.contract.problem import Problem
from ntp.package.cache import Cache
from ntp.package.environment import Environments
from ntp.package.interpreter import platform_tag
from ntp.package.lock import Lock
from ntp.package.lock_file import write_lock
from ntp.package.wheels import Pip
from orchestrator.catalog.artifacts import Artifacts, lock_at, lock_beside
from orchestrator.catalog.describe import Descriptions, from_document
from orchestrator.catalog.extraction import Limits
from orchestrator.catalog.fault import Fault, FaultError
from orchestrator.catalog.find import Found, Places, available, find
from orchestrator.catalog.lying import Lying, look
from orchestrator.catalog.told import told_of_packages
from orchestrator.errors import ActionError, ungrouped
from orchestrator.launch import Environment
from orchestrator.spec.model import Artifact, Wanted

Progress = Callable[[str, str], None]
"""Called from a worker thread with (plugin, what happens)."""


def _silent(plugin: str, line: str) -> None:
    """Nobody watches."""


class LocalCatalog:
    """Implements `ports.Catalog`. Several processes may share one cache.

    An artifact's digest covers the plugin's files, its requirements and, where one lies beside it,
    its lock. A lock that `prepare` itself has made beside a plugin changes no digest: what was
    applied without a lock stays what it was.
    """

    def __init__(
        self,
        *,
        project_folder: Path,
        cache: Path,
        bundled: Path,
        plugin_dir: Path | None = None,
        limits: Limits | None = None,
        pip: Pip | None = None,
        progress: Progress = _silent,
    ) -> None:
        """Keep the settings; nothing is read yet.

        Args:
            project_folder: what relative file names in a `Place` are relative to.
            cache: made if absent; may be deleted whenever nothing runs.
            bundled: folder of the plugins that come with ntpctl.
            plugin_dir: PLUGIN_DIR.
            limits: of the child that reads a lone file.
            pip: how to reach the registry; default: without any setting of ours.
            progress: what happens while requirements are installed.
        """
        self._places = Places(project_folder, plugin_dir, bundled)
        self._cache = Cache(cache)
        self.environments = Environments(self._cache, pip or Pip(), progress)
        self._descriptions = Descriptions(self._cache, self.environments, limits or Limits())
        self._artifacts = Artifacts(self._cache, bundled)
        self._installing = asyncio.Lock()

    async def resolve(
        self, wanted: Sequence[Wanted]
    ) -> tuple[Mapping[str, Artifact], Sequence[Problem]]:
        artifacts: dict[str, Artifact] = {}
        problems: list[Problem] = []
        groups: dict[tuple[str | None, ...], list[Wanted]] = {}
        for one in wanted:
            groups.setdefault(_same_question(one), []).append(one)

        async def answer(group: Sequence[Wanted]) -> None:
            try:
                with told_of_packages():
                    artifact = await self._artifact(group[0])
            except _UnusableError as error:
                artifacts.update((one.name, error.artifact(one)) for one in group)
            except FaultError as error:
                problems.extend(problem for one in group for problem in error.at(one))
            else:
                artifacts.update((one.name, artifact) for one in group)

        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                for group in groups.values():
                    tasks.create_task(answer(group))
        return artifacts, sorted(set(problems))

    def look(self, wanted: Sequence[Wanted]) -> Mapping[str, Lying]:
        """Return what lies where each entry's plugin is looked for, by entry name; blocks.

        Of an entry that names an image nothing lies anywhere.
        """
        return {one.name: look(one, self._places) for one in wanted if one.image is None}

    async def prepare(self, artifact: Artifact) -> Environment:
        async with self._installing:
            return await asyncio.to_thread(self._prepare, artifact)

    async def image_of(self, artifact: Artifact, *, ran: bool = False) -> str | None:  # noqa: ARG002 - of the port
        return None

    async def wheels(self, artifact: Artifact) -> Lock | None:
        """Return the lock that `prepare` installs, made where there is none yet; None: nothing to install.

        Raises:
            ActionError: RequirementsFailed, ArtifactGone.
        """
        async with self._installing:
            return await asyncio.to_thread(self._lock, artifact)

    def available(self) -> tuple[str, ...]:
        """Return the names of all plugins that an entry could name without `source`; blocks."""
        return available(self._places)

    async def renew(self, artifact: Artifact) -> None:
        """Ask the registry for newer wheels and lock them beside the plugin.

        What was applied keeps its own lock; the next `resolve` finds the new one and gives a new
        digest.

        Raises:
            ActionError: RequirementsFailed; also where the plugin's folder cannot be written.
        """
        async with self._installing:
            await asyncio.to_thread(self._renew, artifact)

    async def _artifact(self, wanted: Wanted) -> Artifact:
        if wanted.pinned is not None:
            return await asyncio.to_thread(self._artifacts.pinned, wanted.plugin, wanted.pinned)
        found = await asyncio.to_thread(find, wanted, self._places)
        lock = await asyncio.to_thread(lock_beside, found)
        code = await asyncio.to_thread(self._cache.tree, found.tree)
        if found.module is None:
            manifest = from_document(found)
            _check_name(found, manifest, wanted)
        else:
            name = wanted.plugin if found.looked_up else found.module.lower()
            try:
                manifest = await self._descriptions.manifest(found, code, name, lock)
            except FaultError as error:
                raise _UnusableError(
                    partial(self._artifacts.unusable, found, code, why=error)
                ) from error
        return await asyncio.to_thread(self._record, found, manifest, code, lock)

    def _record(self, found: Found, manifest: Manifest, code: Path, lock: Lock | None) -> Artifact:
        complete = self.environments.knows(manifest.requirements, lock)
        return self._artifacts.record(found, manifest, code, lock, complete=complete)

    def _prepare(self, artifact: Artifact) -> Environment:
        lock = self._lock(artifact)
        with told_of_packages():
            made = self.environments.install(artifact.plugin, artifact.requirements, lock)
        return Environment(made.python, made.site, made.digest)

    def _lock(self, artifact: Artifact) -> Lock | None:
        """The wheels that this artifact was prepared with first; else ask for them now, and keep them."""
        if not artifact.code.is_dir():
            raise ActionError(
                f"the copy of {artifact.plugin}'s code is not in the cache any more; apply again",
                reason="ArtifactGone",
            )
        kept = self._artifacts.lock(artifact.digest)
        if kept is not None and platform_tag() in kept.pins:
            return kept
        beside = self._artifacts.lock_path(artifact.digest)
        known = None if beside is None else lock_at(beside)
        with told_of_packages():
            lock = self.environments.lock(artifact.plugin, artifact.requirements, known)
            if lock is not None:
                self._artifacts.keep_lock(artifact, lock)
        return lock

    def _renew(self, artifact: Artifact) -> None:
        beside = self._artifacts.lock_path(artifact.digest)
        with told_of_packages():
            lock = self.environments.lock(artifact.plugin, artifact.requirements, None, renew=True)
        if lock is None or beside is None or not write_lock(lock, beside):
            raise ActionError(
                f"the lock of {artifact.plugin} cannot be written beside it; check the permissions "
                "of its folder",
                reason="RequirementsFailed",
            )


class _UnusableError(Exception):
    """A lone file was found, and cannot be examined; `artifact` says so of one entry."""

    def __init__(self, artifact: Callable[[Wanted], Artifact]) -> None:
        super().__init__("a lone file cannot be examined")
        self.artifact = artifact


def _same_question(wanted: Wanted) -> tuple[str | None, ...]:
    folder = None if wanted.source is None else str(Path(wanted.place.file).parent)
    return wanted.plugin, wanted.source, folder, wanted.image, wanted.pinned


def _check_name(found: Found, manifest: Manifest, wanted: Wanted) -> None:
    if found.looked_up and object_name(manifest.name) != object_name(wanted.plugin):
        raise _fault(
            f"{found.shown}/{FILE} says that it is '{manifest.name}', and '{wanted.plugin}' was "
            "asked for",
            f"call the folder '{manifest.name}', or correct the name in {FILE}",
        )


def _fault(message: str, fix: str) -> FaultError:
    return FaultError(Fault(message, fix))
