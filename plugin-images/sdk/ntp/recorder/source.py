"""Finding a data source's class: a plugin file, a plugin folder, or the name of a plugin that is there.

It is imported here, with the rights of who records: a recording is made with a plugin that one trusts.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ntp import extract
from ntp.contract.config_schema import SchemaError, expand
from ntp.contract.manifest import FILE, Manifest
from ntp.contract.names import Kind, is_name, object_name
from ntp.package.manifest_file import parse
from ntp.plugin import DataSourcePlugin
from ntp.recorder.fault import RecordError
from ntp.runner.ending import EndError
from ntp.runner.load import plugin_class

_PACKAGE = Path(__file__).parents[1]
BUNDLED = (_PACKAGE.parent / "orchestrator" / "bundled", _PACKAGE.parents[1])
"""Where ntpctl's own plugins lie: beside this package where both are installed, and in a checkout."""


@dataclass(frozen=True, slots=True)
class Source:
    """`schema`: JSON Schema of its config. `code`: the folder that its modules lie in."""

    name: str
    make: Callable[[dict[str, Any]], DataSourcePlugin]
    schema: Mapping[str, Any]
    code: Path


def find(named: str, plugin_dir: Path | None) -> Source:
    """Return the data source that is called so, or lies there.

    Raises:
        RecordError: there is none, it is of another kind, or it cannot be imported.
    """
    path = _path(named, plugin_dir)
    sys.dont_write_bytecode = True  # the folder is the author's
    if not path.is_dir():
        return _lone(path)
    if not (path / FILE).is_file():
        fix = f"name a folder with a {FILE}, or a plugin's .py file"
        raise RecordError(f"{path} has no {FILE}", fix, usage=True)
    manifest = _manifest(path / FILE)
    _check_kind(path, manifest.kind)
    try:
        made: Any = plugin_class(path.resolve(), manifest.entrypoint, Kind.DATA_SOURCE)
    except EndError as error:
        raise RecordError(f"{path}: {error.termination.message}", usage=True) from error
    return Source(manifest.name, made, expand(manifest.config_schema), path.resolve())


def _path(named: str, plugin_dir: Path | None) -> Path:
    path = Path(named)
    if path.exists():
        return path
    if "/" in named or path.suffix == ".py" or not is_name(named):
        raise RecordError(f"{named} was not found", "name a plugin's file or folder", usage=True)
    for candidate in _candidates(named, plugin_dir):
        if candidate.exists():
            return candidate
    known = sorted(_known(plugin_dir))
    near = get_close_matches(named, known, 1)
    fix = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
    if plugin_dir is None:
        fix += "; a plugin of yours goes by its file or folder, or by PLUGIN_DIR"
    raise RecordError(f"no plugin '{named}' was found", fix, usage=True)


def _candidates(name: str, plugin_dir: Path | None) -> Iterator[Path]:
    plain = name.replace("-", "_")
    if plugin_dir is not None:
        yield plugin_dir / f"{plain}.py"
        yield plugin_dir / plain
        yield plugin_dir / object_name(name)
    for folder in BUNDLED:
        yield folder / object_name(name)


def _known(plugin_dir: Path | None) -> Iterator[str]:
    if plugin_dir is not None:
        yield from (path.stem for path in plugin_dir.glob("*.py"))
    for folder in (plugin_dir, *BUNDLED):
        if folder is not None:
            yield from (file.parent.name.replace("-", "_") for file in folder.glob(f"*/{FILE}"))


def _manifest(file: Path) -> Manifest:
    try:
        manifest, problems = parse(file.read_bytes(), file=str(file))
    except OSError as error:
        raise RecordError(f"{file} cannot be read: {error.strerror}", usage=True) from error
    if manifest is None:
        raise RecordError("\n".join(map(str, problems)), usage=True)
    return manifest


def _lone(file: Path) -> Source:
    file = file.absolute()
    said = extract.describe(file)
    refused = said.get("refused")
    if refused is not None:
        place = f"{file}:{refused['line']}" if refused["line"] else str(file)
        missing = refused["missing"]
        # Nothing is installed for it: it runs among what is installed here.
        fix = f"install {missing} where ntp is installed" if missing else refused["fix"]
        raise RecordError(f"{place}: {refused['message']}", fix, usage=True)
    fields = said["manifest"]
    _check_kind(file, Kind(fields["kind"]))
    try:
        schema = expand(fields["config_schema"])
    except SchemaError as error:
        raise RecordError(f"{file}: config_schema: {error}", error.fix, usage=True) from error
    module, _, name = fields["entrypoint"].partition(":")
    return Source(file.stem, getattr(sys.modules[module], name), schema, file.parent)


def _check_kind(path: Path, kind: Kind) -> None:
    if kind is not Kind.DATA_SOURCE:
        words = f"{path} is a plugin of kind {kind}; only a data source has anything to record"
        raise RecordError(words, "name a data source", usage=True)
