"""JSON Schemas (draft 2020-12) for editors and CI, rendered from the models; never edited by hand."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ntp.contract.config_schema import DIALECT, expand
from ntp.contract.manifest import FILE as MANIFEST_FILE
from ntp.contract.manifest import Manifest
from ntp.contract.manifest import read as read_manifest
from orchestrator.errors import ConfigError
from orchestrator.spec import shape, source

PLUGINS, PLUGIN = "plugins.schema.json", "plugin.schema.json"
_ENTRIES = {
    "data_source": "DataSource",
    "indicator": "Indicator",
    "strategy": "Strategy",
    "executor": "Executor",
}


def render(bundled: Path) -> Mapping[str, bytes]:
    """Return the files of `schemas/` by name.

    Args:
        bundled: folder of the bundled plugins; their configs are completed and checked by editors.

    Raises:
        ConfigError: a bundled manifest has mistakes.
    """
    return {
        PLUGINS: _file(plugins_schema(manifests(bundled))),
        PLUGIN: _file({"$schema": DIALECT, **_untitled(Manifest.model_json_schema())}),
    }


def manifests(folder: Path) -> list[Manifest]:
    """Read the manifests of all plugins in a folder, in the order of their names.

    Raises:
        ConfigError: one of them has mistakes.
    """
    found = []
    for path in sorted(folder.glob(f"*/{MANIFEST_FILE}")):
        file = f"{path.parent.name}/{path.name}"
        document = source.parse(path.read_bytes(), file=file)
        manifest, problems = read_manifest(document.value, file=file, locate=document.place)
        if manifest is None:
            raise ConfigError(problems)
        found.append(manifest)
    return found


def plugins_schema(known: Sequence[Manifest] = ()) -> dict[str, Any]:
    """Return the schema of plugins.yaml; the `config` of each known plugin is described too."""
    schema = _untitled(shape.FILE.json_schema())
    schema["patternProperties"] = {"^x-": True}
    definitions = schema["$defs"]
    for section in definitions["Plugins"]["properties"].values():
        section["type"] = ["array", "null"]
    for entry in _ENTRIES.values():
        definitions[entry]["properties"]["config"]["type"] = ["object", "null"]
    for manifest in known:
        definition = f"config.{manifest.name}"
        definitions.update(_lifted(definition, manifest))
        entry = definitions[_ENTRIES[manifest.kind.value]]
        for field in ("name", "plugin"):
            entry["properties"][field].setdefault("examples", []).append(manifest.name)
        entry.setdefault("allOf", []).append(_when(manifest.name, definition))
    return {"$schema": DIALECT, "title": "plugins.yaml", **schema}


def _when(name: str, definition: str) -> dict[str, Any]:
    """What an entry's config is, if it runs the bundled plugin `name` rather than one from a source."""
    by_plugin = {"required": ["plugin"], "properties": {"plugin": {"const": name}}}
    by_name = {"not": {"required": ["plugin"]}, "properties": {"name": {"const": name}}}
    return {
        "if": {"anyOf": [by_plugin, by_name], "not": {"required": ["source"]}},
        "then": {"properties": {"config": {"$ref": f"#/$defs/{definition}"}}},
    }


def _lifted(definition: str, manifest: Manifest) -> Iterator[tuple[str, Any]]:
    """Yield a plugin's config_schema as a definition, and the definitions in it beside it."""
    schema = expand(manifest.config_schema)
    inner = schema.pop("$defs", {})
    schema.pop("$schema", None)
    schema["type"] = ["object", "null"]
    if manifest.secrets and "required" in schema:
        # They may stand under `secrets:` instead.
        schema["required"] = [each for each in schema["required"] if each not in manifest.secrets]
    yield definition, _referring(schema, definition)
    for name, each in inner.items():
        yield f"{definition}.{name}", _referring(each, definition)


def _referring(node: Any, definition: str) -> Any:
    if isinstance(node, Mapping):
        return {
            key: f"#/$defs/{definition}.{value.removeprefix('#/$defs/')}"
            if key == "$ref" and isinstance(value, str)
            else _referring(value, definition)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_referring(each, definition) for each in node]
    return node


def _untitled(node: Any, *, names: bool = False) -> Any:
    """Drop the titles that pydantic makes of names; `names`: the keys here are names, not keywords."""
    if isinstance(node, Mapping):
        return {
            key: _untitled(value, names=not names and key in ("properties", "$defs"))
            for key, value in node.items()
            if names or key != "title" or not isinstance(value, str)
        }
    if isinstance(node, list):
        return [_untitled(each) for each in node]
    return node


def _file(schema: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n".encode()
