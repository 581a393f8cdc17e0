"""A Kubernetes: read and change its objects as plain dicts, follow them, reach into its pods."""

import contextlib
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from orchestrator.cluster import forward, reading
from orchestrator.cluster.calls import MANAGER, Calls, parsed
from orchestrator.cluster.informer import STALE_S, Informer, Informers
from orchestrator.cluster.kinds import Body, Kind, name_of
from orchestrator.cluster.place import Place
from orchestrator.cluster.reading import Listing
from orchestrator.errors import ActionError

PAGE = 500
"""Objects in one answer, as kubectl asks for."""
CALL_S = 15.0
BOOKMARK_QUIET_S = 90.0
"""The API server sends a bookmark each minute: a watch that says nothing for longer is dead."""


class Cluster:
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
        self._quiet_s = quiet_s
        self._calls = Calls(place or Place(), guard)
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
    def namespace(self) -> str:
        return self._calls.found.namespace

    @property
    def address(self) -> str:
        """The API server's, as the kubeconfig has it."""
        return str(self._calls.found.api.configuration.host)

    async def get(self, kind: Kind, name: str, *, subresource: str = "") -> Body | None:
        """Return one object; None: there is none of that name."""
        try:
            return await self._one("GET", kind, name, f"read {kind.kind} {name}", sub=subresource)
        except ActionError as refused:
            if refused.reason == "NotFound":
                return None
            raise

    async def list(
        self, kind: Kind, labels: str = "", *, fields: str = "", page: int = PAGE
    ) -> Listing:
        """Return all objects that the selectors choose, as of one moment."""
        return await reading.listing(
            self._calls, self.namespace, kind, labels=labels, fields=fields, page=page
        )

    async def apply(
        self,
        kind: Kind,
        body: Body,
        *,
        force: bool = False,
        subresource: str = "",
        dry: bool = False,
    ) -> Body:
        """Say how an object has to be (server-side apply), and return how it is.

        Fields that we set before and do not set now go away; what others set stays. Fields that
        somebody else set otherwise raise OwnedError, unless `force` takes them.
        """
        query = {"fieldManager": MANAGER, "force": force, **({"dryRun": "All"} if dry else {})}
        name = name_of(body)
        return await self._one(
            "PATCH",
            kind,
            name,
            f"apply {kind.kind} {name}",
            sub=subresource,
            query=query,
            body=body,
            content="application/apply-patch+yaml",
        )

    async def create(self, kind: Kind, body: Body) -> Body:
        """Make an object. ConflictError: one of that name is there."""
        what = f"create {kind.kind} {name_of(body)}"
        path = kind.path(self.namespace)
        query = {"fieldManager": MANAGER}
        given = {"what": what, "deadline_s": CALL_S, "query": query, "body": body}
        return parsed(await self._calls.ask("POST", path, **given), what)  # type: ignore[arg-type]  # mypy sees one type for all

    async def replace(self, kind: Kind, body: Body, *, subresource: str = "") -> Body:
        """Write a whole object over the one that was read: ConflictError if that changed since.

        A body without `metadata.resourceVersion` is written over whatever is there.
        """
        name = name_of(body)
        what = f"replace {kind.kind} {name}"
        query = {"fieldManager": MANAGER}
        return await self._one("PUT", kind, name, what, sub=subresource, query=query, body=body)

    async def patch(
        self,
        kind: Kind,
        name: str,
        changes: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        subresource: str = "",
    ) -> Body:
        """Change some fields: a JSON merge patch (None takes one away), or the steps of a JSON patch.

        With `metadata.resourceVersion` in a merge patch: ConflictError if the object changed since.
        """
        form = "merge-patch" if isinstance(changes, Mapping) else "json-patch"
        return await self._one(
            "PATCH",
            kind,
            name,
            f"change {kind.kind} {name}",
            sub=subresource,
            query={"fieldManager": MANAGER},
            body=dict(changes) if isinstance(changes, Mapping) else [*changes],
            content=f"application/{form}+json",
        )

    async def delete(
        self,
        kind: Kind,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        grace_s: int | None = None,
        propagation: str = "Background",
    ) -> bool:
        """Delete an object. Return whether it was there.

        Args:
            kind: of the object.
            name: of the object.
            uid: only this one; ConflictError if the name belongs to another by now.
            version: only in this state; ConflictError if it changed since.
            grace_s: of a pod, from SIGTERM to SIGKILL; None: as the pod says.
            propagation: Background, Foreground or Orphan: what becomes of what it owns.
        """
        expected = {"uid": uid, "resourceVersion": version}
        given = {key: value for key, value in expected.items() if value}
        body: dict[str, Any] = {"propagationPolicy": propagation}
        if given:
            body["preconditions"] = given
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        try:
            await self._one("DELETE", kind, name, f"delete {kind.kind} {name}", body=body)
        except ActionError as refused:
            if refused.reason == "NotFound":
                return False
            raise
        return True

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

    async def _one(
        self,
        method: str,
        kind: Kind,
        name: str,
        what: str,
        *,
        sub: str = "",
        query: Mapping[str, object] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> Body:
        if not name:
            raise ValueError(f"{what}: without a name it would be asked of all")
        answer = await self._calls.ask(
            method,
            kind.path(self.namespace, name, sub),
            what=what,
            deadline_s=CALL_S,
            query=query,
            body=body,
            content=content,
        )
        return parsed(answer, what)
