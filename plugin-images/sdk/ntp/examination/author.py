"""The plugin to test, as its author has it, with the config that it is tested with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntp.contract.config_schema import expand
from ntp.contract.manifest import Manifest
from ntp.contract.problem import Problem
from ntp.package.author import AuthorError, look

_OPTIONAL = {"$schema", "title", "description", "type", "properties", "additionalProperties"}
"""Keywords of a schema that ask for no field."""


@dataclass(frozen=True, slots=True)
class Target:
    """`folder`: where its own files lie; `files`: those that its image would have. `lock`: of its requirements."""

    path: Path
    manifest: Manifest
    files: Mapping[str, bytes]
    config: Mapping[str, Any]
    lock: Path

    @property
    def folder(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent


def target(path: Path, config: Mapping[str, Any], *, instance: str = "") -> Target:
    """Read the plugin, and hold the config to its schema.

    Args:
        path: of the plugin.
        config: of the plugin.
        instance: of an indicator: the name before its fields; empty: it is what is tested.

    Raises:
        AuthorError: with everything that is wrong.
    """
    path = found(path)
    authored = look(path)
    manifest = authored.manifest
    if problems := config_problems(manifest, config, instance=instance):
        raise AuthorError(*problems)
    return Target(path, manifest, authored.tree.files, config, authored.lock)


def found(path: Path) -> Path:
    """Return the folder or the file that is meant: `my_strategy` may be my_strategy.py.

    Raises:
        AuthorError: there is neither.
    """
    if path.exists():
        return path
    beside = path.parent / f"{path.name}.py"
    if beside.is_file():
        return beside
    raise AuthorError(
        Problem(str(path), 0, 0, "was not found", "name a plugin's folder or its .py file")
    )


def config_problems(
    manifest: Manifest, config: Mapping[str, Any], *, instance: str = ""
) -> Sequence[Problem]:
    """Return where a config does not fit its schema; `instance`: as for `target`."""
    before = f"{instance}." if instance else ""
    schema = expand(manifest.config_schema)
    if not config and schema.keys() <= _OPTIONAL:
        return []  # no field of none is wrong, and jsonschema takes its time to import
    from jsonschema import Draft202012Validator

    known = schema.get("properties", {})
    problems = []
    for error in Draft202012Validator(schema).iter_errors(dict(config)):
        where = before + ".".join(map(str, error.absolute_path))
        where = where.removesuffix(".") or "--config"
        fix = f"it has {', '.join(known)}" if known else "this plugin takes no config"
        if error.validator == "required":
            fix = f"give it: --config {before}NAME=VALUE"
        elif error.absolute_path and (said := known.get(str(error.absolute_path[0]))):
            fix = str(said.get("description") or f"give a {said.get('type', 'value')}")
        problems.append(Problem("--config", 0, 0, f"{where}: {error.message[:200]}", fix))
    return problems
