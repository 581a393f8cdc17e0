"""Fixtures for the tests of a plugin; pytest finds them by the entry point `pytest11`.

What belongs to one plugin lies in the folder that has its plugin.yaml, at or above the test's file; tests import
the plugin's modules from there.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ntp.recording import SAMPLE

if TYPE_CHECKING:
    from ntp.contract.manifest import Manifest
    from ntp.contract.messages import MarketData
    from ntp.plugin import BasePlugin
    from ntp.testing import PluginTester

MANIFEST = "plugin.yaml"


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Let a test import the plugin that it lies beside, however pytest was called."""
    folder = _folder_of(module_path)
    if folder is not None and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture
def plugin_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of the plugin that the test lies in."""
    folder = _folder_of(request.path)
    if folder is None:
        pytest.fail(f"neither the folder of {request.path} nor one above it has a {MANIFEST}")
    return folder


@pytest.fixture
def plugin_manifest(plugin_folder: Path) -> "Manifest":
    """Its plugin.yaml."""
    from ntp.package.manifest_file import parse

    file = plugin_folder / MANIFEST
    manifest, problems = parse(file.read_bytes(), file=str(file))
    if manifest is None:
        pytest.fail("\n".join(map(str, problems)), pytrace=False)
    return manifest


@pytest.fixture
def plugin_class(plugin_manifest: "Manifest") -> "type[BasePlugin]":
    """The class that its `entrypoint` names."""
    module, _, name = plugin_manifest.entrypoint.partition(":")
    found: type[BasePlugin] = getattr(import_module(module), name)
    return found


@pytest.fixture
def plugin_tester(plugin_class: "type[BasePlugin]") -> "Callable[..., PluginTester]":
    """`plugin_tester(config, **options)`: a PluginTester of its class."""
    from ntp.testing import PluginTester

    def tester(config: dict[str, Any] | None = None, **options: Any) -> PluginTester:
        return PluginTester(plugin_class, config, **options)

    return tester


@pytest.fixture
def sample_data(plugin_folder: Path) -> Path:
    """Its sample_data.csv."""
    file = plugin_folder / SAMPLE
    if not file.is_file():
        pytest.fail(f"{file} is not there; `ntp plugin create` makes one", pytrace=False)
    return file


@pytest.fixture
def sample_ticks(sample_data: Path) -> "list[MarketData]":
    """The rows of its sample_data.csv, as ticks."""
    from ntp.layouts import open_files

    return list(open_files(sample_data).strictly())


def _folder_of(path: Path) -> Path | None:
    return next((folder for folder in path.parents if (folder / MANIFEST).is_file()), None)
