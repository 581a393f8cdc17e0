"""The engine's networks that are ours: one bridge an instance, told by name and labels. Blocking."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.errors import ActionError, ConflictError
from orchestrator.runtime.docker import fence, identity
from orchestrator.runtime.docker.client import Json
from orchestrator.runtime.docker.engine import AbsentError, Engine

OPTIONS = {
    "com.docker.network.bridge.enable_icc": "false",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
}
_NO_POOL = "non-overlapping"


@dataclass(frozen=True, slots=True)
class Bridge:
    name: str
    subnet: str


class Bridges:
    """Bridges of one project; nobody but the holder of an instance's network is ever attached."""

    def __init__(self, owner: str, engine: Engine) -> None:
        self._owner = owner
        self._engine = engine

    def name(self, instance: str) -> str:
        # Not that of a container: `docker inspect` takes any name.
        return identity.container_name(self._owner, f"{instance}-bridge-")

    def made(self, instance: str) -> Bridge:
        """Find the bridge of an instance, or make it.

        Raises:
            ActionError: (NetworkRefused) somebody else's has its name, or no subnet is left.
        """
        name = self.name(instance)
        found = self._inspected(name)
        if found is None:
            with suppress(ConflictError):
                self._make(instance, name)
            found = self._inspected(name)
        if found is None:
            raise fence.refused(f"{name} was made, and is not there", permanent=False)
        if (found.get("Labels") or {}).get(identity.OWNER) != self._owner:
            raise fence.refused(
                f"the name {name} is taken by a network that is not ours: remove it "
                f"(`docker network rm {name}`)"
            )
        return Bridge(name, str(found["IPAM"]["Config"][0]["Subnet"]))

    def attach(self, container: str, name: str) -> None:
        self._engine.ask(
            f"connection to network {name}",
            lambda client: client.connect_container_to_network(container, name),
        )

    def detach(self, container: str, name: str) -> None:
        with suppress(AbsentError):
            self._engine.ask(
                f"disconnection from network {name}",
                lambda client: client.disconnect_container_from_network(
                    container, name, force=True
                ),
            )

    def names(self) -> Sequence[str]:
        """Instances that have one."""
        return [(each.get("Labels") or {}).get(identity.INSTANCE, "") for each in self.listed()]

    def listed(self) -> Sequence[Json]:
        found: Sequence[Json] = self._engine.ask(
            "the list of networks",
            lambda client: client.networks(
                filters={"label": [f"{identity.OWNER}={self._owner}"]},
            ),
        )
        return found

    def remove(self, instance: str) -> None:
        """With whatever somebody else attached to it. Absent is success."""
        for each in self.listed():
            if (each.get("Labels") or {}).get(identity.INSTANCE) != instance:
                continue
            self._remove(str(each["Id"]), str(each["Name"]))

    def needs_rules(self) -> bool:
        """Whether what lets a bridge out is to be looked for in iptables: an engine may write nftables' own.

        One of 28 and newer says "iptables", also where it is told to write none.
        """
        driver = str((self._engine.info().get("FirewallBackend") or {}).get("Driver") or "iptables")
        return driver.startswith("iptables")

    def _remove(self, network: str, name: str) -> None:
        whole = self._inspected(network) or {}
        for container in whole.get("Containers") or {}:
            self.detach(str(container), network)
        with suppress(AbsentError):
            self._engine.ask(
                f"removal of network {name}", lambda client: client.remove_network(network)
            )

    def _make(self, instance: str, name: str) -> None:
        labels = {identity.OWNER: self._owner, identity.INSTANCE: instance}
        try:
            self._engine.ask(
                f"creation of network {name}",
                lambda client: client.create_network(
                    name,
                    driver="bridge",
                    options=OPTIONS,
                    labels=labels,
                    check_duplicate=True,
                    enable_ipv6=False,
                ),
            )
        except ActionError as error:
            if _NO_POOL not in str(error):
                raise
            raise fence.refused(
                "the engine has no subnet left for it (about thirty by default): give it more with "
                '"default-address-pools" in its daemon.json, or take `mode: own` from entries that '
                "the door can serve",
                permanent=False,
            ) from error

    def _inspected(self, name: str) -> Json | None:
        try:
            found: Json = self._engine.ask(
                f"network {name}", lambda client: client.inspect_network(name)
            )
        except AbsentError:
            return None
        return found
