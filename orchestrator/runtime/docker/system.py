"""What serves all plugins of a project: a container without a network that they join, and the door.

Joining one empty network namespace starts a container in a third of the time that a network of its own
takes. Both containers outlive the controller; what they handed out works on without them.
"""

import os
import socket
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from ntp.confine import doors
from ntp.confine.doors import CONTROL, ORDER
from ntp.confine.policy import Bind, Policy
from orchestrator.errors import ActionError
from orchestrator.launch import Launch
from orchestrator.runtime import uids
from orchestrator.runtime.docker import identity
from orchestrator.runtime.docker.attendants import IDLE, QUIET, Attendants, idle
from orchestrator.runtime.docker.engine import AbsentError, Engine
from orchestrator.runtime.docker.hardening import MIB
from orchestrator.runtime.docker.places import Places, own, private, record, recorded

NETWORK, DOOR = "network", "door"
SYSTEM = ".system"
"""The run folder whose lock has one of several controllers make them."""
OPENS_S = 20.0
FOLDER = "/doors"


class System:
    """Makes them where they are missing, and makes them again where they ended."""

    def __init__(
        self, owner: str, project: str, engine: Engine, there: Places, attendants: Attendants
    ) -> None:
        self._owner = owner
        self._project = project
        self._engine = engine
        self._places = there
        self._attendants = attendants
        self._one_at_a_time = threading.Lock()
        self._known: dict[str, str] = {}
        self._serving: Launch | None = None

    def network(self, launch: Launch) -> str:
        """The id of the container whose empty network plugins join."""
        with self._one_at_a_time:
            return self._ensure(NETWORK, launch)

    def open_door(self, launch: Launch) -> None:
        """Have the door let this plugin to what its launch declares; return when it is open."""
        folder = self._places.door(launch.name)
        private(self._places.memory)
        self._places.doors.mkdir(mode=0o700, exist_ok=True)
        own(self._places.doors, self._door_uid())
        folder.mkdir(mode=0o711, exist_ok=True)
        own(folder, self._door_uid())
        order = {
            "allow": [str(host) for host in launch.egress],
            "private": [str(host) for host in launch.private],
            "detours": [f"{each.place}={each.to}" for each in launch.detours],
            "life": [launch.generation, launch.attempt],
        }
        for before in (folder, self._places.run(launch.name)):
            (before / doors.REFUSED).unlink(missing_ok=True)
        record(folder / ORDER, order)
        (folder / ORDER).chmod(0o644)
        with self._one_at_a_time:
            self._ensure(DOOR, launch)
        self._ask_to_look()

    def refused(self, name: str, *, ended: bool) -> Mapping[str, int]:
        """What the door refused to the life that runs, or that `ended` last: its door may be gone."""
        found = recorded(self._places.door(name) / doors.REFUSED)
        if ended and not isinstance(found, dict):
            found = recorded(self._places.run(name) / doors.REFUSED)
        return found if isinstance(found, dict) else {}

    def remember_refused(self, name: str) -> None:
        """Keep what was refused to a life that ended, perhaps for that: its door goes with it."""
        found = recorded(self._places.door(name) / doors.REFUSED)
        if isinstance(found, dict):
            record(self._places.run(name) / doors.REFUSED, found)

    def is_whole(self, listed: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether all that was made runs. `listed`: role -> what the engine lists of it."""
        return all(
            role in listed and listed[role]["State"] == "running" for role in list(self._known)
        )

    def repair(self, listed: Mapping[str, Mapping[str, Any]]) -> None:
        """Make again what ended; what it handed out before works on."""
        for role in list(self._known):
            each = listed.get(role)
            if self._serving is not None and (each is None or each["State"] != "running"):
                with self._one_at_a_time:
                    self._known.pop(role, None)
                    self._ensure(role, self._serving)

    def remove(self) -> None:
        going = [
            self._engine.later(partial(self._engine.remove, each["Id"]))
            for each in self._engine.containers([f"{identity.OWNER}={self._owner}"])
            if each["Labels"].get(identity.ROLE) in {NETWORK, DOOR}
        ]
        for each in going:
            each.result()
        self._known.clear()
        self._places.forget(SYSTEM, delete_data=False)

    def _ensure(self, role: str, launch: Launch) -> str:
        self._serving = launch
        known = self._known.get(role)
        if known is not None:
            return known
        with self._places.locked(SYSTEM):
            self._known[role] = self._made(role, launch)
        return self._known[role]

    def _made(self, role: str, launch: Launch) -> str:
        name = identity.container_name(self._owner, f"{role}-")
        try:
            there = self._engine.inspect(name)
        except AbsentError:
            there = None
        if there is not None and not there["State"]["Running"]:
            self._engine.remove(there["Id"])
            there = None
        if there is None:
            return self._make(role, name, launch)
        return str(there["Id"])

    def _make(self, role: str, name: str, launch: Launch) -> str:
        uid = self._door_uid()
        policy = idle(name, uid) if role == NETWORK else self._door_policy(name, uid)
        program = IDLE if role == NETWORK else ("-m", "ntp.confine.doors", FOLDER)
        made_of = {"image": self._attendants.image(launch), "program": program}
        return self._attendants.begin(
            launch,
            policy,
            program,
            labels=identity.system_labels(self._owner, self._project, role, made_of),
            network="none" if role == NETWORK else "host",
            settings={"Sysctls": QUIET} if role == NETWORK else {},
        )

    def _door_policy(self, name: str, uid: int) -> Policy:
        return Policy(
            name=name,
            memory=64 * MIB,
            cpu=0.5,
            pids=512,
            tmp=0,
            nofile=4096,
            uid=uid,
            gid=uid,
            binds=(Bind(str(self._places.doors), FOLDER, writable=True),),
            inet=True,
            oom_score_adj=0,
        )

    def _door_uid(self) -> int:
        if os.geteuid() != 0:
            return os.geteuid()
        return uids.find(self._owner, ".door", (), uids.uid_range())

    def _ask_to_look(self) -> None:
        deadline = time.monotonic() + OPENS_S
        path = self._places.doors / CONTROL
        while True:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
                    link.settimeout(OPENS_S)
                    link.connect(str(path))
                    link.send(b"look")
                    if link.recv(16) == b"done":
                        return
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise ActionError(
                        f"the door does not answer: {error}", reason="DoorUnreachable"
                    ) from error
            time.sleep(0.02)
