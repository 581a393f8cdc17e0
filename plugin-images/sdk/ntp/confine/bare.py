"""Tiers 1 and 0: confinement of the calling process itself, where no namespaces can be made."""
# ruff: noqa: PTH110  # see files.py

import contextlib
import os
import sys
from collections.abc import Sequence

from ntp.confine.policy import ConfineError, Policy
from ntp.confine.view import ETC, SYSTEM, interpreter

_READABLE = (
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
)


def enter(
    policy: Policy, argv: Sequence[str], *, landlocked: bool, program: bytes | None, parent: int
) -> None:
    """Give up what can be given up; `program` is the compiled system call filter.

    ConfineError or OSError for a step that the kernel refuses: the caller must not go on.
    """
    _drop(policy)
    if sys.platform != "linux":
        return
    from ntp.confine import kernel, landlock

    follow(parent)
    kernel.no_new_privileges()
    if landlocked:
        abi = kernel.landlock_abi()
        if not abi:
            raise ConfineError("this kernel has no Landlock: boot with lsm=landlock, or use tier 0")
        landlock.restrict(_allowed(policy, argv), abi)
    if program is not None:
        kernel.install_filter(program)
    os.chdir(policy.scratch or "/")


def follow(parent: int) -> None:
    """Die with the shim. A change of uid forgets it, hence after `_drop`."""
    from ntp.confine import kernel

    if not kernel.live_with(parent):
        os._exit(127)


def _drop(policy: Policy) -> None:
    if os.geteuid() != 0:
        return
    if policy.uid is None or policy.gid is None:
        raise ConfineError(f"{policy.name} has no uid and gid: as root each plugin needs its own")
    if sys.platform == "linux":
        from ntp.confine import kernel

        with contextlib.suppress(OSError):
            kernel.drop_bounding_set()
        with contextlib.suppress(OSError):
            kernel.new_session_keyring()
    os.setgroups([])
    os.setresgid(policy.gid, policy.gid, policy.gid)
    os.setresuid(policy.uid, policy.uid, policy.uid)
    for bind in policy.binds:
        # Without a mount of its own the plugin walks there itself.
        if not os.path.exists(bind.source):
            raise ConfineError(
                f"user id {policy.uid} cannot reach {bind.source}: install bubblewrap, or open the "
                "folders on the way (chmod a+x)"
            )


def _allowed(policy: Policy, argv: Sequence[str]) -> list[tuple[str, int]]:
    from ntp.confine import landlock

    run = landlock.READ | landlock.EXECUTE
    allowed = [(path, run) for path in SYSTEM]
    allowed += [(path, landlock.READ) for path in (*ETC, *_READABLE, f"/proc/{os.getpid()}")]
    allowed += [("/dev/null", landlock.READ | landlock.WRITE_FILE)]
    for bind in (*policy.binds, *interpreter(argv[0])[0]):
        rights = landlock.READ | landlock.RESOLVE_UNIX
        rights |= landlock.WRITE if bind.writable else 0
        rights |= 0 if bind.noexec else landlock.EXECUTE
        allowed.append((bind.source, rights))
    if policy.scratch is not None:
        allowed.append((policy.scratch, landlock.READ | landlock.WRITE))
    return allowed
