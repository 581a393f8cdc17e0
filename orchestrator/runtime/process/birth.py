"""From a Launch to a running shim. Blocking, for a thread; may be cut off (kill -9) after any line."""

import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

import ntp.confine
from ntp.confine import probe, seccomp, shim_files
from ntp.confine.policy import ConfineError
from orchestrator.errors import ActionError, ConflictError
from orchestrator.ports import Launch
from orchestrator.runtime.process import reap, uids
from orchestrator.runtime.process.folder import Label, RunFolder
from orchestrator.runtime.process.instances import Instances
from orchestrator.runtime.process.order import Place, launch_folder, order

START_S = 30.0
SETTLE_S = 15.0
"""How long a life that is just beginning or ending may take to do so."""

SHIM_LOG = "shim.log"
"""What the shim itself says: nothing, or the traceback of a bug."""
_LOCK_FD, _FILES_FD, _REPORT_FD = 3, 4, 5


class Births:
    """Starts shims of one project and reaps those that are our children."""

    def __init__(self, owner: str, state: Path, instances: Instances, *, tier: int | None) -> None:
        self._owner = owner
        self._state = state
        self._instances = instances
        self._tier = tier
        self._children: set[int] = set()
        self._finding_uid = threading.Lock()
        self._uids: dict[str, int] | None = None
        """By instance, of those that are and those whose storage was kept; read at the first start."""

    def begin(self, launch: Launch) -> int:
        """Start, or adopt what runs as wanted; return the pid of the shim.

        ConflictError: another generation or attempt runs, or a newer controller made what is there.
        ActionError: a step was refused; nothing is left of it but its label.
        """
        folder = self._instances.folder(launch.name)
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
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
            self._undo(folder, pid)
            raise
        return pid

    def reap(self) -> None:
        """Collect children of ours that have ended."""
        for pid in list(self._children):
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)

    def _spawn(self, folder: RunFolder, lock: int, launch: Launch) -> tuple[int, int]:
        before = folder.label()
        if before is not None and before.epoch > launch.epoch:
            raise ConflictError(
                f"{launch.name} was made by a newer controller (epoch {before.epoch}, ours is "
                f"{launch.epoch}): this one must not act any more"
            )
        reap.clear(folder, before)
        place = self._place(folder, launch)
        words, files = order(launch, place)
        write_down(folder, label_of(launch, secrets.token_hex(8), place.uid), words)
        if place.storage is not None:
            storage_for(place.storage, place.uid)
        pid, report = spawn(folder, lock, files, confine=confine_folder(launch))
        self._children.add(pid)
        return pid, report

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

    def _undo(self, folder: RunFolder, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # an unreaped child of ours: the pid is still its own
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        self._children.discard(pid)
        with folder.taken() as lock:
            if lock is not None:
                reap.clear(folder, folder.label())


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
        said = (shim_files.read(folder.file(SHIM_LOG)) or b"").decode(errors="replace").strip()
        last = said.splitlines()[-1] if said else "it said nothing"
        raise ActionError(f"the shim of {folder.name} ({pid}) ended: {last}", reason="StartFailed")
    if error := json.loads(answer).get("error"):
        raise ActionError(error, reason="StartRefused")


def write_down(folder: RunFolder, label: Label, order: Mapping[str, Any]) -> None:
    """Lay out the run folder of a new life; what is left of the old one, but its output, goes.

    The label is written last but for the FIFO: what carries the new generation never shows an old end.
    """
    for name in (*shim_files.LIVES, f"{shim_files.EXIT}.part"):
        shim_files.remove(folder.file(name))
    launch = Path(order["launch"])
    launch.mkdir(mode=0o700, exist_ok=True)
    shim_files.empty(str(launch))
    _scratch(Path(order["scratch"]), label.uid)
    shim_files.write_atomic(folder.file(shim_files.ORDER), json.dumps(order).encode())
    shim_files.write_atomic(folder.file(shim_files.INSTANCE), msgspec.json.encode(label))
    shim_files.remove(folder.file(shim_files.CONTROL))
    os.mkfifo(folder.file(shim_files.CONTROL), 0o600)
    shim_files.reserve(folder.file(shim_files.EXIT))


def spawn(
    folder: RunFolder, lock: int, files: Mapping[str, bytes], *, confine: Path
) -> tuple[int, int]:
    """Start the shim; return its pid and the pipe on which it reports (`shim_start.main`).

    It holds the lock from here on: `lock` may be closed. Secrets go through memory, not the disk.
    """
    content = json.dumps({name: data.decode("latin-1") for name, data in files.items()}).encode()
    memory = os.memfd_create("launch", os.MFD_CLOEXEC)
    report, report_end = os.pipe2(os.O_CLOEXEC)
    # Out of the way of their numbers in the child.
    passed = [_high(fd) for fd in (lock, memory, report_end)]
    try:
        os.write(memory, content)
        null, log = (os.O_RDWR, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW)
        command = [sys.executable, "-I", "-S", str(confine / "shim.py"), "start", str(folder.path)]
        pid = os.posix_spawn(
            sys.executable,
            [*command, str(_LOCK_FD), str(_FILES_FD), str(_REPORT_FD)],
            {},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, null, 0),
                (os.POSIX_SPAWN_OPEN, 1, folder.file(SHIM_LOG), log, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *(
                    (os.POSIX_SPAWN_DUP2, source, target)
                    for source, target in zip(
                        passed, (_LOCK_FD, _FILES_FD, _REPORT_FD), strict=True
                    )
                ),
            ],
            setsid=True,
            setsigmask=(),
        )
    except BaseException:
        os.close(report)
        raise
    finally:
        for fd in (memory, report_end, *passed):
            os.close(fd)
    return pid, report


def confine_folder(launch: Launch) -> Path:
    """Where the shim's own code is: the plugin's environment, which no upgrade changes under it."""
    if launch.environment is not None:
        for site in launch.environment.site:
            if (site / "ntp" / "confine" / "shim.py").is_file():
                return site / "ntp" / "confine"
    return Path(ntp.confine.__path__[0])


def storage_for(path: Path, uid: int | None) -> None:
    """Make the durable folder of a plugin its own; one that it had under another uid is handed over."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if uid is None or path.stat().st_uid == uid:
        return
    for folder, _, files, descriptor in os.fwalk(path):
        os.fchown(descriptor, uid, uid)
        for file in files:
            os.chown(file, uid, uid, dir_fd=descriptor, follow_symlinks=False)
        del folder


def label_of(launch: Launch, life: str, uid: int | None) -> Label:
    return Label(
        id=life,
        project=launch.project,
        name=launch.name,
        kind=launch.kind,
        generation=launch.generation,
        attempt=launch.attempt,
        epoch=launch.epoch,
        hashes=launch.hashes,
        spec=launch.spec.decode(),
        resources=launch.resources,
        created=datetime.now(UTC),
        uid=-1 if uid is None else uid,
    )


def _scratch(path: Path, uid: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    if uid >= 0:
        os.chown(path, uid, uid)


def _high(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
