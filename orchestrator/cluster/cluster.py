"""A Kubernetes: read and change its objects as plain dicts, follow them, reach into its pods."""

import contextlib
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Self

from orchestrator.cluster import forward, reading
from orchestrator.cluster.calls import Calls, parsed
from orchestrator.cluster.informer import STALE_S, Informer, Informers
from orchestrator.cluster.kinds import Body, Kind
from orchestrator.cluster.objects import CALL_S, Objects
from orchestrator.cluster.place import Place
from orchestrator.errors import ActionError

BOOKMARK_QUIET_S = 90.0
"""The API server sends a bookmark each minute: a watch that says nothing for longer is dead."""


class Cluster(Objects):
    """One cluster and one namespace of it. Use it as `async with`: it owns connections and watches.

    Every call has a deadline. It raises UnreachableError when nothing answered in time,
    ConflictError when somebody else was there before (OwnedError names whose fields they are), and
    ActionError when the answer was no, with the API server's own words.
    """

    def __init__(
        self,
        place: Place | None = None,
        *,
        quiet_s: float = BOOKMARK_QUIET_S,
        stale_s: float = STALE_S,
        guard: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """Say no word to the cluster yet.

        Args:
            place: where it is.
            quiet_s: the longest silence of a watch that lives.
            stale_s: how long a broken one still counts.
            guard: called before each change, at the last moment; who is no leader raises there. Returns
                how long the change may take, seconds.
        """
        super().__init__(Calls(place or Place(), guard))
        self._quiet_s = quiet_s
        self._informers = Informers(self, stale_s)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Raises ConfigError where the kubeconfig is not usable. Says no word to the cluster yet."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._calls.close)
            await self._calls.open()
            await stack.enter_async_context(self._informers)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def address(self) -> str:
        """The API server's, as the kubeconfig has it."""
        return str(self._calls.found.api.configuration.host)

    def apart(self, at_once: int) -> Objects:
        """Return the same objects, of which so many are asked for at a time; other requests have other turns.

        For who asks for a lot and shall keep nobody waiting. While the cluster is open.
        """
        return Objects(self._calls.apart(at_once))

    def watch(
        self, kind: Kind, labels: str, version: str
    ) -> AsyncGenerator[tuple[str, Body], None]:
        """Yield (ADDED, MODIFIED, DELETED or BOOKMARK; object) from a version on, until the server ends it.

        Raises:
            ExpiredError: that version is gone: list again.
            UnreachableError: broken, or silent for longer than a living watch is.
        """
        return reading.watch(
            self._calls,
            self.namespace,
            kind,
            labels=labels,
            version=version,
            quiet_s=self._quiet_s,
        )

    def informer(self, kind: Kind, labels: str = "") -> Informer:
        """Return what follows all objects of a kind; one for all who ask for the same."""
        return self._informers.of(kind, labels)

    def logs(
        self,
        pod: str,
        *,
        container: str,
        follow: bool = False,
        tail: int | None = None,
        previous: bool = False,
        since: datetime | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Yield lines, each beginning with its time (RFC 3339, UTC) and a space.

        Args:
            pod: its name.
            container: of the pod.
            follow: go on until the container ends.
            tail: the last so many of them first; None: all that there are.
            previous: of the life before this one.
            since: nothing from before (whole seconds).
        """
        return reading.log(
            self._calls,
            self.namespace,
            pod,
            container=container,
            follow=follow,
            tail=tail,
            previous=previous,
            since=since,
        )

    def forward(self, pod: str, port: int) -> AbstractAsyncContextManager[Path]:
        """Yield a Unix socket on this machine whose connections lead to a port in a pod.

        Good for any client that can connect there, a blocking one in another thread too.
        ActionError: there is no such pod.
        """
        return forward.bridged(self._calls, self.namespace, pod, port)

    async def version(self) -> str:
        """Return the API server's version: v1.34.4."""
        what = "tell its version"
        answer = await self._calls.ask("GET", "/version", what=what, deadline_s=CALL_S)
        return str(parsed(answer, what).get("gitVersion", ""))

    async def serves(self, kind: Kind, subresource: str = "") -> bool:
        """Tell whether the API server knows a kind, or a part of it: not all are everywhere."""
        group = kind.path("").split("/namespaces/")[0].rsplit(f"/{kind.plural}", 1)[0]
        what = f"tell whether it knows {kind.kind}"
        try:
            answer = await self._calls.ask("GET", group, what=what, deadline_s=CALL_S)
        except ActionError as refused:
            if refused.reason == "NotFound":
                return False
            raise
        known = parsed(answer, what).get("resources") or ()
        wanted = f"{kind.plural}/{subresource}" if subresource else kind.plural
        return any(each.get("name") == wanted for each in known)
