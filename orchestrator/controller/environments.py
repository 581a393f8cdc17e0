"""What artifacts are run with: prepared once, and compared ahead of each start with what was prepared."""

import asyncio
from dataclasses import dataclass, field

from orchestrator.launch import Environment
from orchestrator.ports import Catalog
from orchestrator.spec.model import Artifact


@dataclass(slots=True)
class _Looks:
    """Of one digest, one at a time: each compares what is there, or prepares it."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    done: int = 0
    """The last one that ended well."""
    found: Environment | None = None


class Environments:
    """By the digest of an artifact."""

    def __init__(self) -> None:
        self._looks: dict[str, _Looks] = {}

    async def of(self, artifact: Artifact, catalog: Catalog) -> Environment:
        """Return what an artifact is run with, as a look found it that began after this call.

        All who ask while one look is on its way share the next. An older one will not do: what was
        altered since would be started.

        Raises:
            ActionError, UnreachableError: as `catalog.prepare` does.
        """
        looks = self._looks.setdefault(artifact.digest, _Looks())
        asked = looks.begun
        async with looks.turn:
            known = looks.found
            if known is None or looks.done <= asked:
                looks.begun = number = looks.begun + 1
                # A plugin that crashed must not wait for another one's installation.
                if known is None or not await _is_usable(known):
                    known = await catalog.prepare(artifact)
                looks.found, looks.done = known, number
            return known


async def _is_usable(environment: Environment) -> bool:
    """Whether its folders are there, as they were made; an image is looked for by who runs it."""
    folders = (*environment.site, *([environment.code] if environment.code else []))
    if environment.image is None and not all(folder.exists() for folder in folders):
        return False
    return environment.unaltered is None or await asyncio.to_thread(environment.unaltered)
