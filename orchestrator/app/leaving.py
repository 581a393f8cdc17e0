"""What a release of the chart leaves on a cluster that Helm knows nothing of: ended in order, then removed."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    LEASE,
    POD,
    SECRET,
    STATEFUL_SET,
    Kind,
    name_of,
)
from orchestrator.errors import ActionError, UnreachableError

Progress = Callable[[str], None]
DEADLINE_S: Final = 120.0
"""From asking plugins to end until their pods are gone; each has its own grace before it is killed."""
_MANAGED = "app.kubernetes.io/managed-by=ntp"


def remove(project: str, *, keep_data: bool, progress: Progress = lambda _: None) -> None:
    """Stop the controllers, then the plugins while the broker is there, then remove what they had.

    Args:
        project: the release's name.
        keep_data: leave storage, keys, and what the controller remembers.
        progress: called with one line at a time.

    Raises:
        ConfigError: there is no kubeconfig, and this is no pod.
        UnreachableError: the API server does not answer, or pods do not end in time.
        ActionError: it refuses.
    """
    asyncio.run(_remove(project, keep_data=keep_data, progress=progress))


async def _remove(project: str, *, keep_data: bool, progress: Progress) -> None:
    async with Cluster() as cluster:
        ours = f"app.kubernetes.io/part-of={project}"
        # A controller that lives would start again what is taken from it.
        controllers = f"{ours},app.kubernetes.io/component=controller"
        if await _rest(cluster, f"{project}-controller"):
            await _gone(cluster, controllers)
            progress("the controllers ended")
        plugins = f"{ours},{_MANAGED}"
        # What a workload owns goes with it: its policy, its files, its budget.
        ended = await _delete(cluster, STATEFUL_SET, plugins)
        await _gone(cluster, plugins)
        progress(f"{len(ended)} plugins ended")
        if keep_data:
            progress("storage, keys and memory stay")
            return
        state = f"app.kubernetes.io/instance={project},{_MANAGED},app.kubernetes.io/name=ntp"
        removed = 0
        for kind in (CLAIM, SECRET, CONFIG_MAP, LEASE):
            for labels in (plugins, state):
                removed += len(await _delete(cluster, kind, labels))
        progress(f"{removed} objects of storage, keys and memory removed")


async def _rest(cluster: Cluster, name: str) -> bool:
    try:
        await cluster.patch(DEPLOYMENT, name, {"spec": {"replicas": 0}}, subresource="scale")
    except ActionError as refused:
        if refused.reason == "NotFound":
            return False
        raise
    return True


async def _delete(cluster: Cluster, kind: Kind, labels: str) -> Sequence[str]:
    names = [name_of(each) for each in (await cluster.list(kind, labels)).items]
    for name in names:
        await cluster.delete(kind, name)
    return names


async def _gone(cluster: Cluster, labels: str) -> None:
    pods, changed = cluster.informer(POD, labels), asyncio.Event()
    try:
        with pods.listening(changed):
            async with asyncio.timeout(DEADLINE_S):
                while await pods.objects():
                    await changed.wait()
                    changed.clear()
    except TimeoutError as error:
        left = ", ".join(await pods.objects())
        raise UnreachableError(f"these pods do not end: {left}") from error
