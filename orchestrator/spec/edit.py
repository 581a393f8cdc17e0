"""Entries added to, changed in and taken out of a plugins.yaml; every other byte stays as it was.

Text is cut and put in at the marks of the YAML, and the result is read again: it has to declare exactly what
was meant, or nothing is changed. A library that writes the whole file anew (ruamel.yaml) keeps comments, but not
quotes, widths and alignments that somebody chose; here a diff shows the one entry.
"""

import codecs
import contextlib
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestrator.errors import ConfigError, Problem
from orchestrator.spec import marked, scalar, source

PLUGINS = "plugins"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./@:")


def add(data: bytes, section: str, entry: dict[str, str], *, file: str) -> bytes:
    """Return the file with an entry at the end of a section, in the file's own indentation.

    Args:
        data: the file; empty for one that is made.
        section: `strategies`, `executors`, …; made where it is missing.
        entry: fields of it, in order.
        file: what a person calls it.

    Raises:
        ConfigError: the file has mistakes, or is written in a way in which no entry can be added by itself.
    """
    text, old = _read(data, file)
    wanted = deepcopy(old) if isinstance(old, dict) else {}
    sections = wanted.get(PLUGINS)
    wanted[PLUGINS] = sections = sections if isinstance(sections, dict) else {}
    sections[section] = [*(sections.get(section) or []), dict(entry)]
    snippet = "".join(_block(section, entry, "  "))
    problem = (
        f"the entry cannot be added here by itself; add it by hand below 'plugins':\n{snippet}"
    )
    return _checked(data, file, wanted, problem, lambda: _added(text, section, entry))


def change(data: bytes, path: Sequence[str | int], value: str, *, file: str) -> bytes:
    """Return the file with another value of a field that is there, at a path such as plugins, strategies, 0, image.

    Raises:
        ConfigError: as `add`.
    """
    text, old = _read(data, file)
    wanted = deepcopy(old)
    _container(wanted, path)[path[-1]] = value
    problem = f"'{path[-1]}' cannot be changed here by itself; write by hand: {path[-1]}: {value}"
    return _checked(data, file, wanted, problem, lambda: _changed(text, path, value))


def remove(data: bytes, path: Sequence[str | int], *, file: str) -> bytes:
    """Return the file without the list item at a path; a section that has no other becomes `[]`.

    Raises:
        ConfigError: as `add`.
    """
    text, old = _read(data, file)
    wanted = deepcopy(old)
    del _container(wanted, path)[path[-1]]
    problem = "the entry cannot be taken out here by itself; take it out by hand"
    return _checked(data, file, wanted, problem, lambda: _removed(text, path))


def _read(data: bytes, file: str) -> tuple[str, Any]:
    value = source.parse(data, file=file).value
    return data.decode("utf-8-sig"), value


def _checked(data: bytes, file: str, wanted: Any, problem: str, edit: Callable[[], str]) -> bytes:
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    try:
        found = mark + edit().encode()
        if source.parse(found, file=file).value == wanted:
            return found
    except (ConfigError, LookupError, yaml.YAMLError):
        pass
    raise ConfigError(
        [Problem(file, 0, 0, problem, "then run the same again, or `ntpctl validate`")]
    )


def _added(text: str, section: str, entry: dict[str, str]) -> str:
    end = _ending(text)
    root = _compose(text)
    below = _value(root, PLUGINS)
    if not _filled(below):
        if isinstance(below, ScalarNode) and not below.value:
            return _insert(text, below.start_mark.line, _block(section, entry, "  ", end))
        if below is not None:
            raise LookupError("plugins is empty braces, or no mapping")
        before = text if not text or text.endswith("\n") else text + end
        return before + f"plugins:{end}" + "".join(_block(section, entry, "  ", end))
    assert isinstance(below, MappingNode)  # noqa: S101  _filled says so
    items = _value(below, section)
    indent = below.value[0][0].start_mark.column
    if items is None:
        if below.flow_style:
            raise LookupError("plugins is written in braces")
        return _insert(text, _last_line(below), _block(section, entry, " " * indent, end))
    if isinstance(items, SequenceNode) and items.value and not items.flow_style:
        at = items.start_mark.column
        return _insert(text, _item_end(text, items.value[-1], at), _item(entry, " " * at, end))
    if isinstance(items, SequenceNode) and items.value:
        place = _offset(text, items.end_mark.line, items.end_mark.column) - 1
        flow = ", ".join(f"{name}: {_scalar(value)}" for name, value in entry.items())
        return f"{text[:place].rstrip(' ')}, {{{flow}}}{text[place:]}"
    if isinstance(items, SequenceNode):
        first = _offset(text, items.start_mark.line, items.start_mark.column)
        last = _offset(text, items.end_mark.line, items.end_mark.column)
        text = f"{text[:first].rstrip(' ')}{text[last:]}"
    return _insert(text, items.start_mark.line, _item(entry, " " * (indent + 2), end))


def _changed(text: str, path: Sequence[str | int], value: str) -> str:
    node = _at(_compose(text), path)
    if not isinstance(node, ScalarNode) or node.style in ("|", ">"):
        raise LookupError("it is no plain value")
    first = _offset(text, node.start_mark.line, node.start_mark.column)
    last = _offset(text, node.end_mark.line, node.end_mark.column)
    return text[:first] + _scalar(value) + text[last:]


def _removed(text: str, path: Sequence[str | int]) -> str:
    root = _compose(text)
    items, node = _at(root, path[:-1]), _at(root, path)
    if not isinstance(items, SequenceNode) or items.flow_style:
        raise LookupError("the list is written in brackets")
    lines = text.splitlines(keepends=True)
    first, last = node.start_mark.line, _item_end(text, node, items.start_mark.column)
    if len(items.value) > 1:
        return "".join([*lines[:first], *lines[last + 1 :]])
    key = lines[first - 1].rstrip("\r\n")
    if not key.rstrip().endswith(":"):
        raise LookupError("what is before it is not the section's name")
    return "".join([*lines[: first - 1], f"{key.rstrip()} []{_ending(text)}", *lines[last + 1 :]])


def _block(section: str, entry: dict[str, str], indent: str, end: str = "\n") -> list[str]:
    return [f"{indent}{section}:{end}", *_item(entry, f"{indent}  ", end)]


def _item(entry: dict[str, str], indent: str, end: str) -> list[str]:
    lead = [f"{indent}- ", *([f"{indent}  "] * (len(entry) - 1))]
    return [
        f"{start}{name}: {_scalar(value)}{end}"
        for start, (name, value) in zip(lead, entry.items(), strict=True)
    ]


def _scalar(value: str) -> str:
    """A name or an image as it stands; anything else in quotes, of which JSON's are YAML's too."""
    if set(value) <= _PLAIN and value[:1].isalnum() and not value.endswith(":"):
        with contextlib.suppress(scalar.ScalarError):
            if scalar.resolve(value) == value:
                return value
    return json.dumps(value)


def _insert(text: str, line: int, lines: Sequence[str]) -> str:
    """Put lines behind the line of that number, from 0."""
    found = text.splitlines(keepends=True)
    if found and not found[line].endswith(("\n", "\r")):
        found[line] += _ending(text)
    return "".join([*found[: line + 1], *lines, *found[line + 1 :]])


def _last_line(node: Node) -> int:
    """The last line that a value stands in: the end of a block is where the next thing begins."""
    if isinstance(node, ScalarNode):
        if node.style in ("|", ">"):
            raise LookupError("the last value is a block of text")
        return int(node.end_mark.line)
    assert isinstance(node, MappingNode | SequenceNode)  # noqa: S101  there is no other
    if node.flow_style or not node.value:
        return int(node.end_mark.line)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(node, MappingNode) else last)


def _item_end(text: str, node: Node, dash: int) -> int:
    """The last line of a list's item: comments below it that stand further in than its dash are its own."""
    lines = text.splitlines()
    last = end = _last_line(node)
    for number in range(last + 1, len(lines)):
        line = lines[number].lstrip(" ")
        if line and not (line.startswith("#") and len(lines[number]) - len(line) > dash):
            break
        if line:
            end = number
    return end


def _compose(text: str) -> Node | None:
    # The reading before has found it small, not deep, and without a bomb.
    found: Node | None = yaml.compose(text, Loader=marked.LOADER)
    return found


def _filled(node: Node | None) -> bool:
    return isinstance(node, MappingNode) and bool(node.value)


def _value(node: Node | None, name: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((value for key, value in pairs if key.value == name), None)


def _at(node: Node | None, path: Sequence[str | int]) -> Node:
    for step in path:
        if isinstance(step, int) and isinstance(node, SequenceNode):
            node = node.value[step]
        else:
            node = _value(node, str(step))
    if node is None:
        raise LookupError("it is not there by itself")
    return node


def _container(value: Any, path: Sequence[str | int]) -> Any:
    for step in path[:-1]:
        value = value[step]
    return value


def _offset(text: str, line: int, column: int) -> int:
    return sum(map(len, text.splitlines(keepends=True)[:line])) + column


def _ending(text: str) -> str:
    return "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"
