"""A catalog over a project folder of its own; what takes a second to make is shared."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.extraction import Limits
from orchestrator.spec.model import Artifact, Place, Unusable, Wanted
from tests.worlds.shelf import Shelf

STRATEGY = """\
from ntp import PluginMetadata, StrategyPlugin


class Mine(StrategyPlugin):
    def get_metadata(self):
        return PluginMetadata("My strategy", "1.0.0", "me", "Buys.", {requirements}, {{"period": "int"}})

    def analyze(self, data, history):
        return None
"""

MANIFEST = """\
name: {name}
version: 1.0.0
kind: strategy
entrypoint: {module}:Mine
"""


@dataclass
class Project:
    """A person's folder, and the catalog that looks into it."""

    folder: Path
    catalog: LocalCatalog
    cache: Path

    @property
    def plugins(self) -> Path:
        return self.folder / "plugins"

    def write(self, name: str, text: str) -> Path:
        path = self.plugins / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    def strategy(self, name: str, requirements: list[str] | None = None) -> Path:
        return self.write(f"{name}.py", STRATEGY.format(requirements=requirements or []))

    def package(self, name: str, **extra: object) -> Path:
        """A folder with a manifest."""
        module = name.replace("-", "_")
        lines = [f"{key}: {value}\n" for key, value in extra.items()]
        text = MANIFEST.format(name=module, module=module) + "".join(lines)
        self.write(f"{name}/plugin.yaml", text)
        self.write(f"{name}/{module}.py", STRATEGY.format(requirements=[]))
        return self.plugins / name

    @staticmethod
    def wanted(name: str, **more: object) -> Wanted:
        place = Place(str(more.pop("file", "plugins.yaml")), 7, 5)
        return replace(Wanted(name, "strategy", name, None, None, None, place), **more)

    async def artifact(self, name: str, **more: object) -> Artifact:
        """Resolve one entry that must be there."""
        found, problems = await self.catalog.resolve([self.wanted(name, **more)])
        assert problems == [], "\n".join(map(str, problems))
        assert found[name].unusable is None, str(found[name].unusable)
        return found[name]

    async def unusable(self, name: str, **more: object) -> Unusable:
        """Resolve one entry whose file is there and cannot be examined."""
        found, problems = await self.catalog.resolve([self.wanted(name, **more)])
        assert problems == [], "\n".join(map(str, problems))
        unusable = found[name].unusable
        assert unusable is not None
        assert {problem.entry for problem in unusable.problems} == {name}
        return unusable

    async def problem(self, name: str, **more: object) -> str:
        """Resolve one entry that has one mistake, as a person reads it."""
        found, problems = await self.catalog.resolve([self.wanted(name, **more)])
        assert found == {}
        (problem,) = problems
        assert problem.entry == name
        return str(problem)


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by tests that do not care what else is in it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project_at(tmp_path: Path) -> Callable[..., Project]:
    def make(cache: Path, **settings: object) -> Project:
        folder = tmp_path / "project"
        (folder / "plugins").mkdir(parents=True, exist_ok=True)
        bundled = tmp_path / "bundled"
        bundled.mkdir(exist_ok=True)
        settings.setdefault("limits", Limits(deadline_s=10))
        catalog = LocalCatalog(
            project_folder=folder,
            cache=cache,
            bundled=bundled,
            plugin_dir=folder / "plugins",
            **settings,
        )
        return Project(folder, catalog, cache)

    return make


@pytest.fixture
def project(project_at: Callable[..., Project], warm_cache: Path) -> Project:
    return project_at(warm_cache)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")
