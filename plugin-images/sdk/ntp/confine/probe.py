"""Which tier of sandbox works on this machine: by really starting one, not by asking for versions.

For `ntpctl doctor` and for the choice of a policy's tier. Each tier that could be had starts a tiny
program inside, looks at it from outside, and is believed only then.
"""

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

from ntp.confine import bubblewrap, cgroup, seccomp, trial
from ntp.confine.files import number, read
from ntp.confine.policy import MIB, ConfineError, Policy

_NUMBERS = re.compile(r"\d+ (MiB|CPU cores|processes and threads|open files)$")
_DEADLINE_S = 60.0
_TRIAL_UID = 59_999  # nobody's on common systems; the trial owns no file
_CLONE = "/proc/sys/kernel/unprivileged_userns_clone"
_MAX = "/proc/sys/user/max_user_namespaces"
_ONE_AT_A_TIME = threading.Lock()
_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"


@dataclass(frozen=True, slots=True)
class Finding:
    """What works here, seen from outside a trial program."""

    tier: int
    active: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """In words; why no higher tier, with the fix, comes first."""
    limits: tuple[str, ...] = ()
    """Of memory, cpu, pids: those that a control group enforces."""


def probe() -> Finding:
    """Try from the strongest tier down; some 100 ms, once a process. Blocks: call it in a thread."""
    with _ONE_AT_A_TIME:  # a cache alone lets two first callers try at once, in one control group
        return _probe()


@functools.cache
def _probe() -> Finding:
    if sys.platform != "linux":
        return Finding(0, missing=(f"no sandbox on {sys.platform}: use Docker Desktop or WSL2",))
    why: list[str] = []
    root = os.geteuid() == 0
    for tier in (3, 1) if root else (2, 1):
        seen = _try(tier, root=root)
        if "late" in seen:  # a busy machine must not cost a plugin its walls
            seen = _try(tier, root=root)
        if "error" not in seen:
            missing = (*why, *_limits_fix(seen["missing"], root=root))
            limits = tuple(seen["limits"])
            return Finding(seen["tier"], _general(seen["active"], limits), missing, limits)
        why.append(explain(tier, seen["error"]))
    return Finding(0, missing=tuple(why))


def explain(tier: int, error: str) -> str:
    """Turn a launcher's complaint into what to do about it."""
    if tier >= 2 and "is not installed" not in error:
        if number(read(_APPARMOR)) == 1 and re.search(r"uid map|RTM_NEWADDR|ermission", error):
            return (
                "Ubuntu's AppArmor keeps user namespaces from bubblewrap: install the package "
                "apparmor-profiles and enable its profile bwrap-userns-restrict, or "
                "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
            )
        if read(_CLONE).strip() == "0":
            return "unprivileged user namespaces are off: sysctl kernel.unprivileged_userns_clone=1"
        if read(_MAX).strip() == "0":
            return "user namespaces are off: sysctl user.max_user_namespaces=15000"
        if re.search(r"nknown option --(perms|size)", error):
            return "bubblewrap is too old: install 0.6 or newer"
        if re.search(r"mount proc|pivot_root|create new namespace|unshare", error):
            return (
                f"no namespaces here ({_first(error)}): inside a container give it the right to "
                "make them (docker run --privileged), or run on the machine itself"
            )
    return f"tier {tier}: {_first(error)}"


def _try(tier: int, *, root: bool) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        program = None
        with contextlib.suppress(ConfineError):  # `verify` says that it is missing, and the fix
            # In memory: whoever is killed here leaves nothing behind.
            program = stack.enter_context(os.fdopen(os.memfd_create("filter"), "w+b"))
            program.write(seccomp.compiled(inet=False))
            program.flush()
        policy = Policy(
            name=f"probe.{os.getpid()}.{tier}",
            memory=128 * MIB,
            cpu=1.0,
            pids=16,
            tmp=MIB,
            uid=_TRIAL_UID if root else None,
            gid=_TRIAL_UID if root else None,
            tier=tier,
            seccomp=None if program is None else f"/proc/self/fd/{program.fileno()}",
        )
        return _run(policy, [] if program is None else [program.fileno()])


def _run(policy: Policy, descriptors: list[int]) -> dict[str, Any]:
    complaint = ""
    try:
        done = subprocess.run(
            [os.path.realpath(sys.executable), "-I", "-S", trial.__file__, policy.to_json()],
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
            env={"PATH": bubblewrap.PATH},
            pass_fds=descriptors,
        )
        complaint = done.stderr.strip()
        seen: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        if group := cgroup.attach(policy.name):
            group.kill()
            group.remove()
        return {"late": True, "error": f"the trial did not end within {_DEADLINE_S:.0f} s, twice"}
    except ValueError:
        return {"error": complaint or "the trial ended without an answer"}
    if "error" not in seen and seen["tier"] < (policy.tier or 0):
        return {"error": f"it held less than it should: {'; '.join(seen['missing'])}"}
    return seen


def _general(active: list[str], limits: tuple[str, ...]) -> tuple[str, ...]:
    """Without the numbers of the trial, which are nobody's."""
    kept = (re.sub(r" \(\d+\)$", "", text) for text in active)
    return (*(text for text in kept if not _NUMBERS.search(text)), *(f"{n} limit" for n in limits))


def _limits_fix(missing: list[str], *, root: bool) -> list[str]:
    """One line instead of three where every limit lacks for the same reason."""
    limits = [text for text in missing if re.match(r"(memory|cpu|pids) limit: ", text)]
    if len(limits) < 2:
        return missing
    fix = (
        "this machine shows no writable control groups (inside a container: docker run --privileged)"
        if root
        else "run as root, or inside a systemd user session (systemd-run --user --scope ntpctl …)"
    )
    names = ", ".join(text.split(" ", 1)[0] for text in limits)
    rest = [text for text in missing if text not in limits]
    return [f"{names} of the whole plugin are not limited: {fix}", *rest]


def _first(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"
