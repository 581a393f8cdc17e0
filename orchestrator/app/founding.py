"""The keys of a NATS that is not ours, made once: into a folder, or into a Secret of the cluster."""

import asyncio
from pathlib import Path

from orchestrator.bus import founding
from orchestrator.bus.keys import private_folder, write_private
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import SECRET
from orchestrator.errors import ActionError, ConflictError


def into_folder(folder: Path, project: str) -> list[Path]:
    """Write the files of a new operator, for their owner alone; return them.

    Raises:
        ActionError: some of them are there, or the folder cannot be made.
    """
    there = [name for name in founding.FILES if (folder / name).exists()]
    if there:
        raise ActionError(
            f"{folder} has keys already: {', '.join(there)}; a NATS that knows them is of no use without them\n"
            "  fix: name another folder, or take these away yourself",
            reason="KeysExist",
        )
    try:
        private_folder(folder)
    except OSError as error:
        raise ActionError(
            f"{folder} cannot be made: {error.strerror}", reason="KeysFolder"
        ) from error
    made = founding.found(project)
    for name, content in made.items():
        write_private(folder / name, content, last=True)
    return [folder / name for name in made]


def into_secret(name: str, project: str) -> bool:
    """Create the Secret with all but the root's key; False: one of that name is there, and stays.

    In a pod it is of the pod's namespace. The right to create Secrets is all that it takes.

    Raises:
        ConfigError: there is no kubeconfig, and this is no pod.
        UnreachableError: the API server does not answer.
        ActionError: it refuses.
    """
    return asyncio.run(_create(name, project))


async def _create(name: str, project: str) -> bool:
    made = {key: text.decode() for key, text in founding.found(project).items()}
    del made[founding.ROOT]
    body = SECRET.body(
        name,
        metadata={
            "labels": {
                "app.kubernetes.io/name": "ntp",
                "app.kubernetes.io/instance": project,
                "app.kubernetes.io/component": "nats-keys",
                "app.kubernetes.io/part-of": project,
                "app.kubernetes.io/managed-by": "ntp",
            }
        },
        type="Opaque",
        stringData=made,
    )
    async with Cluster() as cluster:
        try:
            await cluster.create(SECRET, body)
        except ConflictError:
            return False
    return True
