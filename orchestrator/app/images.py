"""Images of plugins, for the command line and for a runtime that needs one."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ntp.contract.names import object_name
from orchestrator.app import house
from orchestrator.catalog.image_store import PluginImage
from orchestrator.errors import ActionError, ConfigError, Problem
from orchestrator.settings import Settings
from orchestrator.spec.model import Artifact, Place, Wanted

AT_ONCE = 4
"""Builds at a time: most of one is a compiler of Python files, and packages that are fetched."""

Told = Callable[[str, str], None]
"""Called from worker threads with (plugin, what happens)."""


def build(
    settings: Settings, names: Sequence[str], base: str | None, told: Told = lambda *_: None
) -> Sequence[PluginImage]:
    """Build the images of these plugins, or of all that can be named; those that are there stay.

    Args:
        settings: where plugins and the cache are.
        names: of plugins; none: all bundled ones and those in PLUGIN_DIR.
        base: what to build on; None: NTP_BASE, else the one that was named last.
        told: what happens.

    Raises:
        ConfigError: problems of the plugins, all of them.
        ActionError: the base, or some of the builds; the others are made all the same.
    """
    return asyncio.run(_build(settings, names, base, told))


async def _build(
    settings: Settings, names: Sequence[str], base: str | None, told: Told
) -> Sequence[PluginImage]:
    catalog = house.catalog(settings)
    chosen = list(names) or list(await asyncio.to_thread(catalog.available))
    place = Place("images", 0, 0)
    artifacts, problems = await catalog.resolve(
        [Wanted(name, "", name, None, None, None, place) for name in chosen]
    )
    problems = [*problems, *_unusable(artifacts.values())]
    if problems:
        raise ConfigError(problems)
    return await images_of(settings, [artifacts[name] for name in chosen], base, told)


async def images_of(
    settings: Settings,
    artifacts: Sequence[Artifact],
    base: str | None = None,
    told: Told = lambda *_: None,
) -> Sequence[PluginImage]:
    """Return the images of artifacts, in their order; those that are missing are built, some at a time.

    Args:
        settings: where the cache is.
        artifacts: what the catalog resolved: bundled, a folder, a lone file.
        base: what to build on; None: NTP_BASE, else the one that was named last.
        told: what happens.

    Raises:
        ActionError: the base, or some of the builds; the others are made all the same.
        UnreachableError: a registry does not answer.
    """
    catalog, store = house.catalog(settings), house.images(settings)
    below = await asyncio.to_thread(
        store.base,
        base or settings.environment.get(house.BASE) or None,
        lambda line: told("base", line),
    )
    slots = asyncio.Semaphore(AT_ONCE)
    failed: dict[str, ActionError] = {}

    async def one(artifact: Artifact) -> PluginImage | None:
        name = artifact.plugin
        async with slots:
            try:
                lock = await catalog.wheels(artifact)
                made = await asyncio.to_thread(
                    store.image, artifact, lock, below, lambda line: told(name, line)
                )
            except ActionError as error:
                failed[name] = error
                told(name, f"failed: {error}")
                return None
        told(name, "built" if made.made else "nothing changed")
        return made

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(each)) for each in artifacts]
    if failed:
        words = "\n".join(f"{name}: {error}" for name, error in sorted(failed.items()))
        raise ActionError(f"{len(failed)} of {len(artifacts)} images were not built\n{words}")
    return [made for task in tasks if (made := task.result()) is not None]


def archive(settings: Settings, digests: Sequence[str]) -> AbstractContextManager[Path]:
    """Return a block with a file of these images, for `docker load`; it blocks, and may raise ActionError."""
    return house.image_store(settings).archive(digests)


def listed(settings: Settings) -> tuple[Sequence[tuple[PluginImage, bool]], Sequence[str]]:
    """Return each image that is here with whether it is the newest of its plugin; and what cannot be read.

    That are digests, of what is attached to an image too.
    """
    rows, unreadable = house.image_store(settings).looked_through()
    newest: dict[str, str] = {}
    for row in rows:
        newest.setdefault(object_name(row.plugin), row.digest)
    return [(row, newest[object_name(row.plugin)] == row.digest) for row in rows], list(unreadable)


def row(image: PluginImage) -> dict[str, Any]:
    """Return an image as the command line prints it."""
    return {
        "plugin": image.plugin,
        "version": image.version,
        "name": image.name,
        "digest": image.digest,
        "id": image.id,
        "size": image.size,
        "base": image.base,
        "at": image.at.isoformat(),
    }


def _unusable(artifacts: Iterable[Artifact]) -> list[Problem]:
    found: list[Problem] = []
    for each in artifacts:
        if each.unusable is not None:
            found += each.unusable.problems
    return found
