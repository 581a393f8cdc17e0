"""At most one controller of a release acts: a Lease of coordination.k8s.io, and a clock that only goes on.

Who holds it renews it each `retry`, and acts only until `renew_within` after the last renewal was *asked
for*. Another one takes it when it has not seen it change for `duration`, by its own clock: so no two
clocks are ever compared. The clock counts while the machine sleeps, too.
"""

import asyncio
import random
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import structlog

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import LEASE, Body, version_of
from orchestrator.errors import ConflictError, NtpError, UnreachableError
from orchestrator.store.kubernetes.packing import labels

log = structlog.get_logger()
_JITTER = 1.2
_FAREWELL_S = 3.0


@dataclass(frozen=True, slots=True)
class Tempo:
    """As every controller of Kubernetes has it: 15, 10 and 2 seconds."""

    duration: timedelta = timedelta(seconds=15)
    """How long a holder that says nothing is waited for."""
    renew_within: timedelta = timedelta(seconds=10)
    """How long after its last renewal a holder acts."""
    retry: timedelta = timedelta(seconds=2)

    def __post_init__(self) -> None:
        if not self.duration > self.renew_within > self.retry * _JITTER > timedelta():
            raise ValueError("a lease needs duration > renew_within > 1.2 times retry > 0")


def boottime() -> float:
    """Return seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Identity:
    """Who asks for a lease: one for each process.

    Args:
        name: of the pod, which the command line looks for; elsewhere of the machine.
        alone: at most one process has that name at a time, as the container of a pod does: the one
            before this one has ended.
    """

    def __init__(self, name: str, *, alone: bool) -> None:
        self._name = name
        self._alone = alone
        # A container that was started anew is another holder than the one before it.
        self.text = f"{name}_{uuid.uuid4().hex[:8]}"

    def was(self, holder: str) -> bool:
        """Tell whether a holder was this process, or one that has ended since."""
        return holder == self.text or (self._alone and holder.partition("_")[0] == self._name)


class ClusterLease:
    """Entering waits until it is held."""

    def __init__(
        self,
        cluster: Cluster,
        release: str,
        *,
        identity: Identity,
        tempo: Tempo | None = None,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._cluster = cluster
        self._release = release
        self._identity = identity
        self._tempo = tempo or Tempo()
        self._clock = clock
        self._body: Body | None = None
        self._asked = float("-inf")
        """When the last renewal that was granted was asked for."""
        self._lost = asyncio.Event()
        self._seen: tuple[tuple[object, ...], float] | None = None
        """What a holder said last, and when we first saw it."""
        self._group: asyncio.TaskGroup | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.epoch = 0
        self.holder = ""
        """Who holds it, as of the last look: `ntpctl` goes there."""

    async def __aenter__(self) -> Self:
        await self._wait()
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._keeping = self._group.create_task(self._keep())
        log.info("lease.held", release=self._release, epoch=self.epoch)
        return self

    async def __aexit__(self, *exc: object) -> None:
        group, self._group = self._group, None
        if self._keeping is not None:
            self._keeping.cancel()
        if group is not None:
            await group.__aexit__(None, None, None)
        if self.held():
            # Whoever waits need not wait for what will not come.
            with suppress(NtpError, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await self._write(self._spec(holder="", transitions=self.epoch))
        self._lost.set()

    def held(self) -> bool:
        return not self._lost.is_set() and self._left() > 0

    def check(self) -> float:
        """Return for how many seconds it is held if it is not renewed; ConflictError: it is not held.

        Called before every change of the cluster.
        """
        left = self._left()
        if self._lost.is_set() or left <= 0:
            raise ConflictError("the lease was lost: nothing is changed any more")
        return left

    def _left(self) -> float:
        return self._tempo.renew_within.total_seconds() - (self._clock() - self._asked)

    async def lost(self) -> None:
        """Return when it is held no longer."""
        await self._lost.wait()

    async def raise_to(self, epoch: int) -> None:
        """Have an epoch that is larger than one that is known: somebody deleted the Lease meanwhile."""
        self.epoch = max(self.epoch, epoch)
        await self._renew()

    async def _wait(self) -> None:
        """Return when it is held; however long that takes."""
        while not await self._try():
            pause = self._tempo.retry.total_seconds() * random.uniform(1.0, _JITTER)  # noqa: S311 - no secret
            await asyncio.sleep(pause)

    async def _try(self) -> bool:
        asked = self._clock()
        try:
            async with asyncio.timeout(self._tempo.renew_within.total_seconds()):
                body = await self._cluster.get(LEASE, self._release)
                if body is not None and not self._free(body, asked):
                    return False
                await self._take(body)
        except (NtpError, TimeoutError) as error:
            if not isinstance(error, ConflictError):
                log.warning("lease.unreachable", release=self._release, cause=str(error))
            return False
        self._asked = asked
        return True

    def _free(self, body: Body, now: float) -> bool:
        spec = body.get("spec") or {}
        before, self.holder = self.holder, str(spec.get("holderIdentity") or "")
        if self.holder != before and self.holder:
            log.info("lease.waiting", release=self._release, holder=self.holder)
        if not self.holder or self._identity.was(self.holder):
            return True
        said = (self.holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if self._seen is None or self._seen[0] != said:
            self._seen = (said, now)
        told = spec.get("leaseDurationSeconds") or self._tempo.duration.total_seconds()
        return now - self._seen[1] >= float(told)

    async def _take(self, body: Body | None) -> None:
        spec = (body or {}).get("spec") or {}
        self.epoch = int(spec.get("leaseTransitions") or 0) + 1
        self._body = body
        await self._write(
            self._spec(holder=self._identity.text, transitions=self.epoch, taken=True)
        )
        self.holder = self._identity.text

    async def _keep(self) -> None:
        """Renew until that was not possible for too long, or somebody else holds it."""
        within = self._tempo.renew_within.total_seconds()
        while True:
            await asyncio.sleep(self._tempo.retry.total_seconds())
            asked = self._clock()
            left = self._left()
            if left <= 0:
                # Paused, or cut off. What others have done meanwhile we need not ask.
                self._lose("it was not renewed in time")
                return
            try:
                # One that gets no answer leaves time for another, by another connection.
                async with asyncio.timeout(min(left, within / 2)):
                    await self._renew()
                self._asked = asked
            except ConflictError as error:
                self._lose(str(error))
                return
            except (NtpError, TimeoutError) as error:
                log.warning("lease.not_renewed", release=self._release, cause=str(error))

    async def _renew(self) -> None:
        """Raises ConflictError where somebody else holds it, or it is gone."""
        try:
            await self._write(self._spec(holder=self._identity.text, transitions=self.epoch))
        except ConflictError:
            # Somebody has put a label on it, or taken it.
            body = await self._cluster.get(LEASE, self._release)
            if body is None or body["spec"].get("holderIdentity") != self._identity.text:
                raise
            self._body = body
            await self._write(self._spec(holder=self._identity.text, transitions=self.epoch))

    async def _write(self, spec: Body) -> None:
        if self._body is None:
            body = LEASE.body(self._release, metadata={"labels": labels(self._release)}, spec=spec)
            self._body = await self._cluster.create(LEASE, body)
            return
        version = version_of(self._body)
        body = {**self._body, "spec": {**self._body["spec"], **spec}}
        body["metadata"] = {**body["metadata"], "resourceVersion": version}
        try:
            self._body = await self._cluster.replace(LEASE, body)
        except UnreachableError:
            raise
        except NtpError as error:
            if getattr(error, "reason", "") == "NotFound":
                raise ConflictError("the Lease was deleted") from error
            raise

    def _spec(self, *, holder: str, transitions: int, taken: bool = False) -> Body:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        # One that was given back may be taken at once.
        lasts = int(self._tempo.duration.total_seconds()) if holder else 1
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, lasts),
            "renewTime": now,
            "leaseTransitions": transitions,
            **({"acquireTime": now} if taken else {}),
        }

    def _lose(self, why: str) -> None:
        log.error("lease.lost", release=self._release, cause=why)
        self._lost.set()


def identity(environment: Mapping[str, str]) -> Identity:
    """Return who this process is: its pod (NTP_POD); elsewhere one of several on its machine."""
    pod = environment.get("NTP_POD")
    return Identity(pod or socket.gethostname(), alone=bool(pod))
