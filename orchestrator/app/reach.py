"""The way to a controller on a cluster: the Lease says who leads, the API server forwards to a port of his pod.

Commands are synchronous and start fast: the connection is a thread's, and only a command with
`--context` has one.
"""

import asyncio
import atexit
import contextlib
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from orchestrator.control import client
from orchestrator.control.protocol import PORT, SOCKET
from orchestrator.errors import ActionError, ConflictError, UnreachableError
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

T = TypeVar("T")
WITHIN_S: Final = 60.0
INSTALL: Final = (
    "fix: `helm install ntp helm/ntp` brings one; or name its namespace with --namespace"
)


class Reached:
    """A cluster, as a person: `ask` runs something with it, in its own thread; closed at the end of the process."""

    def __init__(
        self,
        context: str | None,
        namespace: str | None,
        states: Path,
        *,
        within_s: float = WITHIN_S,
    ) -> None:
        """`within_s`: how long the cluster has for each answer."""
        self._context = context
        self._namespace = namespace
        self._states = states
        self._within_s = within_s
        self._loop = asyncio.new_event_loop()
        self._ready: Future[Cluster] = Future()
        self._end = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()
        self._socket: Path | None = None
        self._release = ""
        self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def ask(self, work: Callable[["Cluster"], Awaitable[T]]) -> T:
        """Return what `work` returns; raises what it raises, and what the kubeconfig is wrong with."""

        async def done(cluster: "Cluster") -> T:
            async with asyncio.timeout(self._within_s):
                return await work(cluster)

        try:
            cluster = self._ready.result(self._within_s)
            return asyncio.run_coroutine_threadsafe(done(cluster), self._loop).result()
        except TimeoutError as error:
            raise UnreachableError(
                f"the cluster did not answer in {self._within_s:.0f} s"
            ) from error
        except UnreachableError as error:
            if "fix:" in str(error):
                raise
            raise UnreachableError(f"{error}\n  {self._try('version')}") from error
        except ActionError as error:
            raise self._fixed(error) from error

    def _try(self, words: str) -> str:
        named = f" --context {self._context}" if self._context else ""
        return f"fix: see whether `kubectl{named} {words}` works: network, VPN, and the kubeconfig's address"

    def _fixed(self, error: ActionError) -> ActionError:
        """Return a refusal with what to do about it."""
        fixes = {
            "Unauthorized": "fix: log in to the cluster again; `kubectl auth whoami` says as whom you are known",
            "Forbidden": "fix: ask for the rights that docs/pluginset.md lists; `kubectl auth can-i --list` has yours",
            "NotFound": "fix: is the chart installed there (the kind PluginSet is a part of it), and the namespace right?",
        }
        fix = fixes.get(error.reason, "")
        told = f"{error}\n  {fix}" if fix else str(error)
        return ActionError(told, reason=error.reason, permanent=error.permanent)

    @property
    def namespace(self) -> str:
        return self._ready.result(self._within_s).namespace

    def release(self) -> str:
        """Return which release has a controller in the namespace."""
        self.socket()
        return self._release

    def socket(self) -> Path:
        """Return a socket of this machine that leads to the leader.

        Raises:
            UnreachableError: nobody leads, or he does not answer.
            ConflictError: there are several releases.
            ActionError: we may not look, or may not have anything forwarded.
        """
        if self._socket is None:
            self._release, holder = self.ask(_leader)
            # The loop of the thread owns what it opens: it is closed with it.
            self._socket = self.ask(lambda cluster: self._forward(cluster, holder))
        return self._socket

    def again(self) -> None:
        """Forget who leads: he does not answer any more."""
        self._socket = None

    async def _forward(self, cluster: "Cluster", holder: str) -> Path:
        from orchestrator.cluster.kinds import POD

        pod = holder.partition("_")[0]
        if await cluster.get(POD, pod) is None:
            local = self._states / self._release / SOCKET
            if await asyncio.to_thread(client.answers, local):
                return local
            raise UnreachableError(
                f"'{pod}' leads in namespace '{cluster.namespace}', and is none of its pods: gone just now, "
                "or `ntpctl serve` on another machine\n  fix: try again in 20 s"
            )
        return await self._stack.enter_async_context(cluster.forward(pod, PORT))

    def close(self) -> None:
        # Who looks again and again has one each time: the end of the process is not to keep them all.
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(5.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live())
        finally:
            self._loop.close()

    async def _live(self) -> None:
        from orchestrator.cluster.cluster import Cluster
        from orchestrator.cluster.place import Place

        place = Place(context=self._context, namespace=self._namespace)
        try:
            async with Cluster(place) as cluster, self._stack:
                self._ready.set_result(cluster)
                await self._end.wait()
        except Exception as error:  # noqa: BLE001 - raised again by whoever asks
            if not self._ready.done():
                self._ready.set_exception(error)


def reached(settings: Settings) -> Reached:
    """Return the cluster that the settings name; one for all calls of a command."""
    return _reached(settings.context, settings.namespace, settings.state.parent)


@lru_cache(maxsize=4)
def _reached(context: str | None, namespace: str | None, states: Path) -> Reached:
    return Reached(context, namespace, states)


async def _leader(cluster: "Cluster") -> tuple[str, str]:
    """Return the release of the namespace, and who leads."""
    from orchestrator.cluster.kinds import LEASE, name_of

    where = f"namespace '{cluster.namespace}'"
    listing = await cluster.list(LEASE, "app.kubernetes.io/name=ntp,ntp.dev/part=state")
    leases = {name_of(each): each.get("spec") or {} for each in listing.items}
    if not leases:
        raise UnreachableError(f"no controller of ntp was ever in {where}\n  {INSTALL}")
    if len(leases) > 1:
        names = ", ".join(sorted(leases))
        raise ConflictError(f"{where} has several releases of ntp: {names}; it may have one")
    ((release, spec),) = leases.items()
    holder = str(spec.get("holderIdentity") or "")
    if not holder:
        raise UnreachableError(
            f"no controller leads release '{release}' in {where}; what ran goes on without one\n"
            f"  fix: `kubectl -n {cluster.namespace} get pods -l app.kubernetes.io/instance={release}` says why"
        )
    return release, holder
