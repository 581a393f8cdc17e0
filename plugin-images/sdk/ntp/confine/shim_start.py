"""Start one plugin: launch files, control group, pipes, sandbox; then become the watch.

Everything that can be refused is refused here, to the runtime, which waits at the other end of a pipe.
"""
# ruff: noqa: PTH101, PTH120, PTH123  # see files.py

import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

from ntp.confine import cgroup, kernel, sandbox, shim_files, shim_system, verify
from ntp.confine.policy import ConfineError, Policy

LAUNCH_BYTES = 1024 * 1024
TERMINATION = "termination"
DOOR = "door.sock"
SHIM_OOM_SCORE = "-500"
"""Where we may: the kernel should end any plugin before the one who has to tell of it."""
VERIFY_S = 10.0


class Start:
    """What the runtime ordered, and what has been made of it so far."""

    def __init__(self, folder: str, lock: int) -> None:
        self.folder = folder
        self.lock = lock
        self.order: dict[str, Any] = json.loads(shim_files.read(self.file(shim_files.ORDER)) or b"")
        raw = self.order["policy"]
        self.policy = Policy.from_json(json.dumps(raw)) if raw else None
        self.group: cgroup.Group | None = None
        self.door: socket.socket | None = None
        self.lacks: list[str] = []
        """What of the isolation could not be had, in words."""

    def file(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def make_launch_folder(self, content: bytes) -> None:
        """Lay the files of this launch where only the plugin (and root) can read them."""
        folder, uid, gid = self.order["launch"], self.order["uid"], self.order["gid"]
        if self.order["private_mounts"]:
            try:
                _mount_privately(folder, uid, gid)
            except OSError as e:
                self.lacks.append(
                    f"launch files in memory only: {e.strerror}; they lie in {folder}"
                )
                os.chown(folder, uid, gid)
        for name, text in json.loads(content).items():
            _put(f"{folder}/{name}", text.encode("latin-1"), 0o400, uid, gid)
        _put(f"{folder}/{TERMINATION}", b"", 0o600, uid, gid)

    def open_door(self) -> None:
        if not self.order["door"]:
            return
        # The path of a Unix socket may have 107 bytes only; a name in the current folder is short.
        os.chdir(self.order["launch"])
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.door.bind(DOOR)
        os.chmod(DOOR, 0o600)
        if self.order["uid"] >= 0:
            os.chown(DOOR, self.order["uid"], self.order["gid"])
        self.door.listen(64)
        os.chdir("/")

    def make_group(self) -> None:
        if not self.order["group"]:
            return
        self.group = cgroup.create(
            self.order["group"], self.policy or shim_system.limits(self.order)
        )
        described = {
            name: getattr(self.group, name) for name in ("name", "folders", "active", "missing")
        }
        shim_files.write_atomic(self.file(shim_files.GROUP), json.dumps(described).encode())

    def spawn(self, stdout: int, stderr: int) -> int:
        argv, env = self.order["argv"], self.order["env"]
        if self.policy is None:
            return shim_system.spawn(
                argv,
                env,
                stdout=stdout,
                stderr=stderr,
                group=self.group,
                workdir=self.order["scratch"],
            )
        return sandbox.spawn(self.policy, argv, env, stdout=stdout, stderr=stderr, group=self.group)

    def record(self, pid: int) -> None:
        state = {
            "pid": pid,
            "start_time": shim_files.start_time(pid),
            "shim": os.getpid(),
            "started": time.time(),
            "boot": (shim_files.read("/proc/sys/kernel/random/boot_id") or b"").decode().strip(),
        }
        shim_files.write_atomic(self.file(shim_files.STATE), json.dumps(state).encode())

    def undo(self) -> None:
        """A step was refused: leave nothing but the reason."""
        if self.group is not None and self.group.kill() and self.group.remove():
            shim_files.remove(self.file(shim_files.GROUP))
        shim_files.empty(self.order["launch"])

    def verify(self, pid: int) -> int:
        """Look from outside at what really surrounds the plugin, in a child: the watch does not wait."""
        shim = os.getpid()
        child = os.fork()
        if child != 0:
            return child
        status = 1
        try:
            if not kernel.live_with(shim):  # or it could write into the next life
                os._exit(status)
            os.close(self.lock)  # whoever holds a copy of it is taken for the shim
            signal.alarm(int(VERIFY_S))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            found = (
                shim_system.isolation(self.group, self.order["exception"])
                if self.policy is None
                else verify.isolation(pid, self.policy, self.group)
            )
            if found is not None:
                tier, active, missing = found
                answer = json.dumps(
                    {"tier": tier, "active": active, "missing": [*missing, *self.lacks]}
                )
                shim_files.write_atomic(self.file(shim_files.ISOLATION), answer.encode())
            status = 0
        finally:
            os._exit(status)

    def watch(self, pid: int, verifier: int, control: int, stdout: int, stderr: int) -> NoReturn:
        """Become the program that waits (see shim): same pid, same children, same lock."""
        door = -1 if self.door is None else self.door.fileno()
        given = {
            "pid": pid,
            "verifier": verifier,
            "lock": self.lock,
            "control": control,
            "stdout": stdout,
            "stderr": stderr,
            "door": door,
            "uid": self.order["uid"],
            "private": ",".join(self.order["private"]),
            "detours": ",".join(self.order["detours"]),
            "oom": _oom_file(self.group),
            "storage": self.order["storage"],
            "quota": self.order["quota"],
            "sandboxed": int(self.policy is not None),
        }
        for fd in (self.lock, control, stdout, stderr, *([door] if door >= 0 else [])):
            os.set_inheritable(fd, True)
        words = [f"{key}={value}" for key, value in given.items()]
        shim = f"{os.path.dirname(__file__)}/shim.py"
        python = [sys.executable, "-I", "-S", shim, "watch", self.folder]
        command = [*python, *words, "--", *self.order["egress"]]
        os.execv(sys.executable, command)  # noqa: S606  # a list, no shell


def main(folder: str, lock: int, files: int, report: int) -> None:
    """Start the plugin of a run folder.

    Args:
        folder: absolute path of the run folder.
        lock: its lock file, locked; ours from now on.
        files: a memory file with the files of the launch as JSON, each byte a character (latin-1).
        report: a pipe; `{}` is written to it when the plugin was started, else `{"error": …}`.
    """
    _settle(folder, lock)
    start = Start(folder, lock)
    control = os.open(start.file(shim_files.CONTROL), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        content = os.pread(files, os.fstat(files).st_size, 0)
        os.close(files)
        start.make_launch_folder(content)
        start.open_door()
        start.make_group()
        stdout, stdout_end = os.pipe2(os.O_CLOEXEC)
        stderr, stderr_end = os.pipe2(os.O_CLOEXEC)
        pid = start.spawn(stdout_end, stderr_end)
        os.close(stdout_end)
        os.close(stderr_end)
    except (ConfineError, OSError) as e:
        start.undo()
        _tell(report, {"error": str(e)})
        sys.exit(1)
    # From here on a TERM is the plugin's business (see shim); the sandbox inherits none of this.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    start.record(pid)
    _tell(report, {})
    start.watch(pid, start.verify(pid), control, stdout, stderr)


def _tell(report: int, answer: dict[str, str]) -> None:
    with suppress(OSError):  # the controller may have died meanwhile: nobody needs the answer then
        os.write(report, json.dumps(answer).encode())
    os.close(report)


def _settle(folder: str, lock: int) -> None:
    """Be nobody's child in anything but name: no terminal, no folder that could be unmounted."""
    os.chdir("/")
    os.umask(0o077)
    log = os.open(
        f"{folder}/{shim_files.SHIM_LOG}",
        os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
    )
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(null)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(SHIM_OOM_SCORE)


def _mount_privately(folder: str, uid: int, gid: int) -> None:
    """Mount a small tmpfs that only we and our children see; it goes when the last of us goes.

    No clean-up can be forgotten, kill -9 of everyone included. Changes of the host's mounts still
    come in (slave), so that a medium can be removed while plugins run.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_SLAVE)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    options = f"size={LAUNCH_BYTES},nr_inodes=128,mode=0500"
    kernel.mount("ntp-launch", folder, "tmpfs", flags, options)
    os.chown(folder, uid, gid)


def _put(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        while content:
            content = content[os.write(fd, content) :]
        if uid >= 0:
            os.fchown(fd, uid, gid)
    finally:
        os.close(fd)


def _oom_file(group: cgroup.Group | None) -> str:
    folders = dict(group.folders) if group else {}
    if "memory" in folders:
        return f"{folders['memory']}/memory.oom_control"
    return f"{folders['v2']}/memory.events" if "v2" in folders else ""
