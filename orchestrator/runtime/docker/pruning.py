"""Removes images of plugins from an engine: only those that bear our label and our names. Blocking."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import ConflictError
from orchestrator.runtime.docker.client import Json
from orchestrator.runtime.docker.engine import AbsentError, Engine

LABEL = "ntp-image.manifest-digest"
"""On every image of a plugin; it says what an image is, and gives it no right."""
NAMES = "ntp/"
_NAMELESS = "<none>:<none>"


@dataclass(frozen=True, slots=True)
class Removed:
    """`in_use`: not removed, for a container is made of it. `size`: with layers that others share."""

    name: str
    id: str
    size: int
    in_use: bool


@dataclass(frozen=True, slots=True)
class PrunedEngine:
    """`freed`: bytes of layers; None: nothing was removed, only looked at."""

    images: Sequence[Removed]
    freed: int | None


class Shelf(Engine):
    """An engine, asked for the images that it keeps."""

    def labelled(self, label: str) -> Sequence[Json]:
        filters = {"label": label}
        found: Sequence[Json] = self._read(
            "the list of images", lambda client: client.images(filters=filters)
        )
        return found

    def remove_image(self, reference: str) -> None:
        """ConflictError: a container is made of it. Absent is success."""
        with suppress(AbsentError), self._asked(f"removal of image {reference}") as client:
            client.remove_image(reference)

    def layers_size(self) -> int:
        """Bytes of all layers of all images."""
        found: Json = self._read("the size of its images", lambda client: client.df())
        return int(found.get("LayersSize") or 0)


def prune(base_url: str | None, keep: Collection[str], *, dry_run: bool) -> PrunedEngine:
    """Remove the images that are ours and not to be kept.

    Args:
        base_url: of the engine; None: as DOCKER_HOST and the context say.
        keep: ids, as engines call images: digest of config or of manifest.
        dry_run: only say what would be removed.

    Raises:
        UnreachableError: the engine does not answer.
    """
    with closing(Shelf(base_url)) as engine:
        found = [
            each
            for each in engine.labelled(LABEL)
            if each["Id"] not in keep and all(map(_is_ours, each.get("RepoTags") or ()))
        ]
        if dry_run or not found:
            seen = [_row(each["Id"], _tags(each), each["Size"], in_use=False) for each in found]
            return PrunedEngine(seen, None if dry_run else 0)
        before = engine.layers_size()
        rows = [
            _row(
                each["Id"],
                _tags(each),
                each["Size"],
                in_use=not _gone(engine, each["Id"], _tags(each)),
            )
            for each in found
        ]
        return PrunedEngine(rows, max(before - engine.layers_size(), 0))


def _gone(engine: Shelf, image: str, tags: Sequence[str]) -> bool:
    try:
        # An image goes with its last name.
        for name in tags or (image,):
            engine.remove_image(name)
    except ConflictError:
        return False
    return True


def _tags(listed: Mapping[str, Any]) -> list[str]:
    return [each for each in listed.get("RepoTags") or () if each != _NAMELESS]


def _row(image: str, tags: Sequence[str], size: int, *, in_use: bool) -> Removed:
    return Removed(tags[0] if tags else "", image, size, in_use)


def _is_ours(name: str) -> bool:
    return name.startswith(NAMES) or name == _NAMELESS
