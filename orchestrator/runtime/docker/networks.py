"""Networks of a plugin's own, for what no door can serve: a bridge, a container that holds it, rules.

A plugin joins the network namespace of its holder, as plugins without one join the empty one that they
share. The holder is made without a network and is given its bridge only when the rules stand (`fence`),
so nothing ever runs there unfenced. Names are looked up by us and written into its hosts file: no name
server can be asked from inside. Blocking: called in the engine's threads.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import ActionError
from orchestrator.launch import Launch
from orchestrator.runtime import uids
from orchestrator.runtime.docker import fence, identity
from orchestrator.runtime.docker.attendants import IDLE, QUIET, Attendants, idle
from orchestrator.runtime.docker.bridges import Bridges
from orchestrator.runtime.docker.client import Json
from orchestrator.runtime.docker.engine import AbsentError, Engine
from orchestrator.runtime.docker.pins import LookUp, Pins, pinned
from orchestrator.runtime.docker.places import Places
from orchestrator.runtime.docker.tempo import Tempo

ROLE = "own-network"
OTHERS = "other hosts"
"""Among what was refused: all that is not declared, for only the kernel sees it."""


@dataclass
class _Fence:
    """What is known of the rules around one plugin."""

    digest: str
    seen_at: float
    refused: int = 0
    whole: bool = True


class Networks:
    """Makes networks of plugins' own, sees what became of them, and takes them away."""

    def __init__(
        self,
        owner: str,
        project: str,
        engine: Engine,
        there: Places,
        attendants: Attendants,
        *,
        tempo: Tempo,
        look_up: LookUp,
    ) -> None:
        self._tempo = tempo
        self._look_up = look_up
        self._owner = owner
        self._project = project
        self._engine = engine
        self._bridges = Bridges(owner, engine)
        self._places = there
        self._attendants = attendants
        self._fences: dict[str, _Fence] = {}

    def open(self, launch: Launch) -> str:
        """Return the id of the container whose network this plugin joins; its fence stands.

        Raises:
            ActionError: (NetworkRefused) a name leads nowhere, or what is asked cannot be enforced here.
        """
        fence.insist_possible(self._engine.url)
        engine_pid = self._engine_pid()
        pins = pinned(launch.own, fence.addresses_of(engine_pid), self._look_up)
        image = self._attendants.image(launch)
        made_of = {"image": image, "pins": [[str(host), *found] for host, found in pins]}
        holder = self._there(launch.name)
        if holder is not None and not _serves(holder, made_of):
            self._engine.remove(str(holder["Id"]))
            holder = None
        if holder is None:
            holder = self._make(launch, pins, made_of)
        self._fence(launch.name, int(holder["State"]["Pid"]), str(holder["Id"]), made_of)
        self._join(launch.name, holder, engine_pid)
        return str(holder["Id"])

    def lost(self, pid: int | None, listed: Json | None) -> str:
        """Say why a plugin that runs has lost its network for good, or nothing. `listed`: its holder."""
        if listed is None or listed["State"] == "removing":
            return "somebody removed the container that holds its network"
        if listed["State"] != "running":
            return f"the container that holds its network is {listed['State']}"
        if pid is None or fence.interfaces(pid) or not _attached(listed):
            return ""
        # Attached, and yet nothing is to be seen of it: was the holder started anew?
        with suppress(OSError, AbsentError):
            holder = int(self._engine.inspect(str(listed["Id"]))["State"]["Pid"])
            if holder and not fence.same(f"/proc/{pid}/ns/net", f"/proc/{holder}/ns/net"):
                return "the container that holds its network was started anew"
        return ""

    def drift(self, name: str, container: str, pid: int | None, listed: Json | None) -> str:
        """Say what somebody did to a network that can be mended in place, or nothing.

        `container` and `pid`: the plugin's, which sees it; `listed`: its holder.
        """
        if listed is None or pid is None:
            return ""
        wanted = self._bridges.name(name)
        attached = _attached(listed)
        if wanted not in attached:
            return f"its network: it was disconnected from {wanted}"
        if more := sorted(attached - {wanted}):
            return f"its network: it was connected to {', '.join(more)} too"
        return "" if self._stands(name, container, pid, listed) else "the rules around its network"

    def mend(self, name: str) -> None:
        """Put it back in place; what runs in it keeps running. Success where nothing is amiss."""
        holder = self._there(name)
        if holder is None or not holder["State"]["Running"]:
            return  # lost: its plugin is ended and started anew
        self._fence(name, int(holder["State"]["Pid"]), str(holder["Id"]), _made_of(_labels(holder)))
        self._join(name, holder, self._engine_pid())

    def refused(self, name: str) -> Mapping[str, int]:
        known = self._fences.get(name)
        return {OTHERS: known.refused} if known is not None and known.refused else {}

    def remove(self, name: str) -> None:
        """Take it away. Absent is success."""
        holder = self._there(name)
        if holder is not None:
            self._engine.remove(str(holder["Id"]))
        self._bridges.remove(name)
        self._fences.pop(name, None)

    def remove_all(self) -> None:
        for each in self._engine.containers([f"{identity.OWNER}={self._owner}"]):
            if each["Labels"].get(identity.ROLE) == ROLE:
                self._engine.remove(each["Id"])
        for name in self._bridges.names():
            self._bridges.remove(name)
        self._fences.clear()

    def _there(self, name: str) -> Json | None:
        try:
            found = self._engine.inspect(self._holder_name(name))
        except AbsentError:
            return None
        labels = _labels(found)
        if (labels.get(identity.OWNER), labels.get(identity.ROLE)) != (self._owner, ROLE):
            raise ActionError(
                f"the name {self._holder_name(name)} is taken by a container that is not ours "
                f"({found['Id'][:12]}): rename or remove it",
                reason="NameTaken",
            )
        return found

    def _holder_name(self, name: str) -> str:
        # An entry's name cannot end so: this one is nobody else's.
        return identity.container_name(self._owner, f"{name}-network-")

    def _make(self, launch: Launch, pins: Pins, made_of: Mapping[str, Any]) -> Json:
        uid = os.geteuid()
        if uid == 0:
            uid = uids.find(self._owner, ".network", (), uids.uid_range())
        hosts = [
            f"{host.host}:{each}" for host, found in pins for each in found if each != host.host
        ]
        labels = identity.system_labels(self._owner, self._project, ROLE, made_of)
        made = self._attendants.begin(
            launch,
            idle(self._holder_name(launch.name), uid),
            IDLE,
            labels={**labels, identity.INSTANCE: launch.name},
            network="none",
            settings={"ExtraHosts": hosts, "Sysctls": QUIET},
        )
        return self._engine.inspect(made)

    def _fence(self, name: str, pid: int, container: str, made_of: Mapping[str, Any]) -> None:
        allowed = sorted(
            {
                (address, int(host.rpartition(":")[2]))
                for host, *found in made_of["pins"]
                for address in found
            }
        )
        before = self._fences.get(name)
        with fence.namespace(pid, container) as within:
            written = fence.put_up(within, allowed)
        refused = before.refused if before is not None else 0
        self._fences[name] = _Fence(written, time.monotonic(), refused)

    def _join(self, name: str, holder: Json, engine_pid: int) -> None:
        """Attach the holder to its bridge, and to no other."""
        wanted = self._bridges.made(name)
        attached = set(holder["NetworkSettings"]["Networks"])
        for each in attached - {wanted.name}:
            self._bridges.detach(str(holder["Id"]), each)
        if self._bridges.needs_rules() and not fence.masquerades(engine_pid, wanted.subnet):
            raise fence.refused(
                'the engine runs with "iptables": false, so nothing gets out of it: take that out of '
                "its daemon.json, or take `mode: own` out and let the door hand out its connections"
            )
        if wanted.name not in attached:
            self._bridges.attach(str(holder["Id"]), wanted.name)

    def _stands(self, name: str, container: str, pid: int, listed: Json) -> bool:
        """Look at the rules from time to time: whether they are still ours, and what they refused."""
        known = self._fences.get(name)
        with suppress(ActionError):
            if known is None:
                # Made under a controller before us: what it wrote is written once more, and then known.
                self._fence(name, pid, container, _made_of(listed["Labels"]))
            elif time.monotonic() - known.seen_at > self._tempo.fence:
                with fence.namespace(pid, container) as within:
                    rules = fence.saved(within)
                known.refused = max(known.refused, fence.refusals(rules))
                known.whole = fence.digest(rules) == known.digest
                known.seen_at = time.monotonic()
        return known is None or known.whole

    def _engine_pid(self) -> int:
        pid = self._engine.pid()
        if pid is None:
            raise fence.refused(
                "the engine does not run on this machine: its rules are out of reach"
            )
        return pid


def _serves(holder: Json, made_of: Mapping[str, Any]) -> bool:
    return bool(holder["State"]["Running"]) and _made_of(_labels(holder)) == made_of


def _labels(holder: Json) -> Mapping[str, str]:
    return holder["Config"].get("Labels") or {}


def _made_of(labels: Mapping[str, str]) -> Mapping[str, Any]:
    with suppress(ValueError):
        found = json.loads(labels.get(identity.MADE_OF, ""))
        if isinstance(found, dict) and "pins" in found:
            return found
    return {"pins": []}


def _attached(listed: Json) -> set[str]:
    found = (listed.get("NetworkSettings") or {}).get("Networks") or {}
    return set(found) - {"none"}
