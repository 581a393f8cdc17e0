"""The house on a cluster: followers wait, one leads. It names adapters, as `app.house` and `app.on_machine` do."""

import asyncio
import contextlib
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from ntp.contract.names import object_name
from orchestrator.app.between_turns import Pauses
from orchestrator.app.cluster_edits import decided, following
from orchestrator.app.everywhere import external, notifier, version
from orchestrator.app.ground import ground
from orchestrator.app.logging import configure
from orchestrator.app.places import packaged
from orchestrator.app.plugin_images import read as read_images
from orchestrator.bus.authority import CORE_KEY
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.connection import listen
from orchestrator.catalog.cluster_catalog import ClusterCatalog, DescribedImages
from orchestrator.catalog.image_store import ImageStore
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.place import Place
from orchestrator.control.protocol import PORT, SOCKET
from orchestrator.control.server import serving, serving_pod
from orchestrator.controller.controller import Controller
from orchestrator.controller.outside import Outside, Tempo
from orchestrator.decide.report import Condition, Figures, ProjectStatus
from orchestrator.errors import (
    ConfigError,
    ConflictError,
    Problem,
    UnreachableError,
    ungrouped,
)
from orchestrator.monitor.address import address
from orchestrator.monitor.server import Monitor, monitoring
from orchestrator.ports import Runtime
from orchestrator.settings import Settings
from orchestrator.store.kubernetes.announcing import Announcing
from orchestrator.store.kubernetes.beside import beside
from orchestrator.store.kubernetes.documents import DAMAGE
from orchestrator.store.kubernetes.kept_folder import KeptFolder
from orchestrator.store.kubernetes.lease import ClusterLease, identity
from orchestrator.store.kubernetes.plugin_sets import PluginSets
from orchestrator.store.kubernetes.secrets import ClusterSecrets, Values
from orchestrator.store.kubernetes.set_status import Decision
from orchestrator.store.kubernetes.store import ClusterStore
from orchestrator.store.kubernetes.telling_sets import TellingSets

log = structlog.get_logger()
NAMESPACE, SECRET, IN_POD = "NTP_NAMESPACE", "NTP_SECRET", "NTP_POD"
"""Settings: of the release's objects; the name of the Secret that has the variables; who we are."""
TEMPO = Tempo(settled=timedelta(milliseconds=250))
"""No PluginSet is ever half written; several that are written together come within moments."""

Opened = Callable[
    [Cluster, ClusterLease], contextlib.AbstractAsyncContextManager[tuple[Outside, PluginSets]]
]


class Standing:
    """What is told of this process: that it waits, or what the controller says."""

    def __init__(self, project: str) -> None:
        self._project = project
        self.lease: ClusterLease | None = None
        self.controller: Controller | None = None
        self.since = math.inf
        """When the lease of this turn was held, by the loop's clock."""

    async def status(self, name: None) -> ProjectStatus:
        if self.controller is not None:
            return await self.controller.status(name)
        holder = self.lease.holder if self.lease is not None else ""
        words = f"{holder.partition('_')[0] or 'nobody'} leads"
        waits = Condition("Leading", status=False, reason="Standby", message=words)
        return ProjectStatus(self._project, 0, datetime.now(UTC), [waits], [])

    def figures(self) -> Figures:
        from orchestrator.controller.durations import Durations

        return self.controller.figures() if self.controller else Figures(Durations().told())


def place(settings: Settings) -> Place:
    return Place(namespace=settings.environment.get(NAMESPACE) or None)


def serve(settings: Settings) -> None:
    """Lead, or wait to, until SIGTERM or Ctrl-C. Raises ConfigError where a setting is missing."""
    configure()
    images = _checked(settings)
    os.umask(0o077)
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(take_turns(settings, partial(outside, settings, images)))


def _checked(settings: Settings) -> dict[str, str]:
    problems: list[Problem] = []
    images = read_images(settings.environment, problems)
    if settings.nats is None:
        fix = "the chart sets it; write nats://HOST:4222?keys=FOLDER"
        what = "NTP_NATS is not set, and on a cluster no controller runs a broker"
        problems.append(Problem("environment", 0, 0, what, fix))
    else:
        with contextlib.suppress(ConfigError):
            external(settings)
    if not settings.sandbox:
        fix = "take it away: a pod is a sandbox"
        problems.append(Problem("environment", 0, 0, "PLUGIN_SANDBOX was false", fix))
    problems += settings.unservable
    if problems:
        raise ConfigError(problems)
    return images


async def take_turns(settings: Settings, opened: Opened) -> None:
    """Lead whenever it is our turn; `opened` opens what a leader is given. Return when all was taken down."""
    here, loop = asyncio.current_task(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: here.cancel() if here else None)
    standing = Standing(settings.project)
    monitor = Monitor(standing.status, standing.figures, version=version())
    # Renewals have a connection of their own: nothing else may keep them waiting.
    async with (
        Cluster(place(settings)) as own,
        monitoring(monitor, address(settings.environment)),
    ):
        release = object_name(settings.project)
        who = identity(settings.environment)
        pauses = Pauses(who.text)
        while True:
            standing.since = math.inf
            lease = ClusterLease(own, release, identity=who)
            standing.lease = lease
            try:
                if await _turn(settings, opened, lease, standing):
                    return
            except (ConflictError, UnreachableError) as error:
                # Nothing of what we did goes on. Somebody else leads, or nobody can, and we wait our turn.
                log.warning("controller.follows", project=settings.project, cause=str(error))
                await asyncio.sleep(pauses.after(max(0.0, loop.time() - standing.since)))
            finally:
                standing.controller = None


async def _turn(
    settings: Settings, opened: Opened, lease: ClusterLease, standing: Standing
) -> bool:
    """As `_lead`, once it is our turn; what is raised comes out of the groups of tasks that it was in."""
    with ungrouped():
        async with lease:
            standing.since = asyncio.get_running_loop().time()
            return await _lead(settings, opened, lease, standing)


async def _lead(
    settings: Settings, opened: Opened, lease: ClusterLease, standing: Standing
) -> bool:
    """Return when everything was taken down; raise ConflictError when the lease is lost."""
    async with (
        Cluster(place(settings), guard=lease.check) as cluster,
        opened(cluster, lease) as (given, sets),
    ):
        telling: list[TellingSets] = []

        def take(decision: Decision) -> None:
            current = given.store.current()
            number = current.number if current is not None else 0
            for each in telling:
                each.decision = replace(decision, revision=number)

        controller = Controller(replace(given, decided=decided(take)))
        telling.append(TellingSets(cluster, sets, controller.glance))
        standing.controller = controller
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(serving(settings.state / SOCKET, controller))
            if IN_POD in settings.environment:
                await stack.enter_async_context(serving_pod(PORT, controller))
            await stack.enter_async_context(beside(telling[0].run()))
            log.info("controller.start", project=settings.project, epoch=lease.epoch)
            done = await _while_held(controller, lease)
            log.info("controller.end", project=settings.project)
            return done


async def _while_held(controller: Controller, lease: ClusterLease) -> bool:
    async def watch() -> None:
        await lease.lost()
        lease.check()

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch())
        await controller.run()
        watching.cancel()
        return True


@contextlib.asynccontextmanager
async def outside(
    settings: Settings, images: dict[str, str], cluster: Cluster, lease: ClusterLease
) -> AsyncIterator[tuple[Outside, PluginSets]]:
    """Yield everything that a controller is given, open as long as the block lasts, and what it follows."""
    release = object_name(settings.project)
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(stored(cluster, lease, release))
        folder = settings.state / "broker" / "keys"
        kept = KeptFolder(folder, store, vital=CORE_KEY)
        kept.restore()
        broker = await stack.enter_async_context(
            NatsBroker(
                settings.state / "broker",
                project=settings.project,
                external=external(settings),
            )
        )
        await kept.kept()  # before anything is applied
        await stack.enter_async_context(beside(kept.run()))
        bus = await stack.enter_async_context(listen(broker.address, broker.core_credentials))
        sets = PluginSets(cluster)
        announcing = Announcing(cluster, release, lambda: sets.now)
        store.told = announcing.offer
        await stack.enter_async_context(beside(announcing.run()))
        values = Values(cluster, settings.environment.get(SECRET) or f"{release}-secrets")
        said = {**settings.plugin_settings, **settings.egress, "project": settings.project}
        edits = await stack.enter_async_context(following(sets, values, said, store))
        catalog = _catalog(settings, images)
        yield (
            Outside(
                project=settings.project,
                runtime=await runtime(settings, cluster),
                broker=broker,
                bus=bus,
                catalog=lambda _: catalog,
                store=store,
                secrets=ClusterSecrets(values, key=store.digest_key),
                lease=lease,
                notifier=notifier(settings),
                version=version(),
                state_folder=str(settings.state),
                followed=edits,
                tempo=TEMPO,
                keys_kept=kept.kept,
            ),
            sets,
        )


@contextlib.asynccontextmanager
async def stored(
    cluster: Cluster, lease: ClusterLease, release: str
) -> AsyncIterator[ClusterStore]:
    """Yield what is remembered of a release; the epoch is larger than any that wrote it."""
    opened = ClusterStore.opened(cluster, release, epoch=lambda: lease.epoch, held=lease.held)
    async with opened as store:
        if store.epoch_before >= lease.epoch:
            await lease.raise_to(store.epoch_before + 1)
        if store.repaired:
            log.error("store.damaged", cause=store.repaired)
            await store.kept(setting=DAMAGE)  # before anything can be written over it
        yield store


def _catalog(settings: Settings, images: dict[str, str]) -> ClusterCatalog:
    named = DescribedImages(
        ImageStore(settings.cache), settings.environment, reserved="ntp.dev/", whole=True
    )
    python = Path(os.path.realpath(sys.executable))
    return ClusterCatalog(images, bundled=packaged("plugin-images"), named=named, python=python)


async def runtime(settings: Settings, cluster: Cluster) -> Runtime:
    """Return what runs plugins: workloads of the namespace."""
    from orchestrator.runtime.kubernetes.runtime import KubernetesRuntime

    return KubernetesRuntime(settings.project, cluster, await ground(settings.environment))
