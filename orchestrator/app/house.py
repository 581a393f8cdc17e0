"""Puts the house together: the only file that names an adapter."""

import asyncio
import contextlib
import gc
import importlib.metadata
import resource
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from ntp.package.wheels import Pip
from orchestrator.app import STORE
from orchestrator.app.background import leave_no_trace, make_state
from orchestrator.app.edits import Edits
from orchestrator.app.logging import configure
from orchestrator.app.places import packaged
from orchestrator.app.rereading import Rereading
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.connection import listen
from orchestrator.bus.external import External, read_keys
from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.image_catalog import ImageCatalog
from orchestrator.catalog.image_store import ImageStore
from orchestrator.catalog.images import Images
from orchestrator.catalog.named_images import NamedImages
from orchestrator.catalog.process_catalog import ProcessCatalog
from orchestrator.catalog.unpacked import Unpacked
from orchestrator.control.protocol import SOCKET
from orchestrator.control.server import serving
from orchestrator.controller.controller import Controller
from orchestrator.controller.outside import Outside
from orchestrator.errors import ConfigError, Problem
from orchestrator.monitor.address import address
from orchestrator.monitor.server import Monitor, monitoring
from orchestrator.monitor.webhook import HttpWebhook
from orchestrator.ports import Catalog, Lease, Runtime
from orchestrator.runtime.docker import fence, presence
from orchestrator.runtime.docker.identity import PREFIX
from orchestrator.runtime.process import leftovers
from orchestrator.runtime.process.runtime import NEEDS_CONTAINERS, ProcessRuntime
from orchestrator.settings import Settings
from orchestrator.store import glance
from orchestrator.store.lease import FileLease
from orchestrator.store.secrets import LocalSecrets
from orchestrator.store.sqlite import SqliteStore

log = structlog.get_logger()
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


def version() -> str:
    return importlib.metadata.version("ntp-orchestrator")


def notifier(settings: Settings) -> HttpWebhook | None:
    """Return who tells somebody outside; None: NTP_WEBHOOK names nobody."""
    if settings.webhook is None:
        return None
    return HttpWebhook(settings.webhook, version=version())


def external(settings: Settings) -> External | None:
    """Return the NATS that NTP_NATS names, with the keys that we have for it.

    Raises:
        ConfigError: the setting, the folder that it names, or a file there; all problems at once.
    """
    nats = settings.nats
    if nats is None:
        return None
    problems = list(settings.unservable)
    if nats.keys:
        try:
            found = read_keys(nats.address, settings.folder / Path(nats.keys).expanduser())
        except ConfigError as error:
            problems += error.problems
        else:
            if not problems:
                return found
    raise ConfigError(problems)


@contextlib.asynccontextmanager
async def outside(settings: Settings, lease: Lease) -> AsyncIterator[Outside]:
    """Yield everything that a controller is given, open as long as the block lasts."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with contextlib.AsyncExitStack() as stack:
        store = stack.enter_context(SqliteStore.open(settings.state / STORE))
        broker = await stack.enter_async_context(
            NatsBroker(
                settings.state / "broker", project=settings.project, external=external(settings)
            )
        )
        bus = await stack.enter_async_context(listen(broker.address, broker.core_credentials))
        catalogs: dict[tuple[str | None, str | None], Catalog] = {}
        on = runtime_name(settings)
        image_store(settings).serve(settings.state / STORE)

        def one(said: Mapping[str, str]) -> Catalog:
            # It remembers which copies this process began with: one for each place to look in.
            key = (said.get("PLUGIN_DIR"), said.get("folder"))
            if key not in catalogs:
                catalogs[key] = plugins(settings, said, on=on)
            return catalogs[key]

        yield Outside(
            project=settings.project,
            runtime=runtime(settings),
            broker=broker,
            bus=bus,
            catalog=one,
            store=store,
            secrets=secrets(settings),
            lease=lease,
            notifier=notifier(settings),
            version=version(),
            state_folder=str(settings.state),
        )


def serve(
    settings: Settings, *, background: bool, follow: Sequence[str] | None, named: bool
) -> None:
    """Run the controller of a project until SIGTERM, Ctrl-C or `ntpctl down`."""
    configure()
    _raise_descriptors()
    make_state(settings.state)
    # What was imported stays for as long as we do: it is no garbage to look through, now or later.
    gc.freeze()
    gc.enable()
    edits = None if follow is None else Edits(settings, follow, named=named)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(settings, background=background, edits=edits))


async def _serve(settings: Settings, *, background: bool, edits: Edits | None) -> None:
    watched = address(settings.environment)
    here = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Plugins are not ours to end: they go on, and the next controller adopts them.
        loop.add_signal_handler(number, _end, here)
    async with FileLease(settings.state) as lease:
        try:
            async with outside(settings, lease) as given:
                reread = Rereading(settings.state)
                controller = Controller(replace(given, followed=edits, reread=reread))
                monitor = Monitor(controller.status, controller.figures, version=given.version)
                async with (
                    monitoring(monitor, watched),
                    serving(settings.state / SOCKET, controller),
                ):
                    log.info("controller.start", project=settings.project, epoch=lease.epoch)
                    await controller.run()
        finally:
            # While the lock is ours: nobody else can have begun with what goes now. Of a folder that
            # was taken from under us the path may be a successor's, who has made it anew.
            if lease.held():
                leave_no_trace(settings)
        log.info("controller.end", project=settings.project, background=background)


def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()


def _raise_descriptors() -> None:
    """A plugin costs a few descriptors (its shim, its log): take what the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
