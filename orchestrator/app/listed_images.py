"""Images as rows: for `ntpctl images`."""

from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.settings import Settings


def build(
    settings: Settings, names: Sequence[str], base: str | None, told: Callable[[str, str], None]
) -> list[dict[str, Any]]:
    """Build what is missing of these plugins' images, or of all; return each, and whether it was built."""
    from orchestrator.app import images

    made = images.build(settings, names, base, told)
    return [{**images.row(each), "built": each.made} for each in made]


def told(settings: Settings) -> dict[str, Any]:
    """Return the images that are here, whether each is the newest of its plugin, who uses it; and what
    cannot be read.
    """
    from orchestrator.app import house, image_use, images

    used = image_use.use(house.image_store(settings)).applied
    listed, unreadable = images.listed(settings)
    rows = [
        {**images.row(each), "newest": newest, "used_by": list(used.get(each.digest, ()))}
        for each, newest in listed
    ]
    return {"images": rows, "unreadable": unreadable}


def prune(settings: Settings, *, dry_run: bool) -> dict[str, Any]:
    """Remove the images that no applied or recorded state uses: see `image_use.prune`."""
    from orchestrator.app import image_use

    return image_use.prune(settings, dry_run=dry_run)
