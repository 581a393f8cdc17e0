"""What the egress proxy of a release is told: from which generation on the token of a plugin serves.

A ConfigMap that it mounts. One that never declared a host has no token that could be withdrawn, and is
not in it. Whose tokens it trusts is given to it at its start, by the chart.
"""

from collections.abc import Mapping

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP
from orchestrator.launch import Launch
from orchestrator.runtime.kubernetes import identity, tokens
from orchestrator.runtime.kubernetes.objects import Way

SERVING = "egress-proxy-serving"


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
        known = await self._known()
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
        if (await self._known()).get(key, tokens.REMOVED) != tokens.REMOVED:
            await self._write({key: tokens.REMOVED})

    async def _write(self, entries: Mapping[str, str]) -> None:
        await self._cluster.patch(CONFIG_MAP, self._name, {"data": dict(entries)})
        assert self._serving is not None  # noqa: S101 - `_known` was asked
        self._serving |= entries

    async def _known(self) -> Mapping[str, str]:
        if self._serving is None:
            labels = {
                identity.NAME: "ntp",
                identity.INSTANCE: self._project,
                identity.COMPONENT: "egress-proxy",
                **identity.ours(self._project),
            }
            body = CONFIG_MAP.body(self._name, metadata={"labels": labels})
            written = await self._cluster.apply(CONFIG_MAP, body)
            self._serving = dict(written.get("data") or {})
        return self._serving

    @property
    def _name(self) -> str:
        return f"{identity.object_name(self._project)}-{SERVING}"
