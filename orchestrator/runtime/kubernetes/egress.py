"""What the egress proxy of a release is told: whose tokens it trusts, and from which generation on each serves.

Two ConfigMaps that it mounts. Only what a plugin could get wrong is written: one that never declared a
host has no token that could be withdrawn.
"""

from collections.abc import Mapping

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP
from orchestrator.launch import Launch
from orchestrator.runtime.kubernetes import identity, tokens
from orchestrator.runtime.kubernetes.objects import Way

KEYS, SERVING = "egress-proxy-keys", "egress-proxy-serving"
_FILE = "keys"
TRUSTED = 2
"""Keys of a project: a new one, and that of the tokens which still run."""


class Egress:
    """`way`: to the proxy; None: there is none, and nothing is written."""

    def __init__(self, project: str, cluster: Cluster, way: Way | None) -> None:
        self._project = project
        self._cluster = cluster
        self._way = way
        self._serving: dict[str, str] | None = None

    async def serves(self, launch: Launch) -> None:
        """Have tokens of older generations refused: before its pod can show a new one."""
        if self._way is None:
            return
        known = await self._known(self._way)
        wanted = tokens.serving(launch)
        declares = bool(tokens.claims(launch).hosts)
        if wanted.items() <= known.items() or not (declares or known.keys() & wanted.keys()):
            return
        await self._write(wanted)

    async def gone(self, name: str) -> None:
        """Have every token of an instance refused."""
        if self._way is None:
            return
        key = f"{self._project}.{name}"
        if (await self._known(self._way)).get(key, tokens.REMOVED) != tokens.REMOVED:
            await self._write({key: tokens.REMOVED})

    async def _write(self, entries: Mapping[str, str]) -> None:
        await self._cluster.patch(CONFIG_MAP, self._name(SERVING), {"data": dict(entries)})
        assert self._serving is not None  # noqa: S101 - `_known` was asked
        self._serving |= entries

    async def _known(self, way: Way) -> Mapping[str, str]:
        if self._serving is None:
            await self._trust(way.signer.line(self._project))
            body = CONFIG_MAP.body(self._name(SERVING), metadata=self._metadata())
            written = await self._cluster.apply(CONFIG_MAP, body)
            self._serving = dict(written.get("data") or {})
        return self._serving

    async def _trust(self, line: str) -> None:
        before = await self._cluster.get(CONFIG_MAP, self._name(KEYS))
        lines = str(((before or {}).get("data") or {}).get(_FILE, "")).splitlines()
        kept = [line, *(each for each in lines if each != line)][:TRUSTED]
        body = CONFIG_MAP.body(
            self._name(KEYS), metadata=self._metadata(), data={_FILE: "\n".join(kept) + "\n"}
        )
        await self._cluster.apply(CONFIG_MAP, body)

    def _name(self, what: str) -> str:
        return f"{identity.object_name(self._project)}-{what}"

    def _metadata(self) -> dict[str, dict[str, str]]:
        return {
            "labels": {
                identity.NAME: "ntp",
                identity.INSTANCE: self._project,
                identity.COMPONENT: "egress-proxy",
                **identity.ours(self._project),
            }
        }
