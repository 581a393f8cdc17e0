"""Files to something that can be run: text, then plugins found, then everything checked together."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.controller.outside import Settings
from orchestrator.errors import ConfigError, Problem
from orchestrator.ports import Catalog
from orchestrator.spec.load import read, resolve
from orchestrator.spec.model import Artifact, Desired

Sources = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Readable:
    """What an apply asks to be read. `pins`: entry -> digest that it has to be again."""

    sources: Sources
    settings: Settings
    pins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Declared:
    desired: Desired
    artifacts: Mapping[str, Artifact]

    @property
    def resolved(self) -> dict[str, str]:
        """Entry -> digest, for the revision."""
        return {name: each.digest for name, each in self.artifacts.items()}


async def understand(asked: Readable, catalog: Catalog, *, project: str, revision: int) -> Declared:
    """Return what the files declare.

    Raises:
        ConfigError: every problem of the files; then of the plugins; then of both together.
        ActionError: the catalog cannot work at all.
    """
    # Sixteen MiB of YAML take seconds, in which the loop must go on.
    found = await asyncio.to_thread(
        read, asked.sources, environment=asked.settings, project=project
    )
    if found.project != project:
        raise ConfigError(
            [
                Problem(
                    file=asked.sources[0][0],
                    line=0,
                    column=0,
                    message=f"the files name the project '{found.project}', this is '{project}'",
                    fix=f"write `name: {project}`, or run `ntpctl apply` for that project",
                )
            ]
        )
    artifacts, problems = await catalog.resolve(found.wanted(asked.pins))
    if problems:
        raise ConfigError(problems)
    desired = await asyncio.to_thread(resolve, found, artifacts, revision=revision)
    return Declared(desired, artifacts)
