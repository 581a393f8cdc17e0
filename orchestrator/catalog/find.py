"""Where a plugin is looked for: the entry's `source`, then PLUGIN_DIR, then what is bundled."""

import keyword
import os
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ntp.contract.manifest import FILE
from ntp.contract.names import is_name, object_name
from ntp.package.entrypoint import TAKEN
from ntp.package.tree import Tree, TreeError, read_file, read_folder
from orchestrator.catalog.fault import Fault, FaultError
from orchestrator.spec.model import Wanted


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look. `project`: the folder that relative file names in a Place are relative to."""

    project: Path
    plugin_dir: Path | None
    bundled: Path


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin's files. `module`: of a lone file, what it is imported as; None: it has a manifest."""

    path: Path
    shown: str
    origin: str
    tree: Tree
    module: str | None
    looked_up: bool
    """By its name, so the manifest has to bear that name."""

    @property
    def lock(self) -> Path:
        """Where its locked requirements lie."""
        if self.module is None:
            return self.path / "requirements.lock"
        return self.path.with_suffix(".lock")


def find(wanted: Wanted, places: Places) -> Found:
    """Return the plugin's files.

    Raises:
        FaultError: they are nowhere, or no plugin.
    """
    if wanted.source is not None:
        return _from_source(wanted, wanted.source, places)
    if not is_name(wanted.plugin):
        raise _fault(
            f"the plugin's name was '{wanted.plugin}'",
            "lower-case letters, digits, '_' and '-', a letter first, at most 40 characters",
        )
    looked: list[str] = []
    for path, origin in _candidates(wanted.plugin, places):
        looked.append(origin)
        # A dangling link is something that stands there too, and is refused as a link.
        if os.path.lexists(path):
            return _read(path, shown=origin, origin=origin, looked_up=True)
    raise _fault(
        f"the plugin '{wanted.plugin}' was not found; looked for {', '.join(looked)}",
        _fix_for_missing(wanted.plugin, places),
    )


def available(places: Places) -> tuple[str, ...]:
    """Names of all plugins that an entry could name without `source`."""
    names: set[str] = set()
    for folder in (places.plugin_dir, places.bundled):
        if folder is None or not folder.is_dir():
            continue
        for path in folder.iterdir():
            # Bundled plugins are folders, each with its manifest.
            if path.suffix == ".py" and path.is_file() and folder != places.bundled:
                names.add(path.stem)
            elif (path / FILE).is_file():
                names.add(path.name.replace("-", "_"))
    return tuple(sorted(name for name in names if is_name(name)))


def _candidates(plugin: str, places: Places) -> Iterator[tuple[Path, str]]:
    under, dashed = plugin.replace("-", "_"), object_name(plugin)
    if places.plugin_dir is not None:
        seen = set()
        for name in (f"{plugin}.py", f"{under}.py", plugin, under, dashed):
            if name not in seen:
                seen.add(name)
                shown = _relative(places.plugin_dir / name, places.project)
                yield places.plugin_dir / name, shown
    yield places.bundled / dashed, f"bundled/{dashed}"


def _from_source(wanted: Wanted, source: str, places: Places) -> Found:
    folder = (places.project / wanted.place.file).parent
    path = folder / source
    if "\0" in source or not source.strip():
        raise _fault(f"'source' was {source!r}", "name a plugin's file or folder")
    if not os.path.lexists(path):
        raise _fault(
            f"the source '{source}' was not found; looked at {_relative(path, places.project)}",
            _fix_for_source(path, source),
        )
    return _read(path, shown=source, origin=f"source: {source}", looked_up=False)


def _read(path: Path, *, shown: str, origin: str, looked_up: bool) -> Found:
    try:
        if path.is_dir():
            tree = read_folder(path)
            if FILE not in tree.files:
                raise _fault(
                    f"the folder '{shown}' has no {FILE}",
                    f"add a {FILE} with name, version, kind and entrypoint (a lone .py needs none)",
                )
            return Found(path, shown, origin, tree, None, looked_up)
        content = read_file(path)
    except TreeError as error:
        raise _fault(f"the plugin '{shown}' cannot be used: {error}", error.fix) from error
    module = path.stem.replace("-", "_")
    if path.suffix != ".py" or not module.isidentifier() or keyword.iskeyword(module):
        raise _fault(
            f"the file '{shown}' is no Python module",
            "name a .py file of letters, digits, '_' and '-' that begins with a letter",
        )
    if module in TAKEN:
        raise _fault(
            f"the file '{shown}' would hide the module '{module}' that Python or ntp needs",
            f"rename it, for example to '{module}_plugin.py'",
        )
    return Found(path, shown, origin, Tree({f"{module}.py": content}), module, looked_up)


def _fault(message: str, fix: str) -> FaultError:
    return FaultError(Fault(message, fix))


def _fix_for_missing(plugin: str, places: Places) -> str:
    near = get_close_matches(plugin, available(places), 1)
    if near:
        return f"did you mean '{near[0]}'?"
    if places.plugin_dir is None:
        return "set PLUGIN_DIR to your folder of plugins, or add 'source: <file or folder>'"
    where = _relative(places.plugin_dir / f"{plugin.replace('-', '_')}.py", places.project)
    return f"put it at {where}, or add 'source: <file or folder>'"


def _fix_for_source(path: Path, source: str) -> str:
    try:
        neighbours = [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:
        return "a source is relative to the file that names it"
    near = get_close_matches(path.name, neighbours, 1)
    if near:
        return f"did you mean '{Path(source).with_name(near[0])}'?"
    return "a source is relative to the file that names it"


def _relative(path: Path, project: Path) -> str:
    try:
        return str(path.relative_to(project))
    except ValueError:
        return str(path)
