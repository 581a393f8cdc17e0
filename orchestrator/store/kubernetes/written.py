"""A spec as the text of a plugins.yaml, and places in that text as fields of the spec.

The text is what a revision keeps and what `ntpctl history --show` prints; people look at the object, so
they are told of fields.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.errors import ConfigError, Problem
from orchestrator.spec import scalar, source

PREFIX = "pluginset/"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]*")


def file_of(name: str) -> str:
    """Return what a PluginSet is called where files are."""
    return f"{PREFIX}{name}"


def text_of(spec: Mapping[str, Any]) -> str:
    """Return a spec as a plugins.yaml; the same spec is always the same text, in whatever order it comes."""
    return "".join(f"{line}\n" for line in _lines(spec)) or "{}\n"


def fields(text: str, file: str) -> Mapping[tuple[int, int], str]:
    """Return where each field of a text begins -> what it is called in the object."""
    try:
        document = source.parse(text, file=file)
    except ConfigError:
        return {}
    found: dict[tuple[int, int], str] = {}
    for path in _paths(document.value, ()):
        # An item of a list begins where its first field does: it is the item that is meant.
        found.setdefault(document.place(path), _called(path))
    return found


def place_of(problem: Problem, known: Mapping[tuple[int, int], str]) -> str:
    """Return the field that a problem is about; of none: the object itself."""
    return known.get((problem.line, problem.column), "spec")


def _lines(value: Any) -> Iterator[str]:
    """Yield a mapping or a list, block by block. A library's writer has YAML 1.1 in mind, we read 1.2."""
    for mark, inner in _items(value):
        if isinstance(inner, Mapping | list) and inner:
            first, *rest = _lines(inner)
            if mark == "-":
                yield f"- {first}"
            else:
                yield mark
                yield f"  {first}"
            yield from (f"  {each}" for each in rest)
        else:
            yield f"{mark} {_scalar(inner)}"


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        # The API server keeps no order; an entry begins with its name.
        ordered = sorted(value, key=lambda key: (key != "name", key))
        yield from ((f"{_string(str(key))}:", value[key]) for key in ordered)
    else:
        yield from (("-", inner) for inner in value)


def _scalar(value: Any) -> str:
    match value:
        case str():
            return _string(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list():
            return "[]"
        case _:
            return "{}"


def _string(value: str) -> str:
    if _PLAIN.fullmatch(value) and scalar.resolve(value) == value:
        return value
    inner = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else _escaped(each) for each in inner) + '"'


def _escaped(letter: str) -> str:
    return "\\n" if letter == "\n" else f"\\U{ord(letter):08x}"


def _paths(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield (*path, key)
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield (*path, at)
            yield from _paths(inner, (*path, at))


def _called(path: tuple[str | int, ...]) -> str:
    return "spec" + "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
