"""What the files declare, before anybody has looked for the plugins."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ntp.contract.names import Kind
from orchestrator.errors import Problem
from orchestrator.spec.environment import Fallback
from orchestrator.spec.model import Place, Wanted
from orchestrator.spec.source import Document, Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it was written and checked. `fields` has what it says, in the types of `fields`."""

    name: str
    kind: Kind
    fields: Mapping[str, Any]
    place: Place
    document: Document = field(repr=False)
    index: int
    """Its number in its section of the document."""

    @property
    def path(self) -> tuple[str | int, ...]:
        """Where it stands in its document."""
        return ("plugins", self.kind.section, self.index)

    @property
    def plugin(self) -> str:
        return str(self.fields.get("plugin", self.name))

    def at(self, path: Path) -> Place:
        """Return where something inside the entry stands; slow, see Document.place."""
        line, column = self.document.place((*self.path, *path))
        return Place(self.document.file, line, column)

    def problem(self, path: Path, message: str, fix: str) -> Problem:
        return self.document.problem((*self.path, *path), message, fix, entry=self.name)


@dataclass(frozen=True, slots=True)
class Declared:
    """All enabled entries of a project, each good by itself and in the company of the others.

    `sources`: (file, text) as they were read, for the store. `defaults`: what the files' `defaults`
    say. `disabled`: names of entries that are not enabled.
    """

    project: str
    entries: Mapping[str, Entry]
    disabled: tuple[str, ...]
    defaults: Mapping[str, Any]
    fallback: Fallback
    sources: tuple[tuple[str, str], ...] = field(repr=False)

    def only(self, names: Container[str]) -> Self:
        """Return these without the entries that are not in `names`."""
        kept = {name: entry for name, entry in self.entries.items() if name in names}
        return replace(self, entries=kept)

    def wanted(
        self,
        pinned: Mapping[str, str] | None = None,
        applied: Mapping[str, str] | None = None,
    ) -> list[Wanted]:
        """Return each entry's question to the catalog.

        Args:
            pinned: entry -> digest it has to be again.
            applied: entry -> image by digest that it was applied with last.
        """
        pins, images = pinned or {}, applied or {}
        return [
            Wanted(
                name=entry.name,
                kind=entry.kind.value,
                plugin=entry.plugin,
                source=entry.fields.get("source"),
                image=entry.fields.get("image"),
                version=entry.fields.get("version"),
                place=entry.place,
                pinned=pins.get(entry.name),
                image_place=entry.at(("image",)) if "image" in entry.fields else None,
                applied=images.get(entry.name, ""),
            )
            for entry in self.entries.values()
        ]
