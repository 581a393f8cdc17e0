"""What a hostile plugin would try, run INSIDE a sandbox; each attack says whether the sandbox held.

    python -I attacks.py FACTS.json MARK        (what the rig planted outside, and which to run)

Each attack runs in a child of its own and answers True (it held) or False (it came through); the
effect counts, not the error. Standard library only. The last line of output is the answer as JSON.
"""
# ruff: noqa: PTH101, PTH108, PTH118, PTH123, PTH208, BLE001, S103  # plain calls: the attacks themselves

import contextlib
import ctypes
import errno
import json
import mmap
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

FACTS: dict[str, Any] = {}
ATTACKS: dict[str, Callable[[], bool]] = {}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
X86 = os.uname().machine == "x86_64"


def attack(function: Callable[[], bool]) -> Callable[[], bool]:
    ATTACKS[function.__name__] = function
    return function


def syscall(x86: int, arm: int, *arguments: Any) -> int:
    """The result, or minus errno."""
    result: int = libc.syscall(ctypes.c_long(x86 if X86 else arm), *arguments)
    return -ctypes.get_errno() if result < 0 else result


def refused(result: int) -> bool:
    return result in {-errno.EPERM, -errno.ENOSYS, -errno.EACCES}


def cannot(action: Callable[[], Any]) -> bool:
    try:
        action()
    except (OSError, subprocess.SubprocessError):
        return True
    return False


def reads(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


# --- files ---------------------------------------------------------------------------------------


@attack
def read_shadow() -> bool:
    return not reads("/etc/shadow")


@attack
def read_passwd_of_host() -> bool:
    return b"root:" not in reads("/etc/passwd")


@attack
def read_neighbours_file() -> bool:
    return FACTS["canary"].encode() not in reads(FACTS["neighbour"])


@attack
def read_neighbours_file_through_proc() -> bool:
    roots = [f"/proc/{pid}/root" for pid in ("1", "self", str(FACTS["bystander"]))]
    return all(FACTS["canary"].encode() not in reads(root + FACTS["neighbour"]) for root in roots)


@attack
def list_homes() -> bool:
    # The way to an interpreter under a home is shown, and nothing else of it.
    shown = {part for path in [*sys.path, sys.executable] for part in path.split("/")}
    for home in ("/root", "/home"):
        with contextlib.suppress(OSError):
            if set(os.listdir(home)) - shown - {".pyenv"}:
                return False
    return True


@attack
def write_anywhere() -> bool:
    """Try to make a file in every folder there is; only the given ones may take it."""
    allowed = tuple(FACTS["writable"])
    for folder, names, _ in os.walk("/"):
        if folder.count("/") > 4 or folder == "/proc":
            names.clear()
        if folder.startswith(allowed):
            continue
        with contextlib.suppress(OSError):
            path = os.path.join(folder, "ntp-was-here")
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            os.unlink(path)
            return False
    return True


@attack
def write_own_code() -> bool:
    return cannot(lambda: open(__file__, "a").close())


@attack
def write_proc_sys() -> bool:
    for folder, _, names in os.walk("/proc/sys"):
        for name in names:
            with contextlib.suppress(OSError):
                os.close(os.open(os.path.join(folder, name), os.O_WRONLY))
                # Even a namespace's own knob (ns_last_pid, message queues): they differ by kernel.
                return False
    return True


@attack
def write_core_pattern() -> bool:
    return cannot(lambda: os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)))


@attack
def lower_oom_score() -> bool:
    return cannot(lambda: os.close(os.open("/proc/self/oom_score_adj", os.O_WRONLY)))


@attack
def write_sysrq() -> bool:
    return cannot(lambda: os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))) or not reads(
        "/proc/sysrq-trigger"
    )


@attack
def write_control_groups() -> bool:
    return cannot(lambda: os.listdir("/sys/fs/cgroup"))


@attack
def read_kernel_secrets() -> bool:
    paths = ("/proc/kallsyms", "/proc/kcore", "/proc/timer_list", "/proc/key-users", "/dev/mem")
    return not any(reads(path) for path in (*paths, "/dev/kmsg", "/proc/kmsg"))


@attack
def read_keys() -> bool:
    return not reads("/proc/keys")


@attack
def exec_in_tmp() -> bool:
    return _cannot_exec_in(FACTS["tmp"])


@attack
def exec_in_shm() -> bool:
    return _cannot_exec_in("/dev/shm")


@attack
def exec_in_storage() -> bool:
    return _cannot_exec_in(FACTS["storage"])


def _cannot_exec_in(folder: str) -> bool:
    path = f"{folder}/true"
    try:
        shutil.copyfile("/bin/true", path)
        os.chmod(path, 0o755)
    except OSError:
        return True
    try:
        return cannot(lambda: subprocess.run([path], check=True))
    finally:
        os.unlink(path)


@attack
def exec_from_memory() -> bool:
    try:
        fd = os.memfd_create("program")
    except OSError:
        return True
    with open("/bin/true", "rb") as program:
        os.write(fd, program.read())
    return cannot(lambda: subprocess.run([f"/proc/self/fd/{fd}"], pass_fds=[fd], check=True))


@attack
def map_exec_in_tmp() -> bool:
    with open(f"{FACTS['tmp']}/code", "w+b") as file:
        file.write(b"\xc3" * 4096)
        file.flush()
        try:
            mmap.mmap(
                file.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC
            ).close()
        except OSError:
            return True
    return False


@attack
def fill_tmp() -> bool:
    return _fill(FACTS["tmp"], 4 * FACTS["tmp_bytes"]) <= FACTS["tmp_bytes"]


@attack
def fill_shm() -> bool:
    return _fill("/dev/shm", 8 << 20) <= 1 << 20


def _fill(folder: str, most: int) -> int:
    """How many bytes could be written, of at most `most`."""
    path, done = f"{folder}/fill", 0
    try:
        with open(path, "wb", buffering=0) as file:
            while done < most:
                done += file.write(b"x" * 65536)
    except OSError:
        pass
    with contextlib.suppress(OSError):
        os.unlink(path)
    return done


@attack
def fill_inodes() -> bool:
    made = []
    with contextlib.suppress(OSError):
        for number in range(2 * FACTS["tmp_inodes"]):
            path = f"{FACTS['tmp']}/inode-{number}"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            made.append(path)
    for path in made:
        os.unlink(path)
    return 0 < len(made) <= FACTS["tmp_inodes"]


@attack
def make_device() -> bool:
    return cannot(lambda: os.mknod(f"{FACTS['tmp']}/disk", 0o060600, os.makedev(254, 0)))


@attack
def open_host_devices() -> bool:
    for name in ("vda", "sda", "kvm", "mem", "fuse", "loop0", "vsock", "userfaultfd"):
        with contextlib.suppress(OSError):
            os.close(os.open(f"/dev/{name}", os.O_RDONLY))
            return False
    return True


# --- privilege -----------------------------------------------------------------------------------


@attack
def become_root() -> bool:
    for call in (os.setuid, os.setgid):
        with contextlib.suppress(OSError):
            call(0)
    with contextlib.suppress(OSError):
        os.setgroups([0])
    return os.geteuid() != 0 and os.getegid() != 0 and 0 not in os.getgroups()


@attack
def run_suid_program() -> bool:
    done = subprocess.run([FACTS["suid_id"], "-u"], capture_output=True, check=False, text=True)
    return done.stdout.strip() == str(os.getuid())


@attack
def have_capabilities() -> bool:
    sets = [
        line
        for line in FACTS["status"].splitlines()
        if line.startswith(("CapEff", "CapPrm", "CapAmb"))
    ]
    return len(sets) == 3 and all(int(line.split()[1], 16) == 0 for line in sets)


@attack
def have_bounding_set() -> bool:
    return all(
        int(line.split()[1], 16) == 0 for line in FACTS["status"].splitlines() if "CapBnd" in line
    )


@attack
def gain_privileges_by_exec() -> bool:
    return "NoNewPrivs:\t1" in FACTS["status"]


@attack
def mount_something() -> bool:
    return refused(syscall(165, 40, b"t", b"/tmp", b"tmpfs", 0, None))


@attack
def unmount_something() -> bool:
    return refused(syscall(166, 39, b"/proc", 2))


@attack
def use_new_mount_calls() -> bool:
    return (
        refused(syscall(428, 428, -100, b"/usr", 1))  # open_tree, OPEN_TREE_CLONE
        and refused(syscall(430, 430, b"tmpfs", 0))  # fsopen
        and refused(syscall(442, 442, -100, b"/usr", 0, None, 0))  # mount_setattr
    )


@attack
def change_root() -> bool:
    return cannot(lambda: os.chroot(FACTS["tmp"])) and refused(syscall(155, 41, b"/", b"/"))


@attack
def make_user_namespace() -> bool:
    return refused(syscall(272, 97, 0x10000000))


@attack
def make_other_namespaces() -> bool:
    kinds = (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x20000000, 0x40000000, 0x80)
    return all(refused(syscall(272, 97, kind)) for kind in kinds)


@attack
def clone_into_namespaces() -> bool:
    return refused(_clone(0x10000000 | signal.SIGCHLD))


def _clone(flags: int) -> int:
    pid = syscall(56, 220, ctypes.c_ulong(flags), None, None, None, None)
    if pid == 0:
        os._exit(0)
    if pid > 0:
        os.waitpid(pid, 0)
    return pid


@attack
def clone3_into_namespaces() -> bool:
    arguments = (ctypes.c_uint64 * 11)()
    arguments[0], arguments[4] = 0x10000000, signal.SIGCHLD
    pid = syscall(435, 435, arguments, ctypes.c_size_t(88))
    if pid == 0:
        os._exit(0)
    return refused(pid)


@attack
def enter_namespace() -> bool:
    try:
        fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
    except OSError:
        fd = 0
    return refused(syscall(308, 268, fd, 0))


@attack
def trace_a_child() -> bool:
    return _with_child(lambda pid: refused(syscall(101, 117, 16, pid, None, None)))


@attack
def read_memory_of_a_child() -> bool:
    local, there = (ctypes.c_char * 16)(), (ctypes.c_char * 16)()
    vectors = [(ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 16) for buffer in (local, there)]
    return _with_child(lambda pid: refused(syscall(310, 270, pid, vectors[0], 1, vectors[1], 1, 0)))


def _with_child(look: Callable[[int], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        return look(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@attack
def use_keyrings() -> bool:
    return refused(syscall(250, 219, 0, -3, 1)) and refused(
        syscall(248, 217, b"user", b"ntp", b"x", 1, -3)
    )


@attack
def use_io_uring() -> bool:
    return refused(syscall(425, 425, 4, (ctypes.c_char * 120)()))


@attack
def use_userfaultfd() -> bool:
    return refused(syscall(323, 282, 1))


@attack
def use_bpf() -> bool:
    return refused(syscall(321, 280, 0, (ctypes.c_char * 128)(), 128))


@attack
def use_perf() -> bool:
    attributes = (ctypes.c_uint32 * 32)(1, 128)
    return refused(syscall(298, 241, attributes, 0, -1, -1, 0))


@attack
def load_kernel_code() -> bool:
    return refused(syscall(313, 273, -1, b"", 0)) and refused(syscall(320, 294, -1, -1, 0, b"", 0))


@attack
def reboot() -> bool:
    # Wrong magic numbers: EINVAL is the answer to whoever would be allowed.
    return refused(syscall(169, 142, 0, 0, 0, None))


@attack
def set_the_clock() -> bool:
    return refused(syscall(227, 112, 0, None)) or cannot(
        lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())
    )


@attack
def change_personality() -> bool:
    return refused(syscall(135, 92, ctypes.c_ulong(0x0040000)))


@attack
def open_by_handle() -> bool:
    return refused(syscall(304, 265, -100, (ctypes.c_char * 64)(), 0))


@attack
def leave_the_session() -> bool:
    return cannot(os.setsid)


@attack
def raise_limits() -> bool:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard + 1))
    except (OSError, ValueError):
        return hard <= FACTS["nofile"]
    return False


@attack
def dump_core() -> bool:
    return resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


# --- network -------------------------------------------------------------------------------------


def _no_socket(family: int, kind: int, protocol: int = 0) -> bool:
    return cannot(lambda: socket.socket(family, kind, protocol).close())


@attack
def inet_stream_socket() -> bool:
    return _no_socket(socket.AF_INET, socket.SOCK_STREAM)


@attack
def inet_other_stream_protocols() -> bool:
    return all(_no_socket(socket.AF_INET, socket.SOCK_STREAM, number) for number in (132, 262))


@attack
def inet_datagram_socket() -> bool:
    return _no_socket(socket.AF_INET, socket.SOCK_DGRAM) and _no_socket(
        socket.AF_INET6, socket.SOCK_DGRAM
    )


@attack
def raw_sockets() -> bool:
    return all(
        _no_socket(family, socket.SOCK_RAW, 1) for family in (socket.AF_INET, socket.AF_PACKET)
    )


@attack
def exotic_sockets() -> bool:
    """AF_VSOCK (the hypervisor), AF_ALG, AF_NETLINK, AF_BLUETOOTH, AF_CAN, AF_TIPC, AF_KCM, AF_XDP."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)
    return all(
        _no_socket(family, kind) for family in (40, 38, 16, 31, 29, 30, 41, 44) for kind in kinds
    )


@attack
def reach_host_port() -> bool:
    try:
        with socket.create_connection(("127.0.0.1", FACTS["port"]), timeout=2):
            return False
    except OSError:
        return True


@attack
def reach_abstract_socket() -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return cannot(lambda: client.connect("\0" + FACTS["abstract"]))


@attack
def reach_neighbours_socket() -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return cannot(lambda: client.connect(FACTS["neighbour_socket"]))


@attack
def see_host_interfaces() -> bool:
    lines = reads("/proc/self/net/dev").decode().splitlines()[2:]
    return all(line.split(":")[0].strip() == "lo" for line in lines)


@attack
def see_host_name() -> bool:
    return socket.gethostname() != FACTS["host_name"]


# --- other processes -----------------------------------------------------------------------------


@attack
def see_other_processes() -> bool:
    seen = []
    with contextlib.suppress(OSError):
        seen = [name for name in os.listdir("/proc") if name.isdigit()]
    names = {*seen, str(FACTS["bystander"])}
    return not any(FACTS["canary"].encode() in reads(f"/proc/{pid}/cmdline") for pid in names)


@attack
def read_others_environment() -> bool:
    pids = ("1", str(FACTS["bystander"]))
    return not any(FACTS["canary"].encode() in reads(f"/proc/{pid}/environ") for pid in pids)


@attack
def write_memory_of_others() -> bool:
    """Pid 1 of the sandbox is its launcher; in tier 2 it has our own uid."""
    pids = ("1", str(os.getppid()), str(FACTS["bystander"]))
    return all(cannot(lambda pid=pid: open(f"/proc/{pid}/mem", "r+b").close()) for pid in pids)


@attack
def kill_a_bystander() -> bool:
    """The rig looks whether it is still alive."""
    return cannot(lambda: os.kill(FACTS["bystander"], signal.SIGKILL))


@attack
def find_inherited_descriptors() -> bool:
    return FACTS["descriptors"] == 3


@attack
def find_secrets_in_environment() -> bool:
    return not any(FACTS["canary"] in value for value in os.environ.values())


# --- exhaustion ----------------------------------------------------------------------------------


@attack
def fork_bomb() -> bool:
    children = []
    try:
        while len(children) < 4 * FACTS["pids"] + 400:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
    except OSError:
        pass
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return 0 < len(children) < FACTS["pids"]


@attack
def thread_bomb() -> bool:
    gate, started = threading.Event(), []
    threading.stack_size(65536)
    try:
        while len(started) < 4 * FACTS["pids"] + 400:
            thread = threading.Thread(target=gate.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        pass
    gate.set()
    return 0 < len(started) < FACTS["pids"]


@attack
def descriptor_bomb() -> bool:
    count = 0
    with contextlib.suppress(OSError):
        while count < 4 * FACTS["nofile"]:
            os.dup(0)
            count += 1
    return count < FACTS["nofile"]


@attack
def message_queues() -> bool:
    return refused(syscall(240, 180, b"ntp", os.O_CREAT | os.O_RDWR, 0o600, None))


@attack
def lock_memory() -> bool:
    size = 1 << 20
    area = mmap.mmap(-1, size)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    return syscall(149, 228, ctypes.c_void_p(address), ctypes.c_size_t(size)) < 0


# --- the other side: what has to work ------------------------------------------------------------


@attack
def ordinary_python_works() -> bool:
    """Not an attack: True if what plugins are made of runs here."""
    import asyncio
    import sqlite3
    import ssl
    import tempfile

    async def talk() -> bytes:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        path = f"{FACTS['tmp']}/echo.sock"
        server = await asyncio.start_unix_server(echo, path)
        async with server:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return line + await asyncio.to_thread(lambda: b"!")

    with tempfile.TemporaryFile(dir=FACTS["tmp"]) as file:
        file.write(b"x")
    connection = sqlite3.connect(f"{FACTS['tmp']}/db")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert asyncio.run(talk()) == b"hello\n!"
    assert subprocess.run(["/bin/echo", "hi"], capture_output=True, check=True).stdout == b"hi\n"
    assert ssl.create_default_context().check_hostname
    with open(f"{FACTS['storage']}/ledger", "wb") as ledger:
        ledger.write(b"x" * 1000)
        os.fsync(ledger.fileno())
    os.unlink(f"{FACTS['storage']}/ledger")
    return True


@attack
def numpy_and_msgspec_work() -> bool:
    import msgspec
    import numpy as np

    matrix = np.eye(64) * 2
    assert float(np.linalg.inv(matrix)[0, 0]) == 0.5
    return bool(msgspec.json.decode(b'{"a": 1}') == {"a": 1})


@attack
def certificates_are_there() -> bool:
    import ssl

    return bool(ssl.create_default_context().get_ca_certs())


# -------------------------------------------------------------------------------------------------


def run(name: str, deadline_s: float = 20.0) -> bool | str:
    """Run one attack in a child; its answer, or in words what became of it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer: bool | str = ATTACKS[name]()
        except BaseException as e:
            answer = f"{type(e).__name__}: {e}"
        os.write(writer, json.dumps(answer).encode()[:4000])
        os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], deadline_s)
    text = os.read(reader, 4096) if ready else b""
    os.close(reader)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return json.loads(text) if text else f"no answer, wait status {status}"


if __name__ == "__main__":
    FACTS.update(json.loads(reads(sys.argv[1])), descriptors=len(os.listdir("/proc/self/fd")) - 1)
    FACTS["status"] = reads("/proc/self/status").decode()  # Landlock shows it to us alone
    print(json.dumps({name: run(name) for name in FACTS["run"]}), flush=True)
