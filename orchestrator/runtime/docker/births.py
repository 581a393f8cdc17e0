"""Starts the lives of one project as containers. Blocking: called in the engine's threads."""

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ntp.confine.policy import Bind, Policy
from ntp.contract.launch import FOLDER, TERMINATION_FILE
from orchestrator.errors import ActionError, ConflictError
from orchestrator.launch import Launch
from orchestrator.runtime import uids
from orchestrator.runtime.docker import hardening, identity, places
from orchestrator.runtime.docker.engine import AbsentError, Engine
from orchestrator.runtime.docker.hardening import Container
from orchestrator.runtime.docker.identity import Label
from orchestrator.runtime.docker.images import Images
from orchestrator.runtime.docker.networks import Networks
from orchestrator.runtime.docker.places import Places
from orchestrator.runtime.docker.system import System
from orchestrator.runtime.docker.tidy import bury, forget_life
from orchestrator.runtime.view import CODE, NOFILE, STORAGE, environment

TRIES = 5


class Births:
    """Makes and starts containers, or adopts those that run as wanted."""

    def __init__(
        self,
        owner: str,
        engine: Engine,
        there: Places,
        system: System,
        *,
        networks: Networks,
        images: Images,
    ) -> None:
        self._owner = owner
        self._engine = engine
        self._places = there
        self._system = system
        self._networks = networks
        self._finding_uid = threading.Lock()
        self._uids: dict[str, int] | None = None
        self._images = images

    def begin(self, launch: Launch) -> None:
        """See the port. Whoever dies in here leaves a container that was not started, or one to adopt."""
        if launch.environment is not None and not launch.sandbox:
            raise ActionError(
                f"{launch.name} asks to run without a sandbox, and a container is one: take "
                "PLUGIN_SANDBOX=false away, or set NTP_RUNTIME=process",
                reason="SandboxRequired",
                permanent=True,
            )
        with self._places.locked(launch.name) as folder:
            # Of most that start nothing is there: then the name itself says whether somebody runs.
            before = (folder / places.CONTAINER, self._places.launch(launch.name))
            look = any(each.exists() for each in before)
            for _ in range(TRIES):
                found = self.found(launch.name) if look else []
                if self._adopted(launch, found):
                    return
                for label, listed in found:
                    bury(self._engine, folder, label, listed)
                if look:  # also of one that somebody else removed
                    forget_life(folder)
                try:
                    self._make(launch, folder)
                except ConflictError:
                    self._insist_ours(launch.name)
                    look = True
                    continue
                return
        raise ActionError(f"{launch.name}: somebody else makes it again and again", reason="Busy")

    def found(self, name: str) -> list[tuple[Label, Mapping[str, Any]]]:
        """Containers of this instance that are proven to be ours, as an engine lists them.

        Ours has the id that was written down or, before that, our name: both are asked for, since a
        listing costs an engine more the more containers it has.
        """
        recorded = places.recorded(self._places.run(name) / places.CONTAINER)
        ours = identity.container_name(self._owner, name)
        there: dict[str, Mapping[str, Any]] = {}
        for wanted in (recorded, ours):
            if wanted is None or any(f"/{ours}" in each["Names"] for each in there.values()):
                continue
            with suppress(AbsentError):
                each = _as_listed(self._engine.inspect(str(wanted)))
                there[each["Id"]] = each
        return [
            (label, each)
            for each in there.values()
            if each["Labels"].get(identity.OWNER) == self._owner
            and (label := identity.read(each["Labels"])) is not None
            and label.name == name
            and is_ours(each, label, self._owner, self._places)
        ]

    def _adopted(self, launch: Launch, found: Sequence[tuple[Label, Mapping[str, Any]]]) -> bool:
        for label, each in found:
            if each["State"] in {"running", "paused", "restarting"}:
                if (label.generation, label.attempt) != (launch.generation, launch.attempt):
                    raise ConflictError(
                        f"{launch.name} runs as generation {label.generation}, attempt "
                        f"{label.attempt}: stop it before starting generation "
                        f"{launch.generation}, attempt {launch.attempt}"
                    )
                return True
            if label.epoch > launch.epoch:
                raise ConflictError(
                    f"{launch.name} was made by a newer controller (epoch {label.epoch}, ours is "
                    f"{launch.epoch}): this one must not act any more"
                )
        return False

    def _make(self, launch: Launch, folder: Path) -> None:
        uid = self._uid(launch.name)
        label = identity.label_of(launch, uid)
        self._places.lay_out(launch.name, launch.files, uid)
        policy = self._policy(launch, uid)
        container = self._container(launch, label)
        body = hardening.body(
            policy,
            container,
            self._images.config(container.image),
            v2=self._engine.has_v2(),
        )
        try:
            made = self._engine.create(identity.container_name(self._owner, launch.name), body)
        except AbsentError as error:
            # Somebody removed the image: the next try has it loaded.
            self._images.forget(container.image)
            raise ConflictError(str(error)) from error
        places.record(folder / places.CONTAINER, made)
        try:
            self._engine.start(made)
        except ActionError as error:
            self._engine.remove(made)
            raise ActionError(f"{launch.name}: {error}", reason="StartRefused") from error

    def _policy(self, launch: Launch, uid: int) -> Policy:
        name = f"{self._owner}.{launch.name}"
        limits = launch.resources
        folder = self._places.launch(launch.name)
        binds = [
            Bind(str(folder), FOLDER),
            Bind(f"{folder}/{TERMINATION_FILE}", f"{FOLDER}/{TERMINATION_FILE}", writable=True),
        ]
        if launch.egress:
            self._system.open_door(launch)
            binds.append(Bind(str(self._places.door(launch.name)), places.DOOR_FOLDER))
        if launch.code is not None:
            binds.append(Bind(str(launch.code), CODE))
        if launch.environment is not None and launch.storage:
            kept = self._places.make_storage(launch.name, uid)
            binds.append(Bind(str(kept), STORAGE, writable=True))
        if launch.home is not None:
            _hand_over(launch.home, uid)
            binds.append(Bind(str(launch.home), str(launch.home), writable=True))
        return Policy(
            name=name,
            memory=limits.memory,
            cpu=limits.cpu,
            pids=limits.pids,
            tmp=limits.tmp,
            # The broker has a descriptor for each connection: what the engine gives, which may be less.
            nofile=NOFILE if launch.environment is not None else 0,
            uid=uid,
            gid=uid,
            binds=tuple(binds),
            inet=launch.inet or launch.environment is None,
            fsize=max(launch.storage, limits.tmp) or None if launch.environment else None,
        )

    def _container(self, launch: Launch, label: Label) -> Container:
        labels = identity.labels(self._owner, label)
        if launch.environment is None:
            return Container(
                image=self._images.of_program(Path(launch.argv[0])),
                argv=launch.argv,
                environment={"HOME": "/tmp"},  # noqa: S108
                labels=labels,
                network="host",  # the broker listens on loopback, as it does without an engine
            )
        return Container(
            image=self._images.id_of(launch),
            argv=[str(launch.environment.python), *launch.argv],
            environment=environment(launch, tmp="/tmp", files=FOLDER),  # noqa: S108
            labels=labels,
            network=f"container:{self._namespace(launch)}",
            datagrams=bool(launch.own),
        )

    def _namespace(self, launch: Launch) -> str:
        """The container whose network it joins: its own, or the empty one that all others share."""
        return self._networks.open(launch) if launch.own else self._system.network(launch)

    def _insist_ours(self, name: str) -> None:
        """Raise ActionError where a container that is not ours sits on our name."""
        wanted = identity.container_name(self._owner, name)
        try:
            there = self._engine.inspect(wanted)
        except AbsentError:
            return
        if (there["Config"].get("Labels") or {}).get(identity.OWNER) != self._owner:
            raise ActionError(
                f"the name {wanted} is taken by a container that is not ours ({there['Id'][:12]}): "
                "rename or remove it",
                reason="NameTaken",
            )

    def _uid(self, name: str) -> int:
        if os.geteuid() != 0:
            return os.geteuid()  # files for another user can be made by root only
        with self._finding_uid:
            if self._uids is None:
                self._uids = dict(self._places.stored())
                for each in self._engine.containers([f"{identity.OWNER}={self._owner}"]):
                    label = identity.read(each["Labels"])
                    if label is not None:
                        self._uids[label.name] = label.uid
            taken = {uid for other, uid in self._uids.items() if other != name}
            found = uids.find(self._owner, name, taken, uids.uid_range())
            self._uids[name] = found
            return found


def is_ours(listed: Mapping[str, Any], label: Label, owner: str, there: Places) -> bool:
    """Whether a listed container with our labels is no copy that somebody else made."""
    recorded = places.recorded(there.run(label.name) / places.CONTAINER)
    if recorded is not None:
        return bool(recorded == listed["Id"]) or (
            _named(listed, owner, label) and listed["State"] == "created"
        )
    return _named(listed, owner, label)


def _as_listed(inspected: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Id": str(inspected["Id"]),
        "Names": (str(inspected["Name"]),),
        "Labels": inspected["Config"].get("Labels") or {},
        "State": str(inspected["State"]["Status"]),
        "Pid": int(inspected["State"]["Pid"]),
    }


def _named(listed: Mapping[str, Any], owner: str, label: Label) -> bool:
    return f"/{identity.container_name(owner, label.name)}" in (listed.get("Names") or ())


def _hand_over(home: Path, uid: int) -> None:
    if os.geteuid() != 0:
        return
    for folder, _, files, descriptor in os.fwalk(home):
        os.chown(folder, uid, uid)
        for file in files:
            with suppress(FileNotFoundError):
                os.chown(file, uid, uid, dir_fd=descriptor, follow_symlinks=False)
