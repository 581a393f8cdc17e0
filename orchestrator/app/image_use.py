"""Which images somebody uses, on all projects that run from the same cache; and what to do with the rest."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.app import house
from orchestrator.app.images import row
from orchestrator.catalog import image_pruning
from orchestrator.catalog.image_store import ImageStore
from orchestrator.runtime.docker import presence
from orchestrator.settings import Settings
from orchestrator.store import glance

IMAGE = "sha256:"
"""How the digest of a plugin begins that is an image; that of files is of other images, by the store's notes."""


@dataclass(frozen=True, slots=True)
class Use:
    """`applied`: digest of an image -> project/entry. `recorded`: digests that may be run again, those too."""

    applied: Mapping[str, Sequence[str]]
    recorded: frozenset[str]


def use(store: ImageStore) -> Use:
    """Return who uses the images of a store.

    Raises:
        UnreachableError: the state of a project cannot be read.
    """
    applied: dict[str, list[str]] = defaultdict(list)
    every: set[str] = set()
    for state in store.served():
        found = glance.recorded(state)
        for name, digest in sorted(found.applied.items()):
            applied[_image(store, digest)].append(f"{state.parent.name}/{name}")
        every |= {_image(store, digest) for digest in found.all}
    return Use(applied, frozenset(every - {""}))


def prune(settings: Settings, *, dry_run: bool) -> dict[str, Any]:
    """Remove the images that no applied or recorded state uses, from the cache and from the engine.

    The engine keeps all that it has where one that is used was lost: its id there is not known then.

    Raises:
        UnreachableError: the state of a project cannot be read: nothing was removed.
        ActionError: the store cannot be written, or somebody builds or fetches for long.
    """
    store = house.image_store(settings)
    used = use(store).recorded
    pruned = image_pruning.prune(store, used, dry_run=dry_run)
    ids = {each for one in pruned.kept for each in (one.id, one.digest)}
    told: dict[str, Any] = {
        "dry_run": dry_run,
        "images": [row(each) for each in pruned.images],
        "unreadable": list(pruned.unreadable),
        "unreadable_in_use": list(pruned.unreadable_in_use),
        "freed": pruned.size,
        "engine": None,
    }
    if not pruned.unreadable_in_use and presence.answers(settings.environment):
        # Its client library costs a quarter of a second: only where an engine is used.
        from orchestrator.runtime.docker import pruning

        url = settings.environment.get("DOCKER_HOST")
        told["engine"] = msgspec.to_builtins(pruning.prune(url, used | ids, dry_run=dry_run))
    return told


def _image(store: ImageStore, digest: str) -> str:
    return digest if digest.startswith(IMAGE) else store.made_of(digest)
