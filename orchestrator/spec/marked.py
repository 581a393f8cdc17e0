"""The careful reader of YAML: aliases and merges within limits, and a mark for every key and value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

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
from orchestrator.spec import scalar, syntax
from orchestrator.spec.quantity import shown

MAX_DEPTH: Final = 50
MAX_REPEATED: Final = 1_000_000
"""Values that aliases and merges repeat, all together."""
MAX_ALIASES: Final = 10_000
MAX_PROBLEMS: Final = 1_000

# PyYAML's stubs do not know the C parser's own methods.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TEXT_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
_NODE_TAGS = frozenset({None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
_KEY_FIX: Final = "write text as the key; templates such as {{ name }} are not filled in"
_NO_KEY: Final = object()
_MERGE: Final = object()


@dataclass(frozen=True, slots=True)
class Marked:
    """`starts`: by id of a container, where it begins. `items`: by id, the marks of its items in
    order: key, value, key, value … of a mapping, values of a list. Marks count from 0.
    """

    value: Any
    starts: dict[int, Any]
    items: dict[int, list[Any]]
    _positions: dict[int, dict[str, int]] = field(default_factory=dict, repr=False)

    def place(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return line and column, from 1, of a key or list item; of the nearest, if it is absent."""
        node: Any = self.value
        mark = self.starts.get(id(node))
        for step in path:
            marks = self.items.get(id(node), [])
            if isinstance(node, dict) and step in node:
                positions = self._positions.get(id(node))
                if positions is None:
                    positions = {key: at for at, key in enumerate(node)}
                    self._positions[id(node)] = positions
                mark = marks[2 * positions[str(step)]]
            elif isinstance(node, list) and isinstance(step, int) and 0 <= step < len(node):
                mark = marks[step]
            else:
                break
            node = node[step]
        return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def build(text: bytes, *, file: str) -> Marked:
    """Read UTF-8 text. Raises ConfigError with every mistake up to the first that ends the reading."""
    builder = _Builder(file)
    loader = None
    try:
        loader = LOADER(text)
        for event in iter(loader.get_event, None):
            builder.take(event)
    except yaml.YAMLError as error:
        builder.problems.append(syntax.explain(error, file=file, text=text))
    finally:
        if loader is not None:
            loader.dispose()
    if builder.problems:
        raise ConfigError(builder.problems)
    value = builder.root.value[0] if builder.root.value else None
    return Marked(value, builder.starts, builder.items)


@dataclass(slots=True)
class _Open:
    """A container whose end has not been seen."""

    value: Any
    marks: list[Any]
    size_before: int
    anchor: str | None = None
    key: Any = _NO_KEY
    merges: list[dict[str, Any]] = field(default_factory=list)
    into: "_Open | None" = None
    """The mapping that this list or mapping is merged into, where it stands behind '<<'."""

    @property
    def expects_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is _NO_KEY


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.starts: dict[int, Any] = {}
        self.items: dict[int, list[Any]] = {}
        self.root = _Open([], [], 0)
        self.stack = [self.root]
        self.anchors: dict[str, tuple[Any, int] | None] = {}
        """Value and number of values in it; None while it is open."""
        self.size = 0
        self.repeated = 0
        self.aliases = 0
        self.documents = 0

    def take(self, event: Any) -> None:
        match event:
            case ScalarEvent():
                self.size += 1
                self._scalar(event)
            case MappingStartEvent() | SequenceStartEvent():
                self.size += 1
                self._begin(event)
            case MappingEndEvent() | SequenceEndEvent():
                self._end(event)
            case AliasEvent():
                self._alias(event)
            case DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self._stop(event, "a second document begins", "put it into a file of its own")
            case _:
                pass

    def _scalar(self, event: Any) -> None:
        plain = event.implicit[0]
        value = event.value
        if event.tag is not None and event.tag not in _TEXT_TAGS:
            self._tag(event)
        elif plain and event.tag is None:
            if value == "<<" and self.stack[-1].expects_key:
                self.stack[-1].key = _MERGE
                return
            try:
                value = scalar.resolve(value)
            except scalar.ScalarError as error:
                self._note(event, str(error), error.fix)
        if event.anchor is not None:
            if plain and event.value == "" and event.tag is None:
                written = f"&{event.anchor}"
                self._note(
                    event, f"'{written}' marks nothing", f'quote it if it is text: "{written}"'
                )
            self.anchors[event.anchor] = (value, 1)
        self._add(value, event)

    def _begin(self, event: Any) -> None:
        if event.tag not in _NODE_TAGS:
            self._tag(event)
        if len(self.stack) > MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels", "make it flatter")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        value: Any = {} if isinstance(event, MappingStartEvent) else []
        marks: list[Any] = []
        self.starts[id(value)] = event.start_mark
        self.items[id(value)] = marks
        opened = _Open(value, marks, self.size - 1 + self.repeated, event.anchor)
        if self.stack[-1].key is _MERGE:
            self.stack[-1].key = _NO_KEY
            opened.into = self.stack[-1]
        else:
            self._add(value, event)
        self.stack.append(opened)

    def _end(self, event: Any) -> None:
        done = self.stack.pop()
        # Only now, for a mapping's own keys win wherever they stand.
        for source in done.merges:
            found = self.items[id(source)]
            for at, (name, each) in enumerate(source.items()):
                if name not in done.value:
                    done.value[name] = each
                    done.marks += found[2 * at : 2 * at + 2]
        if done.anchor is not None:
            self.anchors[done.anchor] = (done.value, self.size + self.repeated - done.size_before)
        if done.into is not None:
            inside = done.value if isinstance(done.value, list) else [done.value]
            self._merge(done.into, inside, event)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if name not in self.anchors:
            message = f"'*{name}' repeats something that has no '&{name}' before it"
            self._stop(event, message, f"mark what it repeats with '&{name}'")
        found = self.anchors[name]
        if found is None:
            self._stop(event, f"'*{name}' repeats what it is a part of", "write it out")
        value, size = found
        self.aliases += 1
        self._repeat(event, size)
        if self.aliases > MAX_ALIASES:
            self._stop(event, f"more than {MAX_ALIASES:,} aliases", "split the project")
        self._add(value, event)

    def _repeat(self, event: Any, size: int) -> None:
        self.repeated += size
        if self.repeated > MAX_REPEATED:
            message = f"aliases repeat more than {MAX_REPEATED:,} values"
            self._stop(event, message, "write fewer of them")

    def _add(self, value: Any, event: Any) -> None:
        """Put a value where the innermost open container expects one."""
        top = self.stack[-1]
        if not isinstance(top.value, dict):
            top.value.append(value)
            top.marks.append(event.start_mark)
        elif top.key is _NO_KEY:
            top.key = self._key(value, event)
            top.marks.append(event.start_mark)
        elif top.key is _MERGE:
            top.key = _NO_KEY
            self._merge(top, [value], event)
        else:
            top.value[top.key] = value
            top.key = _NO_KEY
            top.marks.append(event.start_mark)

    def _merge(self, top: _Open, sources: list[Any], event: Any) -> None:
        for source in sources:
            if isinstance(source, dict):
                top.merges.append(source)
            else:
                self._note(event, f"'<<' was {shown(source)}", "merge a mapping: '<<: *anchor'")

    def _key(self, value: Any, event: Any) -> str:
        if isinstance(value, dict | list):
            self._stop(event, "a key was a mapping or a list", _KEY_FIX)
        if not isinstance(value, str):
            written = getattr(event, "value", None) or str(value)
            if value is None and not getattr(event, "value", ""):
                self._note(event, "a key is missing before ':'", "write the key")
            else:
                message = f"the key {written} is {shown_kind(value)}, not text"
                number = isinstance(value, int | float) and not isinstance(value, bool)
                more = "; decimals have a point, not a comma" if number else ""
                self._note(event, message, f'quote it: "{written}"{more}')
            value = written
        top = self.stack[-1]
        if value in top.value:
            first = top.marks[2 * list(top.value).index(value)]
            message = f"'{value}' stands here a second time, first in line {first.line + 1}"
            self._note(event, message, "keep one of the two")
            # A name of its own, so that keys and marks stay side by side for what comes after.
            value = f"{value}\0{len(top.marks)}"
        return str(value)

    def _tag(self, event: Any) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self._note(event, f"the tag '{tag}' is not understood", "write the plain value")

    def _note(self, event: Any, message: str, fix: str) -> None:
        mark = event.start_mark
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, message, fix))
        if len(self.problems) >= MAX_PROBLEMS:
            raise ConfigError(self.problems)

    def _stop(self, event: Any, message: str, fix: str) -> NoReturn:
        """Nothing after this can be read."""
        self._note(event, message, fix)
        raise ConfigError(self.problems)


def shown_kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case None:
            return "empty"
        case _:
            return "text"
