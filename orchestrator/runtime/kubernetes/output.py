"""What plugins print, as the node keeps it: of the life that runs, and of the one before it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from datetime import UTC, datetime

from ntp.confine.shim_output import LINE_BYTES, harmless
from orchestrator.cluster.cluster import Cluster
from orchestrator.errors import ActionError
from orchestrator.ports import LogLine
from orchestrator.runtime.kubernetes import pods
from orchestrator.runtime.kubernetes.identity import CONTAINER, pod_name
from orchestrator.runtime.kubernetes.look import Look

LOOK_S = 1.0
_NOT_YET = ("BadRequest", "NotFound")
"""The container waits to begin, or its pod is gone."""


async def read(
    cluster: Cluster, look: Look, name: str, *, follow: bool, tail: int
) -> AsyncGenerator[LogLine, None]:
    """Yield the last `tail` lines (negative: all that are kept), then, with `follow`, new ones.

    A cluster tells no stream: all is `stdout`. Following ends when the instance is removed, not when a
    life ends: the next one goes on.
    """
    seen = await look.of(name)
    recent: deque[LogLine] = deque(maxlen=tail if tail >= 0 else None)
    if seen.pod is not None:
        if pods.previous(seen.pod):
            recent.extend([line async for line in _lines(cluster, name, tail=tail, previous=True)])
        recent.extend([line async for line in _lines(cluster, name, tail=tail)])
    for line in recent:
        yield line
    last = recent[-1].at if recent else None
    # Without a line to go on after, what is said from now on is what is new.
    since = last if tail != 0 else datetime.now(UTC)
    while follow and (await look.of(name)).workload is not None:
        async for line in _lines(cluster, name, follow=True, since=since):
            if last is None or line.at > last:
                yield line
                last = since = line.at
        await _change(look, name)


async def _change(look: Look, name: str) -> None:
    with look.listening(name) as changed, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await changed.wait()


async def _lines(
    cluster: Cluster,
    name: str,
    *,
    tail: int = -1,
    previous: bool = False,
    follow: bool = False,
    since: datetime | None = None,
) -> AsyncIterator[LogLine]:
    found = cluster.logs(
        pod_name(name),
        container=CONTAINER,
        follow=follow,
        tail=tail if tail >= 0 else None,
        previous=previous,
        since=since,
    )
    try:
        async with contextlib.aclosing(found) as lines:
            async for line in lines:
                for each in parse(line):
                    yield each
    except ActionError as error:
        if error.reason not in _NOT_YET:
            raise


def parse(line: bytes) -> Iterator[LogLine]:
    """Read `time text`; a line that is too long becomes several, and what is no such line none."""
    stamp, _, text = line.partition(b" ")
    at = _time(stamp)
    if at is None:
        return
    for start in range(0, max(len(text), 1), LINE_BYTES):
        yield LogLine(at, "stdout", harmless(text[start : start + LINE_BYTES]))


def _time(stamp: bytes) -> datetime | None:
    whole, _, fraction = stamp.decode("ascii", "replace").removesuffix("Z").partition(".")
    try:
        return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}").replace(tzinfo=UTC)
    except ValueError:
        return None
