"""The manifest of a bundled plugin, held against its code."""

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from ntp.contract.manifest import Manifest
from ntp.plugin import BasePlugin


def manifest_of(plugin: BasePlugin, folder: Path) -> Manifest:
    """Return the manifest in the plugin's folder, which says of the plugin what its code says."""
    text = (folder / "plugin.yaml").read_text()
    manifest = Manifest.model_validate(yaml.safe_load(text))
    Draft202012Validator.check_schema(manifest.config_schema)
    metadata = plugin.get_metadata()
    assert (metadata.name, metadata.version) == (manifest.name, manifest.version)
    assert metadata.description == manifest.description
    return manifest


def defaults(manifest: Manifest) -> dict:
    """Return a config that says what is so anyway."""
    fields = manifest.config_schema["properties"]
    return {name: field["default"] for name, field in fields.items() if "default" in field}
