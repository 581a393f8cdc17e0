"""Runs one sandbox beside planted victims and tells what was seen; the tests ask what it prints.

    python -I -S rig.py < order.json         {"tier": 3, "ordinary": false, "seccomp": …, "argv": …, …}

A process of its own: it forks, it may give up root for good ("ordinary"), and whatever a broken sandbox
lets through hits it and not the tests. Standard library only, as the shim.
"""
# ruff: noqa: PTH101, S103, S606

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SDK = str(Path(__file__).parents[3] / "plugin-images" / "sdk")
package = type(sys)("ntp")
package.__path__ = [f"{SDK}/ntp"]
sys.modules["ntp"] = package

from ntp.confine import bubblewrap, cgroup, kernel, sandbox, tree, verify  # noqa: E402
from ntp.confine.files import until  # noqa: E402
from ntp.confine.policy import MIB, Bind, ConfineError, Policy  # noqa: E402

ORDER: dict[str, Any] = json.load(sys.stdin)
MARK = ORDER["mark"]
"""On the command line of everything inside, so that nothing of it can be overlooked."""
CANARY = f"canary-{os.getpid()}-of-the-rig"
ORDINARY_UID, PLUGIN_UID = 100_000 + os.getpid(), 5_000_000 + os.getpid()
"""Of this run alone: the kernel counts processes by user."""
SECONDS = float(ORDER.get("seconds", 60))


def become_ordinary(interpreter: str) -> None:
    """Give up root; first let an interpreter below a closed home be reached by others."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    prefix = Path(os.path.realpath(interpreter)).parents[1]
    if str(prefix).startswith("/root/"):
        fd = os.open(prefix, os.O_PATH)
        kernel.mount("rig", "/root", "tmpfs", 0, "mode=0755")
        prefix.mkdir(parents=True)
        kernel.mount(f"/proc/self/fd/{fd}", str(prefix), None, kernel.MS_BIND)
        os.close(fd)
    os.setgroups([])
    os.setresgid(ORDINARY_UID, ORDINARY_UID, ORDINARY_UID)
    os.setresuid(ORDINARY_UID, ORDINARY_UID, ORDINARY_UID)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, as after an exec: /proc/self is ours


def plant(world: Path, owner: int) -> dict[str, Any]:
    """What an attack looks for: a neighbour's file, sockets, a program that is root's by its mode."""
    for name in ("code", "storage", "scratch", "neighbour"):
        (world / name).mkdir(mode=0o755)
    neighbour = world / "neighbour" / "secret"
    neighbour.write_text(CANARY)
    shutil.copy(Path(__file__).with_name("attacks.py"), world / "code")
    suid = world / "code" / "suid-id"
    shutil.copy("/usr/bin/id", suid)
    suid.chmod(0o4755)
    for path in (world / "storage", world / "scratch"):
        os.chown(path, owner, owner)
    return {
        "canary": CANARY,
        "neighbour": str(neighbour),
        "neighbour_socket": str(world / "neighbour" / "socket"),
        "abstract": CANARY,
        "host_name": socket.gethostname(),
    }


def listen(facts: dict[str, Any]) -> list[socket.socket]:
    inet = socket.create_server(("127.0.0.1", 0))
    facts["port"] = inet.getsockname()[1]
    sockets = [inet]
    for address in ("\0" + facts["abstract"], facts["neighbour_socket"]):
        server = socket.socket(socket.AF_UNIX)
        server.bind(address)
        server.listen()
        sockets.append(server)
    os.chmod(facts["neighbour_socket"], 0o777)
    return sockets


@contextlib.contextmanager
def bystander() -> Iterator[int]:
    """A process of the host, with a secret in its environment and its command line."""
    pid = os.fork()
    if pid == 0:
        kernel.die_with_parent(signal.SIGKILL)
        program = f"import time; time.sleep({SECONDS + 60})  # {CANARY}"
        environment = {"SECRET": CANARY}
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", program], environment)
    try:
        yield pid
    finally:  # a rig that ends before the other asked to die with it would leave it our output
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def policy_of(world: Path, *, root: bool) -> Policy:
    storage = Bind(str(world / "storage"), "/storage", writable=True)
    code = Bind(str(world / "code"), "/plugin", noexec=False)
    given: dict[str, Any] = {
        "name": f"test.{os.getpid()}",
        "memory": 256 * MIB,
        "cpu": 2.0,
        "pids": 64,
        "tmp": 4 * MIB,
        "uid": PLUGIN_UID if root else None,
        "gid": PLUGIN_UID if root else None,
        "tier": ORDER["tier"],
        "seccomp": ORDER.get("seccomp"),
        "scratch": str(world / "scratch"),
        "fsize": 64 * MIB,
    }
    given.update(ORDER.get("policy", {}))
    more = tuple(Bind(**bind) for bind in given.pop("more_binds", []))
    return Policy(binds=(storage, code, *more), **given)


def marked() -> list[int]:
    """Every living process of this machine that was started in the sandbox."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if MARK.encode() in (entry / "cmdline").read_bytes() and tree.alive(
                    int(entry.name)
                ):
                    found.append(int(entry.name))
    return found


def collect(fds: dict[int, bytearray], pid: int, group: cgroup.Group, seen: dict[str, Any]) -> int:
    """Read output until the outermost process has ended, doing what was ordered on the way."""
    steps = list(ORDER.get("steps", []))
    deadline = time.monotonic() + SECONDS
    while True:
        _drain(fds)
        if steps and _step(steps[0], pid, group, bytes(next(iter(fds.values()))), seen):
            steps.pop(0)
            continue
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            _drain(fds)
            while steps and steps[0] in {"gone", "verify"}:
                _step(steps.pop(0), pid, group, b"", seen)
            seen["steps_left"] = steps
            return status
        if time.monotonic() > deadline:
            seen["late"] = True
            sandbox.kill(pid, group)
        time.sleep(0.005)


def _drain(fds: dict[int, bytearray]) -> None:
    for fd, text in fds.items():
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(fd, 65536):
                text.extend(chunk)


def _step(step: str, pid: int, group: cgroup.Group, output: bytes, seen: dict[str, Any]) -> bool:
    """Whether the step was done and the next may follow."""
    name, _, argument = step.partition(":")
    match name:
        case "see":
            return argument.encode() in output
        case "terminate":
            seen["terminated"] = sandbox.terminate(pid)
            return True
        case "kill":
            seen["killed"] = sandbox.kill(pid, group)
            seen["left_after_kill"] = [p for p in marked() if p != pid]
            return True
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill-launcher":
            os.kill(pid, signal.SIGKILL)
            return True
        case "verify":
            found = verify.isolation(pid, POLICY, group)
            names = ("tier", "active", "missing")
            seen["isolation"] = None if found is None else dict(zip(names, found, strict=True))
            return True
        case "gone":
            return not tree.alive(pid)
        case "throttled":
            return group.usage().throttled_s > 0
        case "limit":
            _change(argument, group, seen)
            return True
    raise SystemExit(f"no step {step!r}")


def _change(argument: str, group: cgroup.Group, seen: dict[str, Any]) -> None:
    key, _, value = argument.partition("=")
    answer = ""
    try:
        group.update(policy_with(**{key: type(getattr(POLICY, key))(value)}))
    except ConfineError as e:
        answer = str(e)
    seen.setdefault("updates", []).append(answer)
    seen.setdefault("memory_limits", []).append(group.usage().memory_limit)


def policy_with(**changes: Any) -> Policy:
    raw = json.loads(POLICY.to_json()) | changes
    return Policy.from_json(json.dumps(raw))


def main(world: Path) -> dict[str, Any]:
    global POLICY  # noqa: PLW0603  # one run a process
    was_root = os.geteuid() == 0
    root = was_root and not ORDER["ordinary"]
    facts = plant(world, PLUGIN_UID if root else ORDINARY_UID if os.geteuid() == 0 else os.getuid())
    if ORDER["ordinary"] and os.geteuid() == 0:
        for name in ("neighbour", "code"):
            os.chown(world / name, ORDINARY_UID, ORDINARY_UID)
        become_ordinary(sys.executable)
    POLICY = policy_of(world, root=root)
    sockets = listen(facts)
    with bystander() as victim:
        seen = watch(world, facts, victim, was_root=was_root)
    for server in sockets:
        server.close()
    return seen


def watch(world: Path, facts: dict[str, Any], victim: int, *, was_root: bool) -> dict[str, Any]:
    """Run the sandbox, and tell what came of it."""
    group = cgroup.create(POLICY.name, POLICY)
    facts.update(
        bystander=victim,
        # In tier 1 the bound counts all of the user's processes, of which some may end meanwhile.
        pids=POLICY.pids + (0 if was_root or ORDER["tier"] > 1 else 200),
        nofile=POLICY.nofile,
        tmp_bytes=POLICY.tmp,
        tmp_inodes=POLICY.tmp_inodes,
        run=ORDER.get("run", []),
        tmp=sandbox.seen(POLICY, ORDER["tier"], "/tmp"),
        storage=sandbox.seen(POLICY, ORDER["tier"], "/storage"),
        suid_id=sandbox.seen(POLICY, ORDER["tier"], "/plugin/suid-id"),
    )
    facts["writable"] = [facts["tmp"], facts["storage"], "/dev/shm", "/proc"]
    facts.update(ORDER.get("judge", {}))
    (world / "code" / "facts.json").write_text(json.dumps(facts))
    argv = [*(sandbox.seen(POLICY, ORDER["tier"], word) for word in ORDER["argv"]), MARK]
    # What a careless parent leaves open is not for the plugin.
    os.set_inheritable(os.open(facts["neighbour"], os.O_RDONLY), True)
    ends = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
    for reader, _ in ends:
        os.set_blocking(reader, False)
    seen: dict[str, Any] = {"facts": facts, "limits": group.active, "unlimited": group.missing}
    seen["staged"] = ORDER["tier"] == 3 or bubblewrap.can_stage()
    environment = {"PATH": "/usr/bin:/bin", "HOME": facts["tmp"], "OPENBLAS_NUM_THREADS": "1"}
    try:
        pid = sandbox.spawn(
            POLICY, argv, environment, stdout=ends[0][1], stderr=ends[1][1], group=group
        )
    except ConfineError as e:
        return {**seen, "refused": str(e), "group_removed": group.remove()}
    finally:
        for _, writer in ends:
            os.close(writer)
    output = {reader: bytearray() for reader, _ in ends}
    status = collect(output, pid, group, seen)
    usage = group.usage()
    seen |= {
        "usage": {name: getattr(usage, name) for name in usage.__slots__},
        "oom_kills": group.oom_kills(),
        "outcome": sandbox.outcome(status),
        "status": status,
        "bystander_alive": tree.alive(victim),
        "gone": until(lambda: not marked(), float(ORDER["gone_s"])),
    }
    seen["rest_killed"] = sandbox.kill(pid, group) and until(lambda: not marked(), 30.0)
    seen["group_removed"] = group.remove()
    seen["stdout"], seen["stderr"] = (
        bytes(text).decode(errors="replace") for text in output.values()
    )
    return seen


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp(prefix="ntp-rig-"))
    keeper = os.fork()  # outlives the drop of rights: only it may remove what others own
    if keeper:
        _, ended = os.waitpid(keeper, 0)
        shutil.rmtree(folder)
        sys.exit(os.waitstatus_to_exitcode(ended))
    folder.chmod(0o755)
    sys.stdout.write(json.dumps(main(folder)))
    sys.stdout.flush()
