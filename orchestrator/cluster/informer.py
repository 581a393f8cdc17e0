"""Follows all objects of a kind: a list, then a watch, and a copy in memory that needs no question.

A notice says only that something may have changed, so that none can be lost. What the API server
cannot tell us any longer (a watch that broke, a version that is gone, a server that is silent) is
listed again.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

import structlog

from orchestrator.cluster.copies import kept
from orchestrator.cluster.kinds import Body, Kind, is_newer, name_of, version_of
from orchestrator.cluster.refusals import ExpiredError
from orchestrator.errors import NtpError, UnreachableError

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

log = structlog.get_logger()
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Between two tries that failed, up to half as long again: all who lost one server come back apart."""
RELIST_S: Final = 1800.0
"""A list is made anew after so long or up to twice as long: what no watch told comes to light."""
STALE_S: Final = 15.0
"""How long a copy serves on after its watch broke; then we are blind."""
FIRST_S: Final = 30.0
KEPT: Final = 1000
"""Deleted objects whose last state is kept."""


class Informer:
    """The copy of one kind. `Cluster.informer` makes it; its task belongs to the cluster."""

    def __init__(
        self, cluster: "Cluster", kind: Kind, labels: str, *, stale_s: float = STALE_S
    ) -> None:
        self._cluster = cluster
        self.kind = kind
        self.labels = labels
        self._stale_s = stale_s
        self.lists = 0
        """How often all were listed."""
        self._objects: dict[str, Body] = {}
        self._gone: dict[str, Body] = {}
        self._version = ""
        self._trouble: NtpError | None = None
        self._broken_since: float | None = None
        self._tried = asyncio.Event()
        self._listeners: dict[asyncio.Event, str] = {}
        """Who is told of a change, and the name of the object that it wants to be told of; empty: of all."""

    async def objects(self) -> Mapping[str, Body]:
        """Return all by name; the first time when they are listed. Not to be changed.

        Raises:
            UnreachableError: they were never listed, or the watch has been broken for a while.
        """
        if not self._version:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_S):
                    await self._tried.wait()
        now = time.monotonic()
        stale = self._broken_since is not None and now - self._broken_since > self._stale_s
        if not self._version or stale:
            why = self._trouble or f"{self.kind.plural} were not listed within {FIRST_S:.0f} s"
            raise UnreachableError(str(why)) from self._trouble
        return MappingProxyType(self._objects)

    def last(self, name: str) -> Body | None:
        """Return an object as it was when it was deleted: the last one of that name, of the newest 1,000."""
        return self._gone.get(name)

    def take(self, body: Body) -> None:
        """Note the state that a write of ours returned, before the watch tells it."""
        known = self._objects.get(name_of(body))
        if known is None or is_newer(body, known):
            self._objects[name_of(body)] = kept(self.kind, body)

    @contextlib.contextmanager
    def listening(self, changed: asyncio.Event, name: str = "") -> Iterator[None]:
        """While the block lasts, set this event each time that something, or one object, may have changed."""
        self._listeners[changed] = name
        try:
            yield
        finally:
            self._listeners.pop(changed, None)

    async def run(self) -> None:
        """List and watch for ever; the cluster's group runs and ends it."""
        failures = 0
        relist_at = 0.0
        while True:
            began = time.monotonic()
            try:
                if not self._version or began >= relist_at:
                    await self._list()
                    relist_at = time.monotonic() + RELIST_S * random.uniform(1.0, 2.0)  # noqa: S311 - no secret
                async with asyncio.timeout_at(
                    asyncio.get_running_loop().time() + relist_at - time.monotonic()
                ):
                    await self._watch()
                failures = 0
            except ExpiredError:
                relist_at = 0.0  # but not in a hurry: a server that always says so is asked slowly
                failures += 1
            except NtpError as error:
                self._note(error)
                failures += 1
            except TimeoutError:
                relist_at = 0.0
                continue
            if time.monotonic() - began > RETRY_S[-1]:
                failures = min(failures, 1)
            if failures:
                pause = RETRY_S[min(failures, len(RETRY_S)) - 1]
                await asyncio.sleep(pause * random.uniform(1.0, 1.5))  # noqa: S311 - no secret

    async def _list(self) -> None:
        listing = await self._cluster.list(self.kind, self.labels)
        self.lists += 1
        self._objects = {name_of(body): kept(self.kind, body) for body in listing.items}
        self._version = listing.version
        self._well()
        self._tried.set()
        self._notify()

    async def _watch(self) -> None:
        watched = self._cluster.watch(self.kind, self.labels, self._version)
        async with contextlib.aclosing(watched) as events:
            async for what, body in events:
                self._well()
                self._version = version_of(body)
                if what != "BOOKMARK":
                    self._hear(what, body)
                del body  # all of it; the next event may be hours away
        self._well()  # ended by the server, as it does every few minutes

    def _hear(self, what: str, body: Body) -> None:
        name = name_of(body)
        known = self._objects.get(name)
        if known is not None and is_newer(known, body):
            return  # of before a write of ours whose answer we have
        if what == "DELETED":
            self._objects.pop(name, None)
            self._bury(name, body)
        else:
            self._objects[name] = kept(self.kind, body)
        self._notify(name)

    def _bury(self, name: str, body: Body) -> None:
        self._gone.pop(name, None)
        self._gone[name] = kept(self.kind, body)
        if len(self._gone) > KEPT:
            del self._gone[next(iter(self._gone))]

    def _well(self) -> None:
        if self._trouble is not None:
            log.info("cluster.watch.restored", kind=self.kind.plural)
        self._trouble = None
        self._broken_since = None

    def _note(self, error: NtpError) -> None:
        if self._trouble is None:
            log.warning("cluster.watch.broken", kind=self.kind.plural, cause=str(error))
        self._trouble = error
        if self._broken_since is None:
            self._broken_since = time.monotonic()
            self._notify()
        self._tried.set()

    def _notify(self, name: str = "") -> None:
        """Tell who wants to know of an object; without a name of any."""
        for each, wanted in self._listeners.items():
            if not name or wanted in {"", name}:
                each.set()


class Informers:
    """All that follow something of one cluster; as long as the block lasts."""

    def __init__(self, cluster: "Cluster", stale_s: float) -> None:
        self._cluster = cluster
        self._stale_s = stale_s
        self._group: asyncio.TaskGroup | None = None
        self._made: dict[tuple[Kind, str], tuple[Informer, asyncio.Task[None]]] = {}

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        group, self._group = self._group, None
        for _, task in self._made.values():
            task.cancel()
        self._made.clear()
        if group is not None:
            await group.__aexit__(None, None, None)

    def of(self, kind: Kind, labels: str) -> Informer:
        if self._group is None:
            raise UnreachableError("the connection to the cluster is closed")
        if (kind, labels) not in self._made:
            informer = Informer(self._cluster, kind, labels, stale_s=self._stale_s)
            name = f"informer of {kind.plural}"
            self._made[kind, labels] = (
                informer,
                self._group.create_task(informer.run(), name=name),
            )
        return self._made[kind, labels][0]
