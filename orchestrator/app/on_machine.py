"""The house on one machine: what a controller is given, and its run from lock to end."""

import asyncio
import contextlib
import gc
import resource
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import structlog

from orchestrator.app import STORE, house
from orchestrator.app.background import leave_no_trace, make_state
from orchestrator.app.edits import Edits
from orchestrator.app.everywhere import external, notifier, version
from orchestrator.app.logging import configure
from orchestrator.app.rereading import Rereading
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.connection import listen
from orchestrator.control.protocol import SOCKET
from orchestrator.control.server import serving
from orchestrator.controller.controller import Controller
from orchestrator.controller.outside import Outside
from orchestrator.monitor.address import address
from orchestrator.monitor.server import Monitor, monitoring
from orchestrator.ports import Catalog, Lease
from orchestrator.settings import Settings
from orchestrator.store.lease import FileLease
from orchestrator.store.sqlite import SqliteStore

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def outside(settings: Settings, lease: Lease) -> AsyncIterator[Outside]:
    """Yield everything that a controller is given, open as long as the block lasts."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with contextlib.AsyncExitStack() as stack:
        store = stack.enter_context(SqliteStore.open(settings.state / STORE))
        broker = await stack.enter_async_context(
            NatsBroker(
                settings.state / "broker",
                project=settings.project,
                external=external(settings),
            )
        )
        bus = await stack.enter_async_context(listen(broker.address, broker.core_credentials))
        catalogs: dict[tuple[str | None, str | None], Catalog] = {}
        on = house.runtime_name(settings)
        house.image_store(settings).serve(settings.state / STORE)

        def one(said: Mapping[str, str]) -> Catalog:
            # It remembers which copies this process began with: one for each place to look in.
            key = (said.get("PLUGIN_DIR"), said.get("folder"))
            if key not in catalogs:
                catalogs[key] = house.plugins(settings, said, on=on)
            return catalogs[key]

        yield Outside(
            project=settings.project,
            runtime=house.runtime(settings),
            broker=broker,
            bus=bus,
            catalog=one,
            store=store,
            secrets=house.secrets(settings),
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
