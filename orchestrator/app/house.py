"""Chooses adapters: those that a command needs, too. `on_machine` and `on_cluster` give a controller the rest.

A first plan imports this, so what only a controller runs is not imported here.
"""

from collections.abc import Mapping
from pathlib import Path

from ntp.package.wheels import Pip
from orchestrator.app import STORE
from orchestrator.app.places import packaged
from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.image_catalog import ImageCatalog
from orchestrator.catalog.image_store import ImageStore
from orchestrator.catalog.images import Images
from orchestrator.catalog.named_images import NamedImages
from orchestrator.catalog.process_catalog import ProcessCatalog
from orchestrator.catalog.unpacked import Unpacked
from orchestrator.errors import Problem
from orchestrator.ports import Catalog, Runtime
from orchestrator.runtime.docker import fence, presence
from orchestrator.runtime.docker.identity import PREFIX
from orchestrator.runtime.process import leftovers
from orchestrator.runtime.process.runtime import NEEDS_CONTAINERS, ProcessRuntime
from orchestrator.settings import Settings
from orchestrator.store import glance
from orchestrator.store.secrets import LocalSecrets

BASE = "NTP_BASE"
"""Setting: the image that plugins' images are built on."""


def catalog(settings: Settings, said: Mapping[str, str] | None = None) -> LocalCatalog:
    """Return the catalog of a project. `said`: what an apply said of PLUGIN_DIR and its folder."""
    said = said or {}
    plugin_dir = said.get("PLUGIN_DIR")
    return LocalCatalog(
        project_folder=Path(said.get("folder", settings.folder)),
        cache=settings.cache,
        bundled=packaged("plugin-images"),
        plugin_dir=Path(plugin_dir) if plugin_dir else settings.plugin_dir,
        pip=Pip(settings.environment),
    )


def images(settings: Settings) -> Images:
    return Images(image_store(settings), Pip(settings.environment), settings.environment)


def image_store(settings: Settings) -> ImageStore:
    return ImageStore(settings.cache)


def plugins(
    settings: Settings, said: Mapping[str, str] | None = None, *, on: str | None = None
) -> Catalog:
    """Return the catalog of a project on a runtime; None: on its own. `said`: as for `catalog`."""
    by_files = catalog(settings, said)
    store, environment = image_store(settings), settings.environment
    docker = (on or runtime_name(settings)) == "docker"
    named = NamedImages(store, environment, reserved=PREFIX, whole=docker, bare=not docker)
    if not docker:
        unpacked = Unpacked(store, settings.cache, settings.state.parent)
        return ProcessCatalog(by_files, named, unpacked)
    below = environment.get(BASE) or None
    return ImageCatalog(by_files, store, images(settings), named, below)


def runtime_name(settings: Settings) -> str:
    """Return what the settings name; else what the last apply was on; else what is here."""
    named = settings.runtime or glance.runtime_of(settings.state / STORE)
    if named:
        return named
    # Without a base no image can be made, and who did not ask for an engine shall not be told so.
    usable = settings.environment.get(BASE) or images(settings).has_base()
    there = usable and presence.answers(settings.environment)
    return "docker" if there and not presence.is_rootless(settings.environment) else "process"


def runtime(settings: Settings) -> Runtime:
    if runtime_name(settings) != "docker":
        return ProcessRuntime(settings.project, settings.state)
    # Its client library costs a quarter of a second: only where an engine is used.
    from orchestrator.runtime.docker.runtime import DockerRuntime

    engine = settings.environment.get("DOCKER_HOST")
    return DockerRuntime(settings.project, settings.state, base_url=engine)


def no_own_network(settings: Settings) -> Problem | None:
    """Return why no entry can have a network of its own, as its runtime would say; None: it can."""
    if runtime_name(settings) == "docker":
        return fence.obstacle(presence.place(settings.environment))
    return NEEDS_CONTAINERS


def applied_images(settings: Settings) -> dict[str, str]:
    """Return entry -> image by digest that it was applied with last, of entries that name one."""
    return glance.images_of(settings.state / STORE)


def left_behind(settings: Settings) -> list[str]:
    """Say what still exists of a project that was taken down, in whatever it ran."""
    found = leftovers.left_behind(settings.project, settings.state)
    if settings.runtime != "process" and presence.answers(settings.environment):
        from orchestrator.runtime.docker import leftovers as in_engine

        engine = settings.environment.get("DOCKER_HOST")
        found += in_engine.left_behind(settings.project, settings.state, base_url=engine)
    return found


def secrets(settings: Settings) -> LocalSecrets:
    return LocalSecrets(settings.state, folder=settings.folder, environment=settings.environment)
