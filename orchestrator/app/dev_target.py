"""What `dev PATH` works on: which project, and which of its entries run what lies at PATH."""

import asyncio
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ntp.contract.manifest import FILE
from ntp.contract.names import Kind, is_name
from orchestrator.app import Declaration, declare
from orchestrator.app.dev_mistakes import at_its_line
from orchestrator.app.house import catalog
from orchestrator.catalog.lying import Lying
from orchestrator.errors import ConfigError, Problem
from orchestrator.settings import DEFAULT_FILES, SUFFIXES, Settings, find
from orchestrator.spec.load import gather
from orchestrator.spec.model import Place, Wanted

PROJECT = "dev"
Looker = Callable[[], Mapping[str, Lying]]
_AROUND = {
    Kind.DATA_SOURCE: (),
    Kind.INDICATOR: (Kind.DATA_SOURCE,),
    Kind.STRATEGY: (Kind.DATA_SOURCE, Kind.EXECUTOR),
    Kind.EXECUTOR: (Kind.DATA_SOURCE, Kind.STRATEGY),
}
"""Who else runs in a project that is made for one plugin: who it hears, and who hears it."""
_OTHERS = {
    Kind.DATA_SOURCE: (
        "replay_data",
        {"symbols": ["BTCUSDT", "ETHUSDT"], "speed": 1, "loop": True},
    ),
    Kind.STRATEGY: ("momentum_strategy", {"lookback": 14, "threshold": 0.7}),
    Kind.EXECUTOR: ("paper_executor", {}),
}


@dataclass(frozen=True, slots=True)
class Target:
    """Attributes:
    declared: as the files are.
    names: the entries whose files are followed.
    whole: PATH is the project: its own files are followed too.
    made: the folder of a project that was made for the plugin alone, and goes with it.
    """

    declared: Declaration
    names: tuple[str, ...]
    whole: bool = False
    made: Path | None = None

    @property
    def settings(self) -> Settings:
        return self.declared.settings


def target(path: Path, files: Sequence[str], project: str | None) -> Target:
    """Find out what `path` means.

    Args:
        path: a plugin's file or folder (or a file in it), a project's folder or its plugins.yaml.
        files: what `-f` named: the project of a plugin; default as everywhere.
        project: what `--project` named.

    Raises:
        ConfigError: it is neither; or the project's files have problems, or the plugin that is to
            run alone.
    """
    whole = _project_file(path)
    if whole is not None:
        if files:
            raise _refused(path, "it is a project of its own", "leave -f out")
        declared = declare([str(whole)], project)
        _refuse_broken(declared)
        own = [name for name, each in looker(declared)().items() if not each.ours]
        return Target(declared, tuple(own), whole=True)
    plugin = _plugin(path)
    # -f names the project; without it a folder need not have one.
    if files or _has_project():
        declared = declare(files, project)
        _refuse_broken(declared)
        there = looker(declared)()
        names = tuple(name for name, each in there.items() if each.path.resolve() == plugin)
        if names:
            return Target(declared, names)
        if files:
            what = f"no entry of {', '.join(files)} runs it"
            raise _refused(path, what, f"add one with 'source: {path}'; without -f it runs alone")
    return _alone(path, plugin)


def looker(declared: Declaration, names: Sequence[str] | None = None) -> Looker:
    """Return what looks at the files of these entries' plugins as they lie there; None: of all."""
    said = declared.decisive
    found, _ = gather(declared.sources, environment=said, project=declared.settings.project)
    wanted = [each for each in found.wanted() if names is None or each.name in names]
    return partial(catalog(declared.settings, said).look, wanted)


def _refuse_broken(declared: Declaration) -> None:
    name = declared.settings.project
    _, problems = gather(declared.sources, environment=declared.decisive, project=name)
    if problems:
        raise ConfigError(problems)


def _project_file(path: Path) -> Path | None:
    """Return the plugins.yaml that `path` is or holds; None for a plugin."""
    if path.suffix in SUFFIXES and path.name != FILE:
        return path
    if not path.is_dir() or (path / FILE).exists():
        return None
    return next((path / each for each in DEFAULT_FILES if (path / each).exists()), None)


def _plugin(path: Path) -> Path:
    """Return the file or the folder that is the plugin, without links."""
    if not path.exists():
        raise _refused(path, "it does not exist", "name a plugin's file or folder, or a project")
    if path.is_dir() and not (path / FILE).is_file():
        fix = "name a plugin's .py file, its folder, or a project"
        raise _refused(path, f"the folder has neither a {FILE} nor a plugins.yaml", fix)
    for folder in (path.resolve(), *path.resolve().parents):
        if (folder / FILE).is_file():
            return folder  # a file of a plugin's folder stands for the whole
    if path.suffix != ".py":
        raise _refused(path, "it is no plugin", f"name a .py file, or a folder with a {FILE}")
    return path.resolve()


def _refused(path: Path, what: str, fix: str) -> ConfigError:
    return ConfigError([Problem(str(path), 0, 0, what, fix)])


def _has_project() -> bool:
    settings = find(tolerated=[])
    return any(path.exists() for path in settings.files)


def _alone(path: Path, plugin: Path) -> Target:
    """Make a project for one plugin: recorded ticks in, paper orders out, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ntp-dev-"))
    try:
        environment = {**os.environ, "NTP_STATE": str(folder / "state")}
        file = folder / "plugins.yaml"
        settings = find([str(file)], project=PROJECT, environment=environment, cwd=folder)
        name, kind = _described(path, plugin, settings)
        file.write_text(_text(name, kind, plugin), encoding="utf-8")
        source = (file.name, file.read_text(encoding="utf-8"))
        declared = Declaration(settings, (source,))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Target(declared, (name,), made=folder)


def _described(path: Path, plugin: Path, settings: Settings) -> tuple[str, Kind]:
    stem = re.sub(r"[^a-z0-9]+", "_", plugin.stem.lower()).strip("_")
    name = stem if is_name(stem) and stem not in {each for each, _ in _OTHERS.values()} else "mine"
    wanted = Wanted(
        name, Kind.STRATEGY.value, name, str(plugin), None, None, Place(str(path), 0, 0)
    )
    artifacts, problems = asyncio.run(catalog(settings).resolve([wanted]))
    if problems:
        raise ConfigError(problems)
    found = artifacts[name]
    if found.unusable is not None:
        told = (at_its_line(each) for each in found.unusable.problems)
        raise ConfigError([replace(each, entry=None) for each in told])
    required = found.config_schema.get("required", [])
    if required:
        fix = "declare it in a plugins.yaml with that config: then it is found there"
        raise _refused(path, f"its config needs {', '.join(map(str, required))}", fix)
    return name, Kind(found.kind)


def _text(name: str, kind: Kind, plugin: Path) -> str:
    entries = {kind: f"- name: {name}\n      source: {json.dumps(str(plugin))}"}
    for other in _AROUND[kind]:
        what, config = _OTHERS[other]
        entries[other] = f"- name: {what}\n      config: {json.dumps(config)}"
    listed = "".join(
        f"  {each.section}:\n    {entries[each]}\n" for each in Kind if each in entries
    )
    return f"name: {PROJECT}\nplugins:\n{listed}"
