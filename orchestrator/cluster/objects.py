"""Objects of one namespace, read and changed as plain dicts: one request, or the pages of one list."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.cluster import reading
from orchestrator.cluster.calls import MANAGER, Calls, parsed
from orchestrator.cluster.kinds import Body, Kind, name_of
from orchestrator.cluster.reading import Listing
from orchestrator.errors import ActionError

PAGE = 500
"""Objects in one answer, as kubectl asks for."""
CALL_S = 15.0


class Objects:
    """What is asked through `calls`, whose turns it waits for. It raises as `Cluster` says."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def namespace(self) -> str:
        return self._calls.found.namespace

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
