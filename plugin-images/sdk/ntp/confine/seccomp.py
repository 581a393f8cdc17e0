"""The system call filter, by name, through libseccomp; compiled once to a file that the shim reads.

Runs beside the controller, never in the shim: the binding is a third party's. An allow-list: what
is on neither list is answered with ENOSYS, as an older kernel would, so that a C library falls back;
what opens the kernel or another process is answered with EPERM. Calls of another architecture (32 bit
on 64) end the process.
"""

import errno
import functools
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from ntp.confine.policy import ConfineError

ALLOWED = """
accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown
clock_getres clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup
dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd
eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod
fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr
fsetxattr fstat fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv futex_wake
futimesat get_robust_list getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups
getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid
getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl ioprio_get kill lchown
lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise
map_shadow_stack membarrier mincore mkdir mkdirat mknod mknodat mlock mlock2 mmap
mprotect mremap mseal msync munlock munlockall munmap nanosleep newfstatat open openat openat2
pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl
pread64 preadv preadv2 prlimit64 pselect6 pwrite64 pwritev pwritev2 read readahead readlink
readlinkat readv recvfrom recvmmsg recvmsg removexattr rename renameat renameat2 restart_syscall
rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity
sched_yield select sendfile sendmmsg sendmsg sendto set_robust_list set_tid_address setgid
setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsockopt
setuid setxattr shutdown sigaltstack signalfd signalfd4 splice stat statfs statx symlink symlinkat
sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun
timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times tkill truncate
umask uname unlink unlinkat utime utimensat utimes vfork wait4 waitid write writev
"""
"""What CPython, asyncio, numpy and the C library use, and their close relatives; and what setpriv
needs on its way out of root. socket, socketpair and clone follow below, by argument. Not memfd_create:
a file in memory can be executed where no file of /tmp can."""

REFUSED = """
acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init
fanotify_mark finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter
io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl mbind
migrate_pages modify_ldt mount mount_setattr move_mount move_pages name_to_handle_at
open_by_handle_at open_tree perf_event_open personality pidfd_getfd pivot_root process_madvise
process_mrelease process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot request_key
set_mempolicy setdomainname sethostname setns setsid settimeofday swapoff swapon syslog umount2
unshare userfaultfd vhangup vmsplice
"""
"""setsid: a plugin without a pid namespace stays in the session by which it is ended."""

_NAMESPACES = 0x7E020000  # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
_TYPE = 0xF  # the rest of a socket's type are flags
_MACHINES = ("x86_64", "aarch64")


def export(folder: Path, *, inet: bool) -> Path:
    """Compile the filter into `folder` and return its file, named by content; made once.

    Args:
        folder: made if absent, not writable for plugins.
        inet: whether AF_INET and AF_INET6 stream sockets may be made. AF_UNIX streams always may.

    Raises:
        ConfineError: libseccomp is missing, or the machine is none that the lists were made for.
        OSError: the disk is full, or refuses; nothing is left of it.
    """
    program = compiled(inet=inet)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seccomp-{hashlib.sha256(program).hexdigest()[:16]}.bpf"
    if not path.exists() or path.read_bytes() != program:
        fd, part = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(program)
            Path(part).chmod(0o444)
            Path(part).replace(path)
        finally:
            Path(part).unlink(missing_ok=True)
    return path


@functools.cache
def compiled(*, inet: bool) -> bytes:
    """The filter as BPF instructions of 8 bytes, for this machine's architecture."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise ConfineError(f"no system call filter for {machine}: use {' or '.join(_MACHINES)}")
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as e:
        raise ConfineError(
            f"no system call filter: {e}: install libseccomp (apt-get install libseccomp2) and "
            "pyseccomp"
        ) from e
    made = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.ENOSYS))
    actions = {_Answer.ALLOW: pyseccomp.ALLOW, _Answer.REFUSE: pyseccomp.ERRNO(errno.EPERM)}
    for answer, name, conditions in _rules(inet=inet):
        try:
            number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
        except OSError:
            continue  # this libseccomp is older than the call: it stays ENOSYS
        arguments = [
            pyseccomp.Arg(index, pyseccomp.EQ, value)
            if mask is None
            else pyseccomp.Arg(index, pyseccomp.MASKED_EQ, mask, value)
            for index, mask, value in conditions
        ]
        if number >= 0:  # negative: not on this architecture
            made.add_rule(actions[answer], number, *arguments)
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def profile(*, inet: bool, datagrams: bool = False) -> str:
    """The same filter as the JSON that a container engine takes; `datagrams`: UDP over IPv4 too.

    An engine from before `defaultErrnoRet` answers EPERM to what is on no list; `clone3`, where the C
    library falls back on ENOSYS alone, has its own line.
    """
    kinds = {_Answer.ALLOW: "SCMP_ACT_ALLOW", _Answer.REFUSE: "SCMP_ACT_ERRNO"}
    plain: dict[_Answer, list[str]] = {}
    calls: list[dict[str, Any]] = []
    for answer, name, conditions in _rules(inet=inet, datagrams=datagrams):
        if not conditions:
            plain.setdefault(answer, []).append(name)
            continue
        arguments = [
            {"index": index, "value": value, "valueTwo": 0, "op": "SCMP_CMP_EQ"}
            if mask is None
            else {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
            for index, mask, value in conditions
        ]
        calls.append({"names": [name], "action": kinds[answer], "args": arguments})
    refusal = {_Answer.REFUSE: {"errnoRet": int(errno.EPERM)}}
    calls += [
        {"names": names, "action": kinds[answer], **refusal.get(answer, {})}
        for answer, names in plain.items()
    ]
    calls.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": int(errno.ENOSYS)})
    return json.dumps(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": int(errno.ENOSYS),
            "archMap": [
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
            ],
            "syscalls": calls,
        }
    )


class _Answer(Enum):
    ALLOW = "allow"
    REFUSE = "refuse"


_Condition = tuple[int, int | None, int]
"""Index of the argument, mask (None: all of it), and what it has to equal."""


def _rules(
    *, inet: bool, datagrams: bool = False
) -> Iterator[tuple[_Answer, str, tuple[_Condition, ...]]]:
    for name in ALLOWED.split():
        yield _Answer.ALLOW, name, ()
    for name in REFUSED.split():
        yield _Answer.REFUSE, name, ()
    # clone3 hides its flags behind a pointer; on ENOSYS the C library falls back to clone.
    yield _Answer.ALLOW, "clone", ((0, _NAMESPACES, 0),)
    yield _Answer.ALLOW, "socketpair", ((0, None, int(socket.AF_UNIX)),)
    kinds = [(socket.AF_UNIX, socket.SOCK_STREAM, 0), (socket.AF_UNIX, socket.SOCK_SEQPACKET, 0)]
    if inet:
        kinds += [
            (family, socket.SOCK_STREAM, protocol)
            for family in (socket.AF_INET, socket.AF_INET6)
            for protocol in (0, socket.IPPROTO_TCP)
        ]
    if datagrams:
        kinds += [
            (socket.AF_INET, socket.SOCK_DGRAM, protocol) for protocol in (0, socket.IPPROTO_UDP)
        ]
    for family, kind, protocol in kinds:
        yield (
            _Answer.ALLOW,
            "socket",
            ((0, None, int(family)), (1, _TYPE, int(kind)), (2, None, int(protocol))),
        )
