"""Which images a plan is about: that of what runs, and that of what would."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.controller.desk import Book
from orchestrator.controller.reading import Declared
from orchestrator.decide.changes import Change, Do
from orchestrator.ports import Catalog
from orchestrator.spec.model import Artifact


def running(book: Book, generations: Mapping[str, int]) -> dict[str, Artifact]:
    """Return what runs, of which it is still known; `generations`: name -> which."""
    return {
        name: entry.kept[generations[name]].artifact
        for name, entry in book.entries.items()
        if generations.get(name) in entry.kept
    }


async def with_images(
    found: Sequence[Change],
    declared: Declared,
    catalog: Catalog,
    before: Mapping[str, Artifact] | None = None,
) -> list[Change]:
    """Return the changes with the images of those that are started. `before`: what runs."""
    told = []
    for change in found:
        if change.do not in (Do.START, Do.RECREATE):
            told.append(change)
            continue
        old = (before or {}).get(change.name)
        ran = None if old is None else await catalog.image_of(old, ran=True)
        image = await catalog.image_of(declared.artifacts[change.name])
        told.append(replace(change, image=image, image_before=ran or ""))
    return told


def named(artifacts: Mapping[str, Artifact]) -> dict[str, str]:
    """Return entry -> reference by digest, of those that name an image."""
    return {name: each.image for name, each in artifacts.items() if each.image}
