"""Tiers 3 and 2: the command line of bubblewrap, and the mounts that it cannot make itself.

As root (tier 3) bubblewrap alone would keep host uid 0 inside its namespaces. So it makes the
namespaces with three capabilities left, and setpriv gives up the uid and those three before the
plugin starts. As an ordinary user (tier 2) the same view comes from a user namespace.
"""
# ruff: noqa: PTH102, PTH110, PTH112, PTH114, PTH115, PTH120  # see files.py

import functools
import os
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence

from ntp.confine import kernel
from ntp.confine.policy import Bind, ConfineError, Policy
from ntp.confine.view import ETC, MASKED, SYSTEM, interpreter, synthetic

PATH = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/run/current-system/sw/bin"
SHM = 1024 * 1024
"""Bytes of /dev/shm; enough for semaphores, too little to hide in."""
STAGE = "/tmp"  # noqa: S108  # it exists everywhere; covered in our own mount namespace only
_FIX = "install it (Debian, Ubuntu: apt-get install bubblewrap util-linux)"


def tool(name: str) -> str:
    """Return the absolute path of a system program; ConfineError if it is not there."""
    found = shutil.which(name, path=PATH)
    if found is None:
        raise ConfineError(f"{name} is not installed: {_FIX}")
    return found


@functools.cache
def options(bwrap: str) -> str:
    """What this bubblewrap says it understands."""
    import subprocess  # late: only the sandbox of an ordinary user asks

    done = subprocess.run(
        [bwrap, "--help"], capture_output=True, text=True, timeout=10, check=False
    )
    return done.stdout


def stage(policy: Policy, binds: Sequence[Bind], *, userns: bool) -> dict[str, str]:
    """Make, in a mount namespace of our own, the mounts with flags that bubblewrap cannot set.

    Returns target -> staged source. `userns`: first become root of a user namespace. Call it in a
    forked child; the mounts vanish with the sandbox.
    """
    uid, gid = os.getuid(), os.getgid()
    if userns:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
        for file, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{file}", "w") as out:  # noqa: PTH123
                out.write(text)
    else:
        kernel.unshare(kernel.CLONE_NEWNS)
        uid, gid = policy.uid or uid, policy.gid or gid
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_SLAVE)
    # In our own namespace, or they cannot be mounted; before STAGE is covered, since they may lie in it.
    sources = [os.open(bind.source, os.O_PATH | os.O_CLOEXEC) for bind in binds]
    quiet = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("ntp-stage", STAGE, "tmpfs", quiet, "size=1m,nr_inodes=1k,mode=0755")
    staged = {"/tmp": f"{STAGE}/tmp", "/dev/shm": f"{STAGE}/shm"}  # noqa: S108
    owner = f"mode=0700,uid={uid},gid={gid}"
    sizes = {"/tmp": (policy.tmp, policy.tmp_inodes), "/dev/shm": (SHM, 64)}  # noqa: S108
    for target, (size, inodes) in sizes.items():
        os.mkdir(staged[target])
        # Whole pages; size=0 would mean no limit at all.
        data = f"size={max(size, 4096)},nr_inodes={inodes},{owner}"
        kernel.mount("tmpfs", staged[target], "tmpfs", quiet, data)
    for number, (bind, source) in enumerate(zip(binds, sources, strict=True)):
        place = f"{STAGE}/{number}"
        if stat.S_ISDIR(os.fstat(source).st_mode):
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        kernel.mount(f"/proc/self/fd/{source}", place, None, kernel.MS_BIND | kernel.MS_REC)
        flags = kernel.MS_NOSUID | kernel.MS_NODEV
        flags |= kernel.MS_NOEXEC if bind.noexec else 0
        kernel.harden_mount(place, flags | (0 if bind.writable else kernel.MS_RDONLY))
        staged[bind.target] = place
    return staged


@functools.cache
def can_stage() -> bool:
    """Whether an ordinary user may mount inside a user namespace here, by having tried in a child.

    Ubuntu's AppArmor allows the namespace and refuses the mount; to bubblewrap it may allow both.
    """
    pid = os.fork()
    if pid == 0:
        try:
            kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
            kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_SLAVE)
            kernel.mount("none", STAGE, "tmpfs", kernel.MS_NOEXEC, "size=64k")
        except OSError:
            os._exit(1)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def view(
    argv: Sequence[str], policy: Policy
) -> tuple[tuple[Bind, ...], tuple[tuple[str, str], ...]]:
    """All binds of a launch, the interpreter's among them, in the order to mount; and its links."""
    given = {bind.target for bind in policy.binds}
    needed, links = interpreter(argv[0])
    binds = [*policy.binds, *(bind for bind in needed if bind.target not in given)]
    return tuple(sorted(binds, key=lambda bind: bind.target)), links


def arguments(
    policy: Policy,
    binds: Sequence[Bind],
    links: Sequence[tuple[str, str]],
    staged: Mapping[str, str],
    *,
    files: Mapping[str, int],
    seccomp: int | None,
) -> list[str]:
    """Options of bubblewrap. `files`: path -> descriptor with its content. `staged` may be empty."""
    args = ["--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts"]
    args += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "plugin"]
    if os.geteuid() == 0:
        args += ["--cap-drop", "ALL"]
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            args += ["--cap-add", capability]
    else:
        args += ["--unshare-user"]
        if "--disable-userns" in options(tool("bwrap")):
            args += ["--disable-userns"]
    args += _system([*(bind.target for bind in binds), *(path for _, path in links)], files)
    args += ["--proc", "/proc", "--dev", "/dev"]
    for path in filter(os.path.exists, MASKED):
        args += ["--ro-bind", "/dev/null", path]
    args += _temporary(policy, binds, staged)
    for content, path in links:
        args += ["--symlink", content, path]
    for bind in binds:
        how = "--bind" if bind.writable else "--ro-bind"
        args += [how, staged.get(bind.target, bind.source), bind.target]
    for place in ("/proc", "/dev", "/"):  # /proc: a namespace's own knobs, and oom_score_adj
        args += ["--remount-ro", place]
    args += ["--chdir", policy.workdir]
    if seccomp is not None:
        args += ["--seccomp", str(seccomp)]
    return args


def _temporary(policy: Policy, binds: Sequence[Bind], staged: Mapping[str, str]) -> list[str]:
    args: list[str] = []
    for target, size in (("/tmp", policy.tmp), ("/dev/shm", SHM)):  # noqa: S108
        if target in staged:
            args += ["--bind", staged[target], target]
        else:
            args += ["--perms", "0700", "--size", str(max(size, 4096)), "--tmpfs", target]
    for folder in _parents((bind.target for bind in binds), inside="/tmp"):  # noqa: S108
        args += ["--perms", "0755", "--dir", folder]
    return args


def _system(targets: Sequence[str], files: Mapping[str, int]) -> list[str]:
    args: list[str] = []
    for folder in SYSTEM:
        if os.path.islink(folder):
            args += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            args += ["--ro-bind", folder, folder]
    etc = [path for path in ETC if os.path.exists(path)]
    for folder in _parents([*etc, *targets]):
        # bubblewrap's own parents would be 0700: no way through for another uid.
        args += ["--perms", "0755", "--dir", folder]
    for path in etc:
        args += ["--ro-bind", path, path]
    for path, fd in files.items():
        args += ["--perms", "0444", "--file", str(fd), path]
    return args


def etc_files(policy: Policy) -> dict[str, int]:
    """Descriptors with the synthetic files of /etc, inheritable, ready to be read."""
    found: dict[str, int] = {}
    uid, gid = policy.uid or os.getuid(), policy.gid or os.getgid()
    for path, text in synthetic(uid, gid).items():
        found[path] = memory_file(path, text.encode())
    return found


def memory_file(name: str, content: bytes) -> int:
    """An inheritable descriptor from which `content` can be read."""
    fd = os.memfd_create(name, 0)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    os.set_inheritable(fd, True)
    return fd


def drop(policy: Policy) -> list[str]:
    """The command in between, for root: give up uid, groups and every capability set."""
    if policy.uid is None or policy.gid is None:
        raise ConfineError(f"{policy.name} has no uid and gid: as root each plugin needs its own")
    return [
        tool("setpriv"),
        f"--reuid={policy.uid}",
        f"--regid={policy.gid}",
        "--clear-groups",
        "--inh-caps=-all",
        "--ambient-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
        "--",
    ]


def bound(policy: Policy) -> list[str]:
    """The command in between, for a user: inside its own namespace the kernel counts by itself."""
    return [tool("prlimit"), f"--nproc={policy.pids}", "--"]


def _parents(paths: Iterable[str], *, inside: str | None = None) -> list[str]:
    """Folders that lead to `paths`, outermost first: those `inside` a mount, or all outside of one."""
    found: set[str] = {"/etc", "/run"}
    for path in paths:
        parent = os.path.dirname(path)
        while parent not in {"", "/"} and parent not in found:
            found.add(parent)
            parent = os.path.dirname(parent)
    if inside is not None:
        return sorted(folder for folder in found if folder.startswith(f"{inside}/"))
    taken = ("/usr", "/proc", "/dev", "/tmp", "/bin", "/sbin", "/lib", "/lib64", "/lib32")  # noqa: S108
    return sorted(f for f in found if not any(f == t or f.startswith(f"{t}/") for t in taken))
