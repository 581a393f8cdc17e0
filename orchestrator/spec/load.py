"""plugins.yaml to Desired, or to every problem with its place.

`gather` and `read` need the files alone; `resolve` also what the catalog found for each entry.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ntp.contract.names import Kind
from orchestrator.errors import ConfigError, Problem
from orchestrator.spec import collector, shape, source
from orchestrator.spec import environment as surroundings
from orchestrator.spec.company import check_company
from orchestrator.spec.complaint import complaints
from orchestrator.spec.declared import Declared, Entry
from orchestrator.spec.model import Place
from orchestrator.spec.quantity import shown
from orchestrator.spec.resolve import resolve
from orchestrator.spec.source import Document

__all__ = ["Declared", "Entry", "gather", "read", "resolve"]

HOPELESS = 50_000
_APART = frozenset(
    {"inputs", "history", "resources", "storage", "timeout", "capital", "short", "pyramid", "risk"}
)
"""Fields whose mistakes do not keep plugin and config of the same entry from being checked."""
_EMPTY_FIX = "list plugins under 'plugins:'; to remove everything run 'ntpctl down'"


def read(
    sources: Sequence[tuple[str, bytes | str]], *, environment: Mapping[str, str], project: str
) -> Declared:
    """Return what the files declare together.

    Args:
        sources: (name for people, content) of each file, in order.
        environment: PLUGIN_MAX_MEMORY, PLUGIN_TIMEOUT and PLUGIN_SANDBOX are read; values of secrets
            are not.
        project: the project's name, as `settings.find` has settled it from option, `name:` and folder.

    Raises:
        ConfigError: every problem of every file.
    """
    declared, problems = gather(sources, environment=environment, project=project)
    if problems:
        raise ConfigError(problems)
    return declared


def gather(
    sources: Sequence[tuple[str, bytes | str]],
    *,
    environment: Mapping[str, str],
    project: str,
    complete: bool = True,
) -> tuple[Declared, list[Problem]]:
    """Return what can be checked further, and every problem of every file.

    Args:
        sources: as for `read`.
        environment: as for `read`.
        project: as for `read`.
        complete: False: there are files that could not be read.
    """
    with collector.paused():
        return _gather(sources, environment, project, complete=complete)


def _gather(
    sources: Sequence[tuple[str, bytes | str]],
    environment: Mapping[str, str],
    project: str,
    *,
    complete: bool,
) -> tuple[Declared, list[Problem]]:
    reading = _Reading(environment)
    reading.complete = complete
    total = 0
    for file, content in sources:
        total += len(content)
        if total > source.MAX_BYTES:
            message = f"all files together have more than {source.MAX_BYTES:,} bytes"
            reading.problems.append(Problem(file, 0, 0, message, "split the project"))
            reading.complete = False
            break
        reading.take(file, content)
    return reading.declared(project, sources), reading.problems


class _Reading:
    """What was found so far, in all files."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.fallback = surroundings.fallback(environment, self.problems)
        self.entries: list[Entry] = []
        self.names: list[tuple[str, Document]] = []
        self.defaults: dict[str, Any] = {}
        self._set: dict[tuple[str, ...], Document] = {}
        self._lists_plugins = False
        self._spoiled: set[str] = set()
        self.complete = True

    def take(self, file: str, content: bytes | str) -> None:
        try:
            document = source.parse(content, file=file)
        except ConfigError as error:
            self.problems += error.problems
            self.complete = False
            # What could not be read may have listed some.
            self._lists_plugins = True
            return
        whole = document.value
        if whole is None:
            self.problems.append(Problem(file, 0, 0, "the file is empty", _EMPTY_FIX))
            self._lists_plugins = True
            return
        if not isinstance(whole, dict):
            fix = "begin with 'plugins:'"
            self.problems.append(document.problem((), f"the file was {shown(whole)}", fix))
            self._lists_plugins = True
            return
        own = {key: value for key, value in whole.items() if not key.startswith("x-")}
        self._lists_plugins |= "plugins" in own
        try:
            said: Mapping[str, Any] = shape.FILE.validate_python(own)
        except ValidationError as error:
            if error.error_count() > HOPELESS:
                # Each of them in words would take more memory than the file is worth.
                message = f"the file has {error.error_count():,} mistakes"
                self.problems.append(Problem(file, 0, 0, message, "is it a plugins.yaml at all?"))
                self.complete = False
                return
            details = error.errors(include_url=False)
            self.problems += complaints(document, details)
            said = _good_part(own, {tuple(each["loc"]) for each in details})
        self._add(document, said)

    def _add(self, document: Document, said: Mapping[str, Any]) -> None:
        if "name" in said:
            self.names.append((said["name"], document))
        self._add_defaults(document, said.get("defaults", {}))
        for kind in Kind:
            entries = said.get("plugins", {}).get(kind.section)
            if not entries:
                continue
            written = document.value["plugins"][kind.section]
            for at, entry in enumerate(entries):
                if entry is not None:
                    place = Place(document.file, *document.start(written[at]))
                    self.entries.append(Entry(entry["name"], kind, entry, place, document, at))
                    if not written[at].keys() - entry.keys() <= _APART:
                        self._spoiled.add(entry["name"])

    def _add_defaults(self, document: Document, said: Mapping[str, Any]) -> None:
        for field, value in said.items():
            if field == "resources":
                for each, limit in value.items():
                    if self._once(document, ("defaults", field, each)):
                        self.defaults.setdefault(field, {})[each] = limit
            elif self._once(document, ("defaults", field)):
                self.defaults[field] = value

    def _once(self, document: Document, path: tuple[str, ...]) -> bool:
        first = self._set.setdefault(path, document)
        if first is document:
            return True
        line, _ = first.place(path)
        message = f"'{path[-1]}' is already set in {first.file}:{line}"
        self.problems.append(document.problem(path, message, "keep one of the two"))
        return False

    def declared(self, project: str, sources: Sequence[tuple[str, bytes | str]]) -> Declared:
        if not self._lists_plugins and not self.problems and self.complete:
            file = sources[0][0] if sources else "plugins.yaml"
            self.problems.append(Problem(file, 0, 0, "no file has 'plugins:'", _EMPTY_FIX))
        for name, document in self.names[1:]:
            if name != self.names[0][0]:
                message = f"the project was named '{self.names[0][0]}' in {self.names[0][1].file}"
                self.problems.append(document.problem(("name",), message, "keep one name"))
        self.problems += check_company(self.entries, complete=self.complete)
        enabled = [entry for entry in self.entries if entry.fields.get("enabled", True)]
        checkable: dict[str, Entry] = {}
        for entry in enabled:
            if entry.name not in self._spoiled:
                checkable.setdefault(entry.name, entry)
        return Declared(
            project=project,
            entries=checkable,
            disabled=tuple(e.name for e in self.entries if not e.fields.get("enabled", True)),
            defaults=self.defaults,
            fallback=self.fallback,
            sources=() if self.problems else tuple((f, _text(each)) for f, each in sources),
        )


def _good_part(own: dict[str, Any], mistakes: set[tuple[str | int, ...]]) -> dict[str, Any]:
    """Return what has no mistake, so that it is checked in company too: every problem at once."""
    good: dict[str, Any] = {}
    for key in ("name", "defaults"):
        if key in own and not any(path[0] == key for path in mistakes):
            good[key] = own[key]
    wrong: dict[tuple[str | int, ...], set[tuple[str | int, ...]]] = defaultdict(set)
    for path in mistakes:
        wrong[path[1:3]].add(path[3:4])
    sections = own.get("plugins")
    good["plugins"] = {
        kind.section: [
            _without(entry, wrong.get((kind.section, at), set()))
            for at, entry in enumerate(sections[kind.section])
        ]
        for kind in Kind
        if isinstance(sections, dict) and isinstance(sections.get(kind.section), list)
    }
    return _validated(good)


def _without(entry: Any, fields: set[tuple[str | int, ...]]) -> dict[str, Any] | None:
    """Return an entry without those fields; None if nothing of it can be used."""
    if () in fields or ("name",) in fields:
        return None
    if not fields:
        return dict(entry)
    return {key: value for key, value in entry.items() if (key,) not in fields}


def _validated(good: dict[str, Any]) -> dict[str, Any]:
    """Validate what is known to be good; its entries keep their places, None where one is left out."""
    sections = good["plugins"]
    dense = {
        name: [each for each in entries if each is not None] for name, entries in sections.items()
    }
    said: dict[str, Any] = dict(shape.FILE.validate_python({**good, "plugins": dense}))
    left = {name: iter(entries) for name, entries in said["plugins"].items()}
    said["plugins"] = {
        name: [None if each is None else next(left[name]) for each in entries]
        for name, entries in sections.items()
    }
    return said


def _text(content: bytes | str) -> str:
    return content if isinstance(content, str) else content.decode("utf-8-sig")
