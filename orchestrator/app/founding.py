"""Keys that are made once: of a NATS that is not ours, and for the egress proxy; into a folder, or into Secrets."""

import asyncio
import base64
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.bus import founding
from orchestrator.bus.keys import private_folder, write_private
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import SECRET
from orchestrator.errors import ActionError, ConflictError
from orchestrator.runtime.kubernetes.tokens import SEED_BYTES, Signer

SERVERS = 3


def into_folder(folder: Path, project: str, routes: Sequence[str] = ()) -> list[Path]:
    """Write the files of a new operator, for their owner alone; return them.

    `routes`: HOST:PORT of each server of a cluster, for the others.

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
    made = founding.found(project, routes)
    for name, content in made.items():
        write_private(folder / name, content, last=True)
    return [folder / name for name in made]


def into_secret(name: str, project: str, routes: Sequence[str] = ()) -> bool:
    """Create the Secret with all but the root's key; False: one of that name is there, and stays.

    It is whose word made it: no release removes it.

    In a pod it is of the pod's namespace. The right to create Secrets is all that it takes.

    Raises:
        ConfigError: there is no kubeconfig, and this is no pod.
        UnreachableError: the API server does not answer.
        ActionError: it refuses.
    """
    return asyncio.run(_create(name, project, "nats-keys", _kept(project, routes), by="ntpctl"))


def of_release(project: str, *, nats: str | None, egress: str | None) -> dict[str, bool]:
    """Create the Secrets of a release that are named; return which were made, and not there already.

    Raises as `into_secret`.
    """
    made = {}
    if nats is not None:
        keys = _kept(project, routes_of(project))
        made[nats] = asyncio.run(_create(nats, project, "nats-keys", keys))
    if egress is not None:
        made[egress] = egress_into_secret(egress, project)
    return made


def routes_of(release: str) -> list[str]:
    """Return where the servers of the chart find each other, should there be several (helm/ntp/templates/nats.yaml)."""
    return [f"{release}-nats-{number}.{release}-nats-servers:6222" for number in range(SERVERS)]


def egress_into_secret(name: str, project: str) -> bool:
    """Create the Secret with a key that signs what plugins show the egress proxy; as `into_secret`.

    A controller that finds none makes an equal one (orchestrator/runtime/kubernetes/egress.py).
    """
    made = Signer(secrets.token_bytes(SEED_BYTES)).kept(project)
    return asyncio.run(_create(name, project, "egress-proxy", made))


def _kept(project: str, routes: Sequence[str]) -> dict[str, bytes]:
    made = founding.found(project, routes)
    return {key: made[key] for key in made if key != founding.ROOT}


async def _create(
    name: str, project: str, component: str, made: Mapping[str, bytes], *, by: str = "ntp"
) -> bool:
    """`by`: what is managed by ntp goes with the release."""
    body = SECRET.body(
        name,
        metadata={
            "labels": {
                "app.kubernetes.io/name": "ntp",
                "app.kubernetes.io/instance": project,
                "app.kubernetes.io/component": component,
                "app.kubernetes.io/part-of": project,
                "app.kubernetes.io/managed-by": by,
            }
        },
        type="Opaque",
        data={key: base64.b64encode(content).decode() for key, content in made.items()},
    )
    async with Cluster() as cluster:
        try:
            await cluster.create(SECRET, body)
        except ConflictError:
            return False
    return True
