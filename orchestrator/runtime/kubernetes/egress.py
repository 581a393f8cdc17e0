"""How plugins leave a cluster: the project's key, what the egress proxy is told of it, and each launch its token."""

import asyncio
import base64
import secrets
from dataclasses import replace

from orchestrator.cluster.kinds import CONFIG_MAP, SECRET, Body, Kind
from orchestrator.cluster.objects import Objects
from orchestrator.errors import ActionError, ConflictError
from orchestrator.launch import Launch
from orchestrator.runtime.kubernetes import identity, tokens
from orchestrator.runtime.kubernetes.objects import Ground
from orchestrator.runtime.kubernetes.serving import KEPT, Serving
from orchestrator.runtime.kubernetes.tokens import SEED_BYTES, Signer


class Egress:
    """`ground.proxy_address`: where the proxy is; its host is what the proxy's own objects are named after.

    `kept`: see `Serving`.
    """

    def __init__(self, project: str, cluster: Objects, ground: Ground, *, kept: int = KEPT) -> None:
        self._project = project
        self._cluster = cluster
        self._ground = ground
        self._proxy = ground.proxy_address.rpartition(":")[0]
        self._signer: Signer | None = None
        self._opening = asyncio.Lock()
        serving = self._body(CONFIG_MAP, f"{self._proxy}-serving")
        self._serving = Serving(project, cluster, serving, kept=kept)

    async def prepared(self, launch: Launch, *, new: bool) -> Launch:
        """Return the launch with what its pod needs to go where it may.

        `new`: there was no such instance, whatever its generation was before that.

        Raises:
            ActionError: it names hosts, and there is no proxy, or more than the proxy can be told.
        """
        bus = self._ground.broker is None
        goes = bool(tokens.hosts(launch, bus=bus))
        if not self._proxy:
            if goes:
                raise ActionError(
                    f"{launch.name} names hosts in network.egress, and this release has no egress proxy: "
                    "egressProxy.enabled=true in the chart's values, or take the hosts away",
                    reason="NoEgressProxy",
                    permanent=True,
                )
            return launch
        signer = await self._opened()
        issued = await self._serving.issued(launch.name, launch.generation, new=new) if goes else 0
        files = tokens.files(launch, self._ground.proxy_address, signer, issued=issued, bus=bus)
        return replace(launch, files=files)

    async def _opened(self) -> Signer:
        """Return the project's key, made once for all of its controllers, and known to the proxy."""
        async with self._opening:
            if self._signer is None:
                signer = await self._key()
                keys = {"keys": signer.line(self._project)}
                await self._cluster.apply(
                    CONFIG_MAP, self._body(CONFIG_MAP, f"{self._proxy}-keys", data=keys), force=True
                )
                self._signer = signer
        return self._signer

    async def _key(self) -> Signer:
        name = f"{self._proxy}-seed"
        found = await self._cluster.get(SECRET, name)
        if found is None:
            made = Signer(secrets.token_bytes(SEED_BYTES)).kept(self._project)
            data = {key: base64.b64encode(content).decode() for key, content in made.items()}
            body = self._body(SECRET, name, type="Opaque", data=data)
            try:
                found = await self._cluster.create(SECRET, body)
            except ConflictError:  # another controller was faster: its key is the project's
                found = await self._cluster.get(SECRET, name)
        try:
            return Signer(
                base64.b64decode(((found or {}).get("data") or {})["seed"], validate=True)
            )
        except (KeyError, ValueError) as error:
            words = (
                f"the Secret {name} holds no key of 32 bytes: delete it, and another one is made"
            )
            raise ActionError(words, reason="EgressKey", permanent=True) from error

    async def gone(self, name: str) -> None:
        """Have no token of an instance serve any more, until it is started again."""
        if self._proxy:
            await self._serving.gone(name)

    def _body(self, kind: Kind, name: str, **fields: object) -> Body:
        labels = {**identity.ours(self._project), identity.COMPONENT: "egress-proxy"}
        return kind.body(name, metadata={"labels": labels}, **fields)
