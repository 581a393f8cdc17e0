"""What really surrounds a running plugin, read from outside, in words for its owner.

Nothing here asks the plugin or trusts the policy: /proc and the control group are the witnesses. One
thing leaves no trace in /proc: Landlock, without which `sandbox.spawn` refuses tier 1.
"""
# ruff: noqa: PTH115  # see files.py

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ntp.confine import kernel, limits, tree
from ntp.confine.cgroup import Group
from ntp.confine.files import read, until
from ntp.confine.policy import MIB, Policy

_STARTS_S = 8.0
_NO_BURST = "keeps no unused CPU time: needs Linux 5.14, and control groups that we may write"
_LAUNCHERS = frozenset({"bwrap", "setpriv", "prlimit"})
NO_NETWORK = "no network but what the door hands out"
_NAMESPACES = {
    "pid": ("cannot see other processes", "can see the machine's processes"),
    "mnt": ("sees only the files it needs", "sees the machine's files as far as rights go"),
    "net": (NO_NETWORK, "shares the machine's network"),
    "ipc": ("shared memory of its own", "shares the machine's shared memory"),
    "uts": ("a host name of its own", "sees the machine's host name"),
}


@dataclass(frozen=True, slots=True)
class _Facts:
    """Lines of /proc/PID/status, and what else is read once."""

    status: Mapping[str, str]
    namespaces: frozenset[str]
    """Those that are not ours."""
    mounts: Mapping[str, frozenset[str]]
    """Mount point -> options, as the plugin sees them."""
    limits: str

    @property
    def host_uids(self) -> set[int]:
        return {int(word) for word in self.status.get("Uid", "").split()}

    @property
    def capable(self) -> bool:
        """Whether it has a capability now, or could win one by executing a file."""
        sets = ["CapEff", "CapPrm", "CapInh", "CapAmb"]
        if self.status.get("NoNewPrivs") != "1":
            sets.append("CapBnd")
        return any(int(self.status.get(name, "1"), 16) for name in sets)

    @property
    def enclosed(self) -> bool:
        return {"pid", "mnt", "net"} <= self.namespaces and "ro" in self.mounts.get("/", ())


def isolation(
    pid: int, policy: Policy, group: Group | None
) -> tuple[int, tuple[str, ...], tuple[str, ...]] | None:
    """Return (tier, active, missing) of the plugin behind `pid` (what `sandbox.spawn` returned).

    Waits shortly until the launchers have handed over. None: it ended before all was read, and what
    surrounded it nobody knows.
    """
    plugin = _settled(pid)
    if plugin is None:
        return None
    facts = _look(plugin)
    if not tree.alive(plugin):
        return None
    active: list[str] = []
    missing: list[str] = []

    def note(holds: object, good: str, bad: str) -> None:
        active.append(good) if holds else missing.append(bad)

    uids = facts.host_uids
    own = bool(uids) and 0 not in uids and uids != {os.geteuid()}
    note(
        own,
        f"a user id of its own ({min(uids, default=0)})",
        "it runs under your own user id: needs root",
    )
    note(not facts.capable, "no capabilities", "it has capabilities")
    note(facts.status.get("NoNewPrivs") == "1", "no new privileges", "it may gain privileges")
    note(
        facts.status.get("Seccomp") == "2",
        "system call filter",
        "system call filter: install libseccomp (apt-get install libseccomp2)",
    )
    for name, (good, bad) in _NAMESPACES.items():
        note(name in facts.namespaces, good, f"{bad}: needs bubblewrap")
    tier = _tier(facts, policy)
    if facts.enclosed:
        _files(facts, note)
    elif tier == 1:
        _landlock(policy, note)
    _limits(plugin, group, policy, note)
    note(
        f" {policy.nofile} " in _line(facts.limits, "Max open files"),
        f"at most {policy.nofile} open files",
        "the number of open files is not limited",
    )
    return tier, tuple(active), tuple(missing)


def _settled(pid: int) -> int | None:
    found: list[int] = []

    def handed_over() -> bool:
        plugin = tree.plugin(pid)
        found[:] = [] if plugin is None else [plugin]
        if plugin is None:
            return True
        try:
            return os.path.basename(os.readlink(f"/proc/{plugin}/exe")) not in _LAUNCHERS  # noqa: PTH119
        except OSError:
            return not tree.alive(plugin)

    until(handed_over, _STARTS_S)
    return found[0] if found else None


def _look(plugin: int) -> _Facts:
    status = dict(
        line.split(":", 1) for line in read(f"/proc/{plugin}/status").splitlines() if ":" in line
    )
    mounts: dict[str, frozenset[str]] = {}
    for line in read(f"/proc/{plugin}/mountinfo").splitlines():
        words = line.split()
        mounts[words[4]] = frozenset(words[5].split(","))  # a later one covers an earlier one
    return _Facts(
        {key: value.strip() for key, value in status.items()},
        frozenset(name for name in (*_NAMESPACES, "user") if _differs(plugin, name)),
        mounts,
        read(f"/proc/{plugin}/limits"),
    )


def _differs(plugin: int, namespace: str) -> bool:
    try:
        theirs = os.readlink(f"/proc/{plugin}/ns/{namespace}")
    except OSError:
        return False  # not to be read is not proven
    return theirs != os.readlink(f"/proc/self/ns/{namespace}")


def _tier(facts: _Facts, policy: Policy) -> int:
    if not facts.host_uids or 0 in facts.host_uids or facts.capable:
        return 0
    if facts.status.get("NoNewPrivs") != "1":
        return 0
    if facts.enclosed:
        return 2 if "user" in facts.namespaces else 3
    return 1 if policy.tier in {1, None} and kernel.landlock_abi() else 0


_Note = Callable[[object, str, str], None]


def _files(facts: _Facts, note: _Note) -> None:
    note("ro" in facts.mounts.get("/", ()), "a read-only system", "the system can be written")
    quiet = frozenset({"/proc"})
    for place, options in sorted(facts.mounts.items()):
        if "rw" in options and not place.startswith("/dev/") and place not in quiet:
            note(
                "noexec" in options,
                f"nothing can be executed in {place}",
                f"files in {place} can be executed",
            )


def _landlock(policy: Policy, note: _Note) -> None:
    abi = kernel.landlock_abi()
    note(abi, f"files by Landlock (version {abi})", "files by Landlock")
    note(abi >= 4, "cannot connect by itself", "can connect by itself: needs Linux 6.7")
    note(abi >= 6, "cannot signal other programs", "can signal your programs: needs Linux 6.12")
    note(abi >= 9, "no Unix sockets of others", "can reach your programs' Unix sockets")
    if policy.scratch is not None:
        note(False, "", f"temporary files in {policy.scratch} have no limit of size")


def _limits(plugin: int, group: Group | None, policy: Policy, note: _Note) -> None:
    inside = group is not None and plugin in group.pids()
    enforced = limits.enforced(dict(group.folders)) if group is not None and inside else {}
    why = {text.split(":")[0]: text for text in (group.missing if group is not None else ())}
    words = limit_words(dict(group.folders)) if group is not None and inside else {}
    for limit in limits.LIMITS:
        bad = why.get(f"{limit} limit", f"{limit} limit: needs a control group")
        note(limit in enforced, words.get(limit, ""), bad)
    if "burst" in words:
        note(True, words["burst"], "")
    if "swap limit" in why:
        note(False, "", why["swap limit"])
    if "memory" not in enforced and f"{policy.memory}" in _line(
        read(f"/proc/{plugin}/limits"), "Max data size"
    ):
        note(True, f"memory of each process {policy.memory / MIB:.0f} MiB", "")


def updated(
    active: Sequence[str], before: Mapping[str, str], now: Mapping[str, str]
) -> tuple[str, ...]:
    """Return `active` after limits were changed in place; `before` and `now`: from `limit_words`."""
    renamed = {words: now[limit] for limit, words in before.items() if limit in now}
    return tuple(renamed.get(words, words) for words in active)


def limit_words(folders: Mapping[str, str]) -> dict[str, str]:
    """Say what the kernel holds a control group to now: memory, cpu, pids, and the burst of cpu."""
    enforced = limits.enforced(folders)
    words: dict[str, str] = {}
    if "memory" in enforced:
        words["memory"] = f"memory {enforced['memory'] / MIB:.0f} MiB"
    if "cpu" in enforced:
        words["cpu"] = f"{enforced['cpu']:g} CPU cores"
        # A fact, no border: without it a start takes longer, and that is all.
        burst = limits.burst_us(folders) / 1000
        words["burst"] = f"keeps up to {burst:g} ms of unused CPU time" if burst else _NO_BURST
    if "pids" in enforced:
        words["pids"] = f"{enforced['pids']:.0f} processes and threads"
    return words


def _line(text: str, start: str) -> str:
    return next((line for line in text.splitlines() if line.startswith(start)), "")
