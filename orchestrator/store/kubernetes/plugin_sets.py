"""The PluginSets of a namespace, as the files that are followed; and their names, fields and states."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import Body, Kind
from orchestrator.spec import plugin_set, source
from orchestrator.store.kubernetes.written import PREFIX, file_of, text_of

PLUGIN_SET: Final = Kind(plugin_set.API_VERSION, plugin_set.KIND, plugin_set.PLURAL, is_large=True)
ALLOW_DELETES: Final = f"{plugin_set.GROUP}/allow-deletes"
"""Annotation: what it says may remove most of what runs, as `ntpctl apply --allow-deletes`."""
NOTHING: Final = (("pluginsets", "plugins: {}\n"),)
"""What a namespace without PluginSets declares."""


@dataclass(frozen=True, slots=True)
class Set:
    """One PluginSet as of now. `file`, `text`: as a plugins.yaml."""

    name: str
    uid: str
    generation: int
    text: str
    plugins: tuple[str, ...]
    """The names of its entries, in order."""
    allows_deletes: bool = False
    told: bytes = field(default=b"{}", repr=False, compare=False)
    """Its status, as JSON."""

    @property
    def file(self) -> str:
        return file_of(self.name)


def names_in(spec: Mapping[str, Any]) -> Iterator[str]:
    for section in (spec.get("plugins") or {}).values():
        for entry in section or ():
            yield str(entry.get("name"))


class PluginSets:
    """Looks at the copy that an informer keeps; nothing is asked of the API server."""

    def __init__(self, cluster: Cluster) -> None:
        self._informer = cluster.informer(PLUGIN_SET)
        self._written: dict[str, tuple[str, str, tuple[str, ...]]] = {}
        """Name -> uid and generation; of that the text, and the names of its entries: a spec is read once."""
        self.now: tuple[Set, ...] = ()
        """As of the last look that was answered, in the order of their names."""

    async def look(self) -> tuple[Set, ...]:
        """Return all; what is being deleted is gone already.

        Raises:
            UnreachableError: they were never listed, or not for a while: what is known stays.
        """
        bodies = await self._informer.objects()
        alive = {
            name: body
            for name, body in sorted(bodies.items())
            if "deletionTimestamp" not in body["metadata"]
        }
        self._written = {name: each for name, each in self._written.items() if name in alive}
        self.now = tuple(self._set(name, body) for name, body in alive.items())
        return self.now

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Give an event that is set each time that something may have changed."""
        changed = asyncio.Event()
        with self._informer.listening(changed):
            yield changed

    def take(self, body: Body) -> None:
        """Note what a write of ours returned."""
        self._informer.take(body)

    def _set(self, name: str, body: Body) -> Set:
        metadata = body["metadata"]
        state = f"{metadata['uid']} {metadata['generation']}"
        if self._written.get(name, ("",))[0] != state:
            spec = msgspec.json.decode(body.get("spec", b"{}")) or {}
            self._written[name] = (state, text_of(spec), tuple(names_in(spec)))
        _, text, plugins = self._written[name]
        return Set(
            name=name,
            uid=str(metadata["uid"]),
            generation=int(metadata["generation"]),
            text=text,
            plugins=plugins,
            allows_deletes=_allows_deletes(metadata),
            told=body.get("status", b"{}"),
        )


def _allows_deletes(metadata: Mapping[str, Any]) -> bool:
    notes = metadata.get("annotations") or {}
    return str(notes.get(ALLOW_DELETES)).lower() == "true"


def sources_of(sets: tuple[Set, ...]) -> tuple[tuple[str, str], ...]:
    """Return what all of them declare together, as files."""
    return tuple((each.file, each.text) for each in sets) or NOTHING


def deletable(sources: tuple[tuple[str, str], ...], sets: tuple[Set, ...]) -> frozenset[str]:
    """Return the names of plugins that may go, however many.

    Those of a PluginSet that says so, and of one that somebody has deleted since `sources`: that is no accident.
    Of the other PluginSets nothing is said by that.
    """
    guarded = {each.file for each in sets if not each.allows_deletes}
    names: set[str] = set()
    for file, text in sources:
        if file.startswith(PREFIX) and file not in guarded:
            names.update(names_in(source.parse(text, file=file).value or {}))
    return frozenset(names)
