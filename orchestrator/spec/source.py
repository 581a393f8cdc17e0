"""YAML text to plain values, with the place of every key and value.

The text is hostile until shown otherwise. libyaml's composer recurses on the C stack and takes the
process down with it, so only its events are used: one walk, no recursion, every limit checked while
the values are built. What comes out could have been JSON: text keys, finite numbers, no dates.

A file with nothing unusual in it is read by the short loop here; anchors, aliases, tags, merges and
mistakes are for `marked`, which is slower, and knows where everything stands.
"""

import codecs
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from orchestrator.errors import ConfigError, Problem
from orchestrator.spec import collector, marked, scalar

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_PIECES: Final = 2_000_000
"""Lines and commas: what a value costs in memory is many times what it costs in the file."""

Path = Sequence[str | int]

_DEPTH_OF_ENTRIES: Final = 4
"""Containers that are open when an entry has begun: the file, `plugins`, its section, and itself."""


class Document:
    """One file. `value` is made of dict, list, str, int, float, bool and None; change nothing in it."""

    def __init__(self, file: str, text: bytes, value: Any, starts: dict[int, Any] | None) -> None:
        self.file = file
        self.value = value
        self._text = text
        self._starts = starts

    def start(self, entry: dict[str, Any]) -> tuple[int, int]:
        """Return line and column, from 1, of an entry of `value`: a mapping three levels down; quick."""
        starts = self._marked.starts if self._starts is None else self._starts
        mark = starts[id(entry)]
        return mark.line + 1, mark.column + 1

    def mentions(self, text: bytes) -> bool:
        """Tell whether the file has this text anywhere: a quick way to know that it has none."""
        return text in self._text

    def place(self, path: Path) -> tuple[int, int]:
        """Return line and column, from 1, of a key or list item; of the nearest, if it is absent.

        The first call reads the text a second time: places of single keys are for mistakes only.
        """
        return (1, 1) if self.value is None else self._marked.place(path)

    def problem(self, path: Path, message: str, fix: str, *, entry: str | None = None) -> Problem:
        line, column = self.place(path)
        return Problem(self.file, line, column, message, fix, entry)

    @cached_property
    def _marked(self) -> marked.Marked:
        return marked.build(self._text, file=self.file)


def parse(data: bytes | str, *, file: str) -> Document:
    """Read one file.

    Raises:
        ConfigError: what is no UTF-8, no YAML, or YAML that has no place here.
    """
    text = _utf8(data, file)
    if not text.strip():
        return Document(file, text, None, {})
    with collector.paused():
        plain = _plain(text)
        if plain is not None:
            return Document(file, text, *plain)
        found = marked.build(text, file=file)
    document = Document(file, text, found.value, None)
    document.__dict__["_marked"] = found
    return document


def top_value(data: bytes, key: str) -> object:
    """Return the text that the top-level `key` has; None if it has none, or the file is no YAML."""
    loader = marked.LOADER(data)
    depth, wanted = 0, False
    try:
        for event in iter(loader.get_event, None):
            kind = type(event)
            if kind is ScalarEvent and depth == 1:
                if wanted:
                    return str(event.value)
                wanted = event.value == key
                continue
            if kind is MappingStartEvent or kind is SequenceStartEvent:
                depth += 1
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                depth -= 1
            if depth > marked.MAX_DEPTH:
                return None
            # A nested value, and whatever follows it, is not what was asked for.
            wanted = False
    except yaml.YAMLError:
        return None
    finally:
        loader.dispose()
    return None


class _Values(dict[str, Any]):
    """What plain scalars stand for; most of them occur many times."""

    def __missing__(self, text: str) -> Any:
        value = self[text] = scalar.resolve(text)
        return value


class _Keys(dict[str, str]):
    """Plain scalars that are text, and so may be keys; '<<' is none, it merges."""

    def __missing__(self, text: str) -> str:
        if text == "<<" or not isinstance(scalar.resolve(text), str):
            raise scalar.ScalarError("no key", "")
        self[text] = text
        return text


def _plain(text: bytes) -> tuple[Any, dict[int, Any]] | None:
    """Build the values and the marks of containers; None: something unusual, or a mistake."""
    loader = None
    try:
        loader = marked.LOADER(text)
        return _values(loader)
    except (yaml.YAMLError, scalar.ScalarError):
        return None
    finally:
        if loader is not None:
            loader.dispose()


def _values(loader: Any) -> tuple[Any, dict[int, Any]] | None:  # noqa: C901  a call for each event would double the time
    root: list[Any] = []
    container: Any = root
    key: str | None = None
    mapping = False
    starts: dict[int, Any] = {}
    values, keys = _Values(), _Keys()
    stack: list[tuple[Any, bool]] = []
    documents = 0
    for event in iter(loader.get_event, None):
        kind = type(event)
        if kind is ScalarEvent:
            if event.anchor is not None or event.tag is not None:
                return None
            if not mapping:
                container.append(values[event.value] if event.implicit[0] else event.value)
            elif key is None:
                key = keys[event.value] if event.implicit[0] else event.value
                if key in container:
                    return None
            else:
                container[key] = values[event.value] if event.implicit[0] else event.value
                key = None
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            container, mapping = stack.pop()
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            if event.anchor is not None or event.tag is not None:
                return None
            if len(stack) >= marked.MAX_DEPTH or (mapping and key is None):
                return None
            stack.append((container, mapping))
            inner: Any = {} if kind is MappingStartEvent else []
            if mapping:
                container[key] = inner
            else:
                container.append(inner)
            if len(stack) == _DEPTH_OF_ENTRIES:
                starts[id(inner)] = event.start_mark
            container, key, mapping = inner, None, kind is MappingStartEvent
        elif kind is AliasEvent:
            return None
        elif kind is DocumentStartEvent:
            documents += 1
            if documents > 1:
                return None
    return (root[0] if root else None), starts


def _wide(first: bytes) -> str | None:
    """Tell UTF-16 and UTF-32 by their mark; without one, by the zeros beside the first letter."""
    # The mark of UTF-32 begins like that of UTF-16.
    if first in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "UTF-32"
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    zeros = [byte == 0 for byte in first]
    if zeros in ([False, True, True, True], [True, True, True, False]):
        return "UTF-32"
    if zeros in ([False, True, False, True], [True, False, True, False]):
        return "UTF-16"
    return None


def _utf8(data: bytes | str, file: str) -> bytes:
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > MAX_BYTES:
        message = f"the file has {len(raw):,} bytes, and {MAX_BYTES:,} are allowed"
        raise ConfigError([Problem(file, 0, 0, message, "split the project")])
    wide = _wide(raw[:4])
    if wide is not None:
        raise ConfigError([Problem(file, 1, 1, f"the file is {wide}", "save it as UTF-8")])
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        start = raw.rfind(b"\n", 0, error.start) + 1
        line = raw.count(b"\n", 0, error.start) + 1
        column = len(raw[start : error.start].decode()) + 1
        message = f"the file is not UTF-8: byte 0x{raw[error.start]:02x}"
        raise ConfigError([Problem(file, line, column, message, "save it as UTF-8")]) from error
    if raw.count(b"\n") + raw.count(b",") > MAX_PIECES:
        message = f"the file has more than {MAX_PIECES:,} lines and commas"
        raise ConfigError([Problem(file, 0, 0, message, "split the project")])
    return raw
