"""An image by its digest into the entries of a plugins.yaml that run the plugin; every other byte stays.

Text is put in at the marks of the YAML, and the result is read again: it has to say exactly what was
meant, or nothing is changed.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ntp.package.fault import PackageError

PLUGINS, IMAGE, SOURCE = "plugins", "image", "source"


def pin(text: str, image: str, *, plugin: str, path: Path, file: Path) -> tuple[str, list[str]]:
    """Return the text with `image:` in the plugin's entries, in place of `source:`, and their names.

    An entry is the plugin's where its `source` leads to `path`, or where it has no source and `plugin`
    (default: its name) is the plugin's.

    Args:
        text: of the file.
        image: by digest.
        plugin: the plugin's name.
        path: of its files.
        file: the text's, for sources that are relative.

    Raises:
        PackageError: the file is no YAML, has no such entry, or cannot be changed by itself.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        before = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _refused(f"{file} is no YAML: {error}", image) from error
    edits, names, wanted = [], [], deepcopy(before)
    for section, at, entry in _entries(root):
        said = wanted[PLUGINS][section][at]
        if not _is_of(said, plugin, path, file):
            continue
        names.append(str(said.get("name")))
        edits.append(_edit(text, entry, image))
        said.pop(SOURCE, None)
        said[IMAGE] = image
    if not edits:
        raise _refused(f"{file} has no entry that runs {plugin}", image)
    for start, end, fresh in sorted(edits, reverse=True):
        text = text[:start] + fresh + text[end:]
    try:
        same = yaml.safe_load(text) == wanted
    except yaml.YAMLError:
        same = False
    if not same:
        raise _refused(f"{file} cannot be changed by itself", image)
    return text, names


def _entries(root: Node | None) -> Iterator[tuple[str, int, MappingNode]]:
    for section, entries in _pairs(_value(root, PLUGINS)):
        if isinstance(entries, SequenceNode):
            for at, entry in enumerate(entries.value):
                if isinstance(entry, MappingNode):
                    yield str(section.value), at, entry


def _pairs(node: Node | None) -> list[tuple[ScalarNode, Node]]:
    return list(node.value) if isinstance(node, MappingNode) else []


def _value(node: Node | None, key: str) -> Node | None:
    return next((value for name, value in _pairs(node) if name.value == key), None)


def _is_of(said: Mapping[str, Any], plugin: str, path: Path, file: Path) -> bool:
    source = said.get(SOURCE)
    if source is not None:
        folder = file.parent.parent if file.parent.name == "config" else file.parent
        places = (file.parent / str(source), folder / str(source))
        return any(each.resolve() == path.resolve() for each in places)
    return str(said.get("plugin") or said.get("name")).replace("-", "_") == plugin.replace("-", "_")


def _edit(text: str, entry: MappingNode, image: str) -> tuple[int, int, str]:
    """Return from where to where what is put."""
    for key, value in _pairs(entry):
        if key.value in (IMAGE, SOURCE):
            return key.start_mark.index, value.end_mark.index, f"{IMAGE}: {_written(image, entry)}"
    key, value = _pairs(entry)[0]
    end = value.end_mark.index
    if entry.flow_style:
        return end, end, f", {IMAGE}: {_written(image, entry)}"
    line = text.find("\n", end)
    end = len(text) if line < 0 else line  # behind a comment
    return end, end, f"\n{' ' * key.start_mark.column}{IMAGE}: {_written(image, entry)}"


def _written(image: str, entry: MappingNode) -> str:
    return f'"{image}"' if entry.flow_style else image


def _refused(what: str, image: str) -> PackageError:
    return PackageError(
        f"{what}\n  fix: write it by hand: image: {image}", reason="NotPinned", permanent=True
    )
