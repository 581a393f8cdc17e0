"""Resolving where entries may name images: each is asked for once, some at a time, and every problem stands at its line."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.fault import FaultError
from orchestrator.errors import Problem, ungrouped
from orchestrator.spec.model import Artifact, Place, Wanted

AT_ONCE = 3
"""Registries asked at a time: one that hangs must not take all threads of the process."""
_NOWHERE = Place("", 0, 0)


async def resolve(
    plugins: LocalCatalog, wanted: Sequence[Wanted], ask: Callable[[Wanted], Artifact]
) -> tuple[Mapping[str, Artifact], Sequence[Problem]]:
    """Return artifacts by entry name, and problems, as the port `Catalog` says.

    Args:
        plugins: finds those that name no image.
        wanted: entries.
        ask: answers for one that does; it blocks, and may raise FaultError.

    Raises:
        ActionError, UnreachableError: as `ask` does.
    """
    by_files, found = await plugins.resolve([each for each in wanted if each.image is None])
    artifacts, problems = dict(by_files), set(found)
    slots = asyncio.Semaphore(AT_ONCE)
    groups: dict[Wanted, list[Wanted]] = {}
    for one in (each for each in wanted if each.image is not None):
        # Where it stands makes no other question of it.
        groups.setdefault(
            replace(one, name="", kind="", image_place=None, place=_NOWHERE), []
        ).append(one)

    async def answer(group: Sequence[Wanted]) -> None:
        try:
            async with slots:
                artifact = await asyncio.to_thread(ask, group[0])
        except FaultError as error:
            problems.update(problem for one in group for problem in error.at(one))
        else:
            artifacts.update((one.name, artifact) for one in group)

    with ungrouped():
        async with asyncio.TaskGroup() as tasks:
            for group in groups.values():
                tasks.create_task(answer(group))
    return artifacts, sorted(problems)
