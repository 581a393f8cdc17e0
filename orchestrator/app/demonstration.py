"""The demo's plugins.yaml, from the checkout or from the wheel, with a state folder of its own."""

import os
from dataclasses import replace
from pathlib import Path

from orchestrator.app import Declaration
from orchestrator.app.places import packaged
from orchestrator.settings import find
from orchestrator.spec import load

PROJECT = "demo"


def declare(folder: Path) -> Declaration:
    """Return the example file, whatever PLUGIN_* the user has set for their own project."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PLUGIN_", "NTP_NATS"))
    }
    environment["NTP_STATE"] = str(folder / "state")
    file = packaged("config") / "plugins.yaml"
    settings = replace(
        find([str(file)], project=PROJECT, environment=environment, cwd=folder), plugin_dir=None
    )
    sources = ((file.name, file.read_text(encoding="utf-8")),)
    declared = load.read(sources, environment={}, project=PROJECT)
    return Declaration(settings, sources, names=tuple(declared.entries))
