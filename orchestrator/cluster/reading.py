"""Reads many: lists in pages, watches, logs."""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orchestrator.cluster.calls import Calls, parsed
from orchestrator.cluster.kinds import POD, Body, Kind, version_of
from orchestrator.cluster.refusals import EXPIRED, ExpiredError, error

BEGIN_S: Final = 15.0
LIST_S: Final = 60.0
WATCH_S: Final = 300
"""After which the API server ends a watch, so that several servers share them evenly."""


@dataclass(frozen=True, slots=True)
class Listing:
    items: tuple[Body, ...]
    version: str
    """From where a watch goes on."""


async def listing(
    calls: Calls, namespace: str, kind: Kind, *, labels: str = "", fields: str = "", page: int
) -> Listing:
    """See `Cluster.list`."""
    chosen = {"labelSelector": labels, "fieldSelector": fields}
    query = {key: value for key, value in chosen.items() if value}
    while True:
        try:
            return await _pages(calls, namespace, kind, query, page)
        except ExpiredError:
            # Its pages came too slowly for the server, which gives all at once when asked to.
            page = 0


async def _pages(
    calls: Calls, namespace: str, kind: Kind, chosen: Mapping[str, str], page: int
) -> Listing:
    found: list[Body] = []
    query: dict[str, object] = {**chosen, **({"limit": page} if page else {})}
    what = f"list {kind.plural}"
    while True:
        answer = parsed(
            await calls.ask("GET", kind.path(namespace), what=what, deadline_s=LIST_S, query=query),
            what,
        )
        # Items of a list leave out what all have in common.
        common = {"apiVersion": kind.api_version, "kind": kind.kind}
        found += [{**common, **item} for item in answer.get("items") or ()]
        more = answer["metadata"].get("continue")
        if not more:
            return Listing(tuple(found), version_of(answer))
        query["continue"] = more


async def watch(
    calls: Calls, namespace: str, kind: Kind, *, labels: str, version: str, quiet_s: float
) -> AsyncGenerator[tuple[str, Body], None]:
    """See `Cluster.watch`."""
    query: dict[str, object] = {
        "watch": True,
        "allowWatchBookmarks": True,
        "resourceVersion": version,
        "timeoutSeconds": WATCH_S,
    }
    if labels:
        query["labelSelector"] = labels
    what = f"watch {kind.plural}"
    followed = calls.follow(
        kind.path(namespace), what=what, query=query, within_s=BEGIN_S, quiet_s=quiet_s
    )
    async with followed as lines:
        async for line in lines:
            event = parsed(line, what)
            if event["type"] == "ERROR":
                status = event["object"]
                code = int(status.get("code") or EXPIRED)
                raise error(code, json.dumps(status).encode(), what)
            del line  # nothing of an event is held until the next
            yield event.pop("type"), event.pop("object")


async def log(
    calls: Calls,
    namespace: str,
    pod: str,
    *,
    container: str,
    follow: bool,
    tail: int | None,
    previous: bool,
    since: datetime | None,
) -> AsyncGenerator[bytes, None]:
    """See `Cluster.logs`."""
    query: dict[str, object] = {"container": container, "timestamps": True}
    query |= {"follow": follow, "previous": previous}
    if tail is not None:
        query["tailLines"] = tail
    if since is not None:
        query["sinceTime"] = since.isoformat()
    followed = calls.follow(
        POD.path(namespace, pod, "log"),
        what=f"read the log of {pod}",
        query=query,
        within_s=BEGIN_S,
        quiet_s=0.0 if follow else LIST_S,
    )
    async with followed as lines:
        async for line in lines:
            yield line
