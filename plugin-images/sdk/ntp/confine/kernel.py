"""The Linux calls that Python 3.11 does not have, through ctypes. Each raises OSError with its name."""

import ctypes
import functools
import os
import signal

from ntp.confine.files import number, read

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC = 32, 1024, 2048, 4096, 16384
MS_PRIVATE, MS_SLAVE, MS_RELATIME = 1 << 18, 1 << 19, 1 << 21
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_PR_CAPBSET_DROP, _SECCOMP_MODE_FILTER = 24, 2
_KEYCTL_JOIN_SESSION_KEYRING = 1
# The same number on every architecture since they were added after the tables were unified.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_KEYCTL = {"x86_64": 250, "i386": 288, "i686": 288}


@functools.cache
def _libc() -> ctypes.CDLL:
    # Late: this module can be imported where there is no such library.
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


class SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _call(name: str, *args: object) -> int:
    result: int = getattr(_libc(), name)(*args)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    _call("unshare", ctypes.c_int(flags))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount, bind or remount. `source` is only a label for a file system without a device."""
    _call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )


def harden_mount(target: str, flags: int) -> None:
    """Add flags to a bind mount and keep those that it has: a user namespace may not clear them."""
    has = os.statvfs(target).f_flag
    keep = has & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)
    if has & 4096:  # ST_RELATIME
        keep |= MS_RELATIME
    mount("none", target, None, MS_REMOUNT | MS_BIND | keep | flags)


def die_with_parent(signum: int) -> None:
    """Cleared by a change of uid: call it after."""
    _call("prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(signum), 0, 0, 0)


def live_with(parent: int) -> bool:
    """Be killed when `parent` ends; False if it has already. Call it after a change of uid.

    `parent` is what the parent itself called its pid *before* it forked us. Asked for afterwards it
    may already name whoever inherited us, and then nobody's end would be ours.
    """
    die_with_parent(signal.SIGKILL)
    return os.getppid() == parent


def no_new_privileges() -> None:
    _call("prctl", _PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)


def drop_bounding_set() -> None:
    """Nothing that is executed from now on can have a capability. Needs CAP_SETPCAP."""
    last = number(read("/proc/sys/kernel/cap_last_cap")) or 40
    for capability in range(last + 1):
        _call("prctl", _PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)


def install_filter(program: bytes) -> None:
    """Install a compiled BPF filter for system calls; needs no_new_privileges before."""
    code = ctypes.create_string_buffer(program, len(program))
    prog = SockFprog(len(program) // 8, ctypes.cast(code, ctypes.c_void_p))
    _call("prctl", _PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(prog), 0, 0)


def new_session_keyring() -> None:
    """Leave the caller's keys behind."""
    call = _KEYCTL.get(os.uname().machine, 219)
    _call("syscall", ctypes.c_long(call), ctypes.c_long(_KEYCTL_JOIN_SESSION_KEYRING), None)


def landlock_abi() -> int:
    """The version of Landlock in this kernel; 0: none, or switched off at boot."""
    try:
        return _call(
            "syscall", ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1)
        )
    except OSError:
        return 0


def landlock_create(attributes: bytes) -> int:
    """Make a ruleset from the bytes of struct landlock_ruleset_attr; return its descriptor."""
    size = ctypes.c_size_t(len(attributes))
    return _call("syscall", ctypes.c_long(_LANDLOCK_CREATE), attributes, size, ctypes.c_uint(0))


def landlock_allow(ruleset: int, rights: int, fd: int) -> None:
    """Allow `rights` beneath the file or folder that `fd` names."""
    rule = rights.to_bytes(8, "little") + fd.to_bytes(4, "little", signed=True)
    _call(
        "syscall",
        ctypes.c_long(_LANDLOCK_ADD),
        ctypes.c_int(ruleset),
        ctypes.c_int(1),
        rule,
        ctypes.c_uint(0),
    )


def landlock_restrict(ruleset: int) -> None:
    _call("syscall", ctypes.c_long(_LANDLOCK_RESTRICT), ctypes.c_int(ruleset), ctypes.c_uint(0))
