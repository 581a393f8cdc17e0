"""What serves all plugins of a project: a container without a network that they join, and the door.

Joining one empty network namespace starts a container in a third of the time that a network of its own
takes. Both containers outlive the controller; what they handed out works on without them.
"""

import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ntp.confine import doors
from ntp.confine.doors import CONTROL, ORDER
from ntp.confine.policy import Bind, Policy
from orchestrator.errors import ActionError
from orchestrator.ports import Launch
from orchestrator.runtime import uids
from orchestrator.runtime.docker import hardening, identity
from orchestrator.runtime.docker.engine import AbsentError, Engine
from orchestrator.runtime.docker.hardening import MIB, Container
from orchestrator.runtime.docker.images import Images
from orchestrator.runtime.docker.places import Places, own, private, record, recorded
from orchestrator.runtime.view import environment

NETWORK, DOOR = "network", "door"
SYSTEM = ".system"
"""The run folder whose lock has one of several controllers make them."""
SLEEP = "import signal; signal.sigwait({signal.SIGTERM})"
OPENS_S = 20.0
FOLDER = "/doors"


class System:
    """Makes them where they are missing, and makes them again where they ended."""

    def __init__(
        self, owner: str, project: str, engine: Engine, there: Places, images: Images
    ) -> None:
        self._owner = owner
        self._project = project
        self._engine = engine
        self._places = there
        self._images = images
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

    def refused(self, name: str) -> Mapping[str, int]:
        """What the door refused to the life that runs, or that ended last."""
        for folder in (self._places.door(name), self._places.run(name)):
            found = recorded(folder / doors.REFUSED)
            if isinstance(found, dict):
                return found
        return {}

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
        for each in self._engine.containers([f"{identity.OWNER}={self._owner}"]):
            if each["Labels"].get(identity.ROLE) in {NETWORK, DOOR}:
                self._engine.remove(each["Id"])
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
        given = launch.environment
        if given is None:
            raise ActionError(f"{launch.name} is no plugin", reason="ImageMissing", permanent=True)
        given = given.serving or given
        launch = replace(launch, environment=given)
        image = self._images.id_of(launch)
        uid = self._door_uid()
        binds = (Bind(str(self._places.doors), FOLDER, writable=True),) if role == DOOR else ()
        policy = Policy(
            name=name,
            memory=(16 if role == NETWORK else 64) * MIB,
            cpu=0.5,
            pids=4 if role == NETWORK else 512,
            tmp=0,
            nofile=4096,
            uid=uid,
            gid=uid,
            binds=binds,
            inet=role == DOOR,
            oom_score_adj=0,
        )
        program = ["-c", SLEEP] if role == NETWORK else ["-m", "ntp.confine.doors", FOLDER]
        container = Container(
            image=image,
            argv=[str(given.python), "-S", "-s", "-P", *program],
            environment=environment(launch, tmp="/tmp", files="/nowhere"),  # noqa: S108
            labels=identity.system_labels(
                self._owner, self._project, role, {"image": image, "program": program}
            ),
            network="none" if role == NETWORK else "host",
        )
        body = hardening.body(
            policy,
            container,
            self._images.config(image),
            v2=self._engine.has_v2(),
        )
        if role == NETWORK:
            body["HostConfig"]["Sysctls"] = {
                "net.ipv4.ping_group_range": "1 0",
                "net.ipv6.conf.all.disable_ipv6": "1",
            }
        try:
            made = self._engine.create(name, body)
        except AbsentError:
            self._images.forget(image)  # somebody removed it: the next try has it loaded
            raise
        self._engine.start(made)
        return made

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
