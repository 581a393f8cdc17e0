"""Every instance of one project, from one listing of the engine. Blocking: called in its threads.

What an engine lists says no more than the state; the rest is asked once and remembered until that
changes or an event says that something may have. What a plugin uses is read from the kernel.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ntp.confine import cgroup, shim_storage, verify
from ntp.confine.cgroup import Group
from ntp.confine.limits import allow_burst
from ntp.confine.policy import Policy
from orchestrator.decide.state import Instance, Isolation, Phase, Usage
from orchestrator.errors import ActionError
from orchestrator.runtime.docker import ends, floods, hardening, identity, networks, places
from orchestrator.runtime.docker.births import is_ours
from orchestrator.runtime.docker.client import Json
from orchestrator.runtime.docker.engine import AbsentError, Engine
from orchestrator.runtime.docker.identity import Label
from orchestrator.runtime.docker.life import Life, Picture
from orchestrator.runtime.docker.networks import Networks
from orchestrator.runtime.docker.places import Places
from orchestrator.runtime.docker.system import System
from orchestrator.runtime.docker.tempo import Tempo
from orchestrator.runtime.view import NOFILE

OWN_NETWORK = "a network of its own, and in it only the hosts that its entry declares"
USAGES_A_PASS = 100
PHASES = {
    "created": Phase.CREATED,
    "running": Phase.RUNNING,
    "paused": Phase.RUNNING,
    "restarting": Phase.RUNNING,
    "removing": Phase.EXITED,
    "exited": Phase.EXITED,
    "dead": Phase.EXITED,
}


class Look:
    def __init__(
        self,
        owner: str,
        engine: Engine,
        there: Places,
        system: System,
        own: Networks,
        *,
        tempo: Tempo,
    ) -> None:
        self._owner = owner
        self._engine = engine
        self._places = there
        self._system = system
        self._tempo = tempo
        self._networks = own
        self._lives: dict[str, Life] = {}
        self._looking = threading.Lock()
        self._marking = threading.Lock()
        self._stale: set[str] = set()
        self._all_stale = False

    def may_have_changed(self, container: str | None = None) -> None:
        """The next look asks anew for what it remembers: of one container, or of all."""
        with self._marking:
            if container is None:
                self._all_stale = True
            else:
                self._stale.add(container)

    def life(self, name: str) -> tuple[str, Life] | None:
        """The container of an instance and what was last seen of it."""
        with self._looking:
            for container, life in self._lives.items():
                if life.label.name == name:
                    return container, life
        return None

    def ended(self, name: str) -> tuple[str, Label] | None:
        """The only container of an instance, if it had ended when it was last seen."""
        seen = self._lives  # of the last look: the one that is on its way is not waited for
        lives = [each for each in seen.items() if each[1].label.name == name]
        if len(lives) != 1 or lives[0][1].exit is None:
            return None
        return lives[0][0], lives[0][1].label

    def now(self) -> Picture:
        with self._looking:
            with self._marking:
                stale, self._stale = self._stale, set()
                everything, self._all_stale = self._all_stale, False
            for container, life in self._lives.items():
                if life.exit is None and (everything or container in stale):
                    life.state = ""
            picture = Picture()
            lives: dict[str, Life] = {}
            for each in self._engine.containers([f"{identity.OWNER}={self._owner}"]):
                role = each["Labels"].get(identity.ROLE, "")
                if role == networks.ROLE:
                    picture.networks[each["Labels"].get(identity.INSTANCE, "")] = each
                    continue
                if role in {"network", "door"}:
                    picture.system[role] = each
                    continue
                # Labels never change, and what was ours stays ours.
                known = self._lives.get(each["Id"])
                label = known.label if known else identity.read(each["Labels"])
                if label is None or not (known or is_ours(each, label, self._owner, self._places)):
                    picture.strangers.append(str(each["Id"]))
                    continue
                with suppress(AbsentError):
                    doubted = everything or each["Id"] in stale
                    lives[each["Id"]] = self._life(each, label, doubted=doubted)
            self._lives = lives
            self._measure()
            for container, life in lives.items():
                name = life.label.name
                holder = picture.networks.get(name) if life.label.own else None
                instance = self._instance(container, life, holder)
                picture.instances[name] = instance
                if life.label.own and instance.phase is Phase.RUNNING and life.breach is None:
                    why = self._networks.lost(life.pid, holder)
                    life.breach = ("NetworkLost", why) if why else None
                if life.breach is not None:
                    picture.breaches[name] = life.breach
            using = {life.label.name for life in lives.values() if life.label.own}
            picture.unused += sorted(picture.networks.keys() - using)
            return picture

    def _life(self, each: Json, label: Label, *, doubted: bool) -> Life:
        known = self._lives.get(each["Id"])
        if known is not None and known.state == each["State"]:
            return known
        if each["State"] == "created" and not doubted:
            # While it is being started an engine answers no question about it, and we would be blind.
            return Life(label, "created", {"State": {"Pid": 0}})
        # What is listed may be older than the event that had us look; this is not.
        facts = self._engine.inspect(each["Id"])
        life = Life(label, str(facts["State"]["Status"]), facts)
        if known is not None:
            life.peak, life.refused = known.peak, known.refused
            if known.pid == life.pid:
                life.isolation, life.usage = known.isolation, known.usage
                life.read_at, life.flow = known.read_at, known.flow
        if PHASES.get(life.state) is Phase.EXITED:
            folder = self._places.run(label.name)
            life.exit = ends.of(
                self._engine, folder, self._places.launch(label.name), each["Id"], life
            )
            if not self._cleared(label.name, each["Id"]):
                life.state = ""  # the next look tries again
        elif life.pid is not None:
            life.group = cgroup.of_process(life.pid, label.name)
            if life.group is not None:
                # An engine has no word for it. Before anything else is asked: it is for the start.
                policy = policy_of(label, self._limits(label))
                allow_burst(dict(life.group.folders), policy)
        return life

    def _cleared(self, name: str, container: str) -> bool:
        """Take away what a life that ended was given, unless a start or a removal is under way.

        Whoever starts its next life takes the record of this one away before he lays anything out.
        """
        record = self._places.run(name) / places.CONTAINER
        try:
            if places.recorded(record) == container:
                with self._places.locked(name, within_s=0):
                    if places.recorded(record) == container:
                        self._system.remember_refused(name)
                        self._places.clear_launch(name)
        except ActionError:
            return False
        return True

    def _measure(self) -> None:
        """Read figures of use, the oldest first, for some of those that run."""
        due = time.monotonic() - self._tempo.usage
        running = [
            life for life in self._lives.values() if life.exit is None and life.group is not None
        ]
        for life in sorted(running, key=lambda life: life.read_at)[:USAGES_A_PASS]:
            if life.read_at > due:
                return
            group = life.group
            if group is None:
                continue
            usage = Usage(**asdict(group.usage()))
            life.usage = replace(usage, at=datetime.now(UTC))
            life.read_at = time.monotonic()
            life.peak = max(life.peak, usage.memory_peak)
            life.refused = max(life.refused, usage.pids_refused)
            life.flow = floods.flow(life.pid, life.flow, life.read_at) if life.pid else None
            life.breach = self._breach(life, group)

    def _breach(self, life: Life, group: Group) -> tuple[str, str] | None:
        if group.oom_kills():
            return "OOMKilled", "a process of it was killed for want of memory"
        if life.label.storage:
            used, complete = shim_storage.used(str(self._places.storage(life.label.name)))
            if used > life.label.storage or not complete:
                found = f"{used} bytes" if complete else f"more than {shim_storage.ENTRIES} files"
                cause = (
                    f"its storage holds {found}, the quota is {life.label.storage} bytes: raise "
                    "`storage`, or let it write less"
                )
                return "StorageFull", cause
        return floods.breach(life.flow, self._tempo.flood)

    def _instance(self, container: str, life: Life, holder: Json | None) -> Instance:
        label, folder = life.label, self._places.run(life.label.name)
        phase = PHASES.get(life.state, Phase.EXITED)
        if phase is Phase.RUNNING and _is_told_to_stop(folder):
            phase = Phase.STOPPING
        if life.isolation is None and phase is Phase.RUNNING:
            life.isolation = self._isolation(life)
        started = str(life.facts["State"].get("StartedAt", ""))
        return Instance(
            name=label.name,
            generation=label.generation,
            attempt=label.attempt,
            hashes=label.hashes,
            phase=phase,
            id=container,
            pid=life.pid,
            created=label.created,
            started=ends.moment(started),
            exit=life.exit,
            isolation=life.isolation,
            usage=life.usage,
            refused={
                **self._system.refused(label.name, ended=phase is Phase.EXITED),
                **self._networks.refused(label.name),
            },
            drift=self._drift(container, life, holder) if phase is Phase.RUNNING else "",
        )

    def _drift(self, container: str, life: Life, holder: Json | None) -> str:
        """Say what of it is not as we set it; `docker update` is an event, so it is seen."""
        if life.drift is None:
            life.drift = self._limits_drift(life)
        found = [f"its limits: {life.drift}"] if life.drift else []
        if life.label.own and (
            other := self._networks.drift(life.label.name, container, life.pid, holder)
        ):
            found.append(other)
        return "; ".join(found)

    def _limits_drift(self, life: Life) -> str:
        given = life.facts["HostConfig"]
        wanted = hardening.limits(policy_of(life.label, self._limits(life.label)))
        return ", ".join(
            f"{name} {given.get(name)}, not {value}"
            for name, value in wanted.items()
            if given.get(name) != value
        )

    def _isolation(self, life: Life) -> Isolation | None:
        if life.pid is None or life.label.kind == "broker":
            return None
        found = verify.isolation(
            life.pid, policy_of(life.label, self._limits(life.label)), life.group
        )
        if found is None:
            return None
        tier, active, missing = found
        if life.label.own:
            active = tuple(OWN_NETWORK if each == verify.NO_NETWORK else each for each in active)
        if not self._places.in_memory:
            lie = (
                f"launch files in memory only: there is no tmpfs; they lie in {self._places.memory}"
            )
            missing = (*missing, lie)
        return Isolation(tier, active, missing)

    def _limits(self, label: Label) -> Mapping[str, Any]:
        recorded = places.recorded(self._places.run(label.name) / places.LIMITS)
        return recorded if isinstance(recorded, dict) else asdict(label.resources)


def _is_told_to_stop(folder: Path) -> bool:
    """Whether the controller has it stopped; what ends it for a breach is told when it has ended."""
    told = places.recorded(folder / places.STOPPING)
    return isinstance(told, dict) and told.get("reason") == "Stopped"


def policy_of(label: Label, limits: Mapping[str, Any]) -> Policy:
    """The policy that a container with this label was made from, as far as it can be looked at."""
    return Policy(
        name=label.name, nofile=NOFILE, uid=label.uid, gid=label.uid, inet=label.inet, **limits
    )
