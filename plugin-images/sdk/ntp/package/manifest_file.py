"""plugin.yaml as a file: its values, the place of each, and every mistake with its line."""

from typing import Any

import yaml

from ntp.contract.manifest import Locate, Manifest, Path, read
from ntp.contract.problem import Problem

MAX_BYTES = 256 * 1024


def parse(content: bytes, *, file: str) -> tuple[Manifest | None, tuple[Problem, ...]]:
    """Return the manifest, or every problem with its place.

    The text is its author's own: it is read where he packs or tries it. What runs plugins of others
    reads them with `orchestrator.spec.source`.
    """
    try:
        node = _node(content)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        said = " ".join(str(error.problem or error.context).split())
        return None, (
            Problem(
                file, line, column, f"this is no YAML: {said}", "correct the line, or quote it"
            ),
        )
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        return None, (Problem(file, 0, 0, f"it cannot be read: {said}", "save it as UTF-8 text"),)
    twice = _twice(node, file)
    if twice:
        return None, tuple(twice)
    loader = yaml.SafeLoader("")
    try:
        value = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        return None, (Problem(file, 0, 0, f"it cannot be read: {said}", "write plain values"),)
    return read(value, file=file, locate=lambda path: _place(node, path))


def locator(content: bytes) -> Locate:
    """Return what tells the line and column of a path inside a document that `parse` could read."""
    node = _node(content)
    return lambda path: _place(node, path)


def _node(content: bytes) -> Any:
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has {len(content):,} bytes, and {MAX_BYTES:,} are read")
    # Not libyaml: its composer takes the process down with what is nested too deeply.
    return yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)


def _twice(node: Any, file: str) -> list[Problem]:
    found: list[Problem] = []
    waiting, seen = [node], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, yaml.SequenceNode):
            waiting += each.value
        elif isinstance(each, yaml.MappingNode):
            keys: dict[str, Any] = {}
            for key, value in each.value:
                waiting.append(value)
                name = str(key.value)
                if name in keys:
                    line = keys[name].start_mark.line + 1
                    message = f"'{name}' stands here and in line {line}"
                    mark = key.start_mark
                    found.append(
                        Problem(file, mark.line + 1, mark.column + 1, message, "keep one of them")
                    )
                keys[name] = key
    return sorted(found)


def _place(node: Any, path: Path) -> tuple[int, int]:
    """Return line and column, from 1, of a key or an item; of the nearest where it is absent."""
    mark = None if node is None else node.start_mark
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pair = next((each for each in node.value if each[0].value == str(step)), None)
            if pair is None:
                break
            mark, node = pair[0].start_mark, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            if step >= len(node.value):
                break
            node = node.value[step]
            mark = node.start_mark
        else:
            break
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
