"""From a Launch to a running shim. Blocking, for a thread; may be cut off (kill -9) after any line."""

import json
import os
import secrets
import select
import threading
import time
from contextlib import suppress
from pathlib import Path

from ntp.confine import probe, seccomp, shim_files
from ntp.confine.policy import ConfineError
from orchestrator.errors import ActionError, ConflictError
from orchestrator.launch import Launch
from orchestrator.runtime import uids
from orchestrator.runtime.process import reap
from orchestrator.runtime.process.folder import RunFolder
from orchestrator.runtime.process.instances import Instances
from orchestrator.runtime.process.layout import (
    check_reach,
    confine_folder,
    label_of,
    let_pass,
    make_folder,
    storage_for,
    write_down,
)
from orchestrator.runtime.process.nursery import Nursery
from orchestrator.runtime.process.order import Place, launch_folder, order

SEES_ITS_OWN = 2
"""The lowest tier in which a plugin has a view of its own, made before it gives up our uid."""
START_S = 30.0
SETTLE_S = 15.0
"""How long a life that is just beginning or ending may take to do so."""


class Births:
    """Starts the lives of one project."""

    def __init__(self, owner: str, state: Path, instances: Instances, *, tier: int | None) -> None:
        self._owner = owner
        self._state = state
        self._instances = instances
        self._tier = tier
        self._nursery = Nursery()
        self._finding_uid = threading.Lock()
        self._uids: dict[str, int] | None = None
        """By instance, of those that are and those whose storage was kept; read at the first start."""

    def begin(self, launch: Launch) -> int:
        """Start, or adopt what runs as wanted; return the pid of the shim.

        ConflictError: another generation or attempt runs, or a newer controller made what is there.
        ActionError: a step was refused; nothing is left of it but its label.
        """
        folder = self._instances.folder(launch.name)
        make_folder(folder.path.parent)
        make_folder(folder.path)
        deadline = time.monotonic() + SETTLE_S
        begun: tuple[int, int] | None = None
        while begun is None:
            with folder.taken() as lock:
                if lock is not None:
                    begun = self._spawn(folder, lock, launch)
                    continue
            adopted = _adopted(folder, launch)
            if adopted is not None:
                return adopted
            if time.monotonic() >= deadline:
                raise ActionError(f"{launch.name} neither runs nor ends", reason="StartTimeout")
            time.sleep(0.01)
        pid, report = begun
        try:
            _await(folder, pid, report)
        except ActionError:
            reap.kill_shim(folder)
            with folder.taken() as lock:
                if lock is not None:
                    reap.clear(folder, folder.label())
            raise
        return pid

    def close(self) -> None:
        self._nursery.close()

    def _spawn(self, folder: RunFolder, lock: int, launch: Launch) -> tuple[int, int]:
        before = folder.label()
        if before is not None and before.epoch > launch.epoch:
            raise ConflictError(
                f"{launch.name} was made by a newer controller (epoch {before.epoch}, ours is "
                f"{launch.epoch}): this one must not act any more"
            )
        reap.clear(folder, before)
        place = self._place(folder, launch)
        if place.uid is not None and place.tier < SEES_ITS_OWN:
            let_pass(self._state)
            check_reach(launch, folder.path)
        words, files = order(launch, place)
        write_down(folder, label_of(launch, secrets.token_hex(8), place.uid), words)
        if place.storage is not None:
            storage_for(place.storage, place.uid)
        return self._nursery.begin(confine_folder(launch), str(folder.path), lock, files)

    def _place(self, folder: RunFolder, launch: Launch) -> Place:
        confined = launch.environment is not None
        sandboxed = confined and launch.sandbox
        storage = self._state / "storage" / launch.name if launch.storage else None
        return Place(
            group=f"{self._owner}.{launch.name}",
            launch=launch_folder(folder.path, f"{self._owner}.{launch.name}"),
            scratch=folder.path / reap.SCRATCH,
            storage=storage if confined else None,
            uid=self._uid(launch.name) if sandboxed and os.geteuid() == 0 else None,
            tier=self._tier_for(launch) if sandboxed else 0,
            seccomp=self._filter(launch) if sandboxed else None,
        )

    def _tier_for(self, launch: Launch) -> int:
        if self._tier is None:
            self._tier = probe.probe().tier
        if self._tier == 0:
            fix = "; ".join(probe.probe().missing)
            raise ActionError(
                f"no sandbox works here, so {launch.name} is not started: {fix}",
                reason="NoSandbox",
                permanent=True,
            )
        return self._tier

    def _uid(self, name: str) -> int:
        with self._finding_uid:
            return self._free_uid(name)

    def _free_uid(self, name: str) -> int:
        if self._uids is None:
            self._uids = {other: label.uid for other, label in self._instances.labels().items()}
            with suppress(FileNotFoundError):
                # Kept storage keeps its owner: what is removed and comes back is at home in it.
                for kept in (self._state / "storage").iterdir():
                    self._uids.setdefault(kept.name, kept.stat().st_uid)
        taken = {uid for other, uid in self._uids.items() if other != name}
        found = uids.find(self._owner, name, taken, uids.uid_range())
        self._uids[name] = found
        return found

    def _filter(self, launch: Launch) -> Path | None:
        with suppress(ConfineError):  # `isolation` of the plugin says that it is missing
            return seccomp.export(self._state / "seccomp", inet=launch.inet)
        return None


def _adopted(folder: RunFolder, launch: Launch) -> int | None:
    """The pid of the shim that runs what is wanted; None: look again, it begins or ends just now."""
    label = folder.label()
    if label is None or folder.has_ended():
        return None
    if (label.generation, label.attempt) != (launch.generation, launch.attempt):
        raise ConflictError(
            f"{launch.name} runs as generation {label.generation}, attempt {label.attempt}: "
            f"stop it before starting generation {launch.generation}, attempt {launch.attempt}"
        )
    started = (folder.path / shim_files.STATE).exists()
    return folder.shim_pid() if started and folder.is_held() else None


def _await(folder: RunFolder, pid: int, report: int) -> None:
    """Wait for the word of the shim; ActionError with its reason, or with what it last said."""
    try:
        ready, _, _ = select.select([report], [], [], START_S)
        answer = os.read(report, 64 * 1024) if ready else b""
    finally:
        os.close(report)
    if not ready:
        raise ActionError(
            f"{folder.name} was not started within {START_S:.0f} s", reason="StartTimeout"
        )
    if not answer:
        said = (
            (shim_files.read(folder.file(shim_files.SHIM_LOG)) or b"")
            .decode(errors="replace")
            .strip()
        )
        last = said.splitlines()[-1] if said else "it said nothing"
        raise ActionError(f"the shim of {folder.name} ({pid}) ended: {last}", reason="StartFailed")
    if error := json.loads(answer).get("error"):
        raise ActionError(error, reason="StartRefused")
