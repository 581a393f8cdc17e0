"""The rules around a network of a plugin's own: what it may send, and that nobody begins to talk to it.

They lie in the plugin's own network namespace, written there from outside: nothing of the machine's own
rules is touched, nothing is left when the namespace goes, and a plugin without CAP_NET_ADMIN cannot
change them. Routes would not do: a socket bound to an interface goes around them. Blocking.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from orchestrator.errors import ActionError, Problem

TOOLS = {
    "nsenter": "util-linux",
    "iptables-restore": "iptables",
    "iptables-save": "iptables",
    "ip6tables-restore": "iptables",
}
"""What writes rules, and the package that has it."""
CALL_S = 10.0
REASON = "NetworkRefused"
_CHAINS = ("INPUT", "FORWARD", "OUTPUT")
# The engine's own resolver listens here, in the plugin's namespace: it would carry anything to anybody.
_RESOLVER = "127.0.0.11/32"
_COUNTED = re.compile(r"^\[(\d+):\d+\] -A OUTPUT .*-j REJECT", re.MULTILINE)


def obstacle(engine: str, *, uid: int | None = None, path: str = "") -> Problem | None:
    """Return why no rules can be written around a network of this engine, and what to do; None: they can.

    What only a start can find out (an engine that writes no rules) is told by that.

    Args:
        engine: its URL.
        uid: who would write them; None: we.
        path: where programs are looked for; empty: where we find ours.
    """
    user = os.geteuid() if uid is None else uid
    take_out = "or take `mode: own` out and let the door hand out its connections"
    if user != 0:
        why = f"only root can fence in: we are user {user}"
        return Problem("environment", 0, 0, why, f"run the controller as root, {take_out}")
    if not engine.startswith("unix://"):
        why = f"can be fenced in on the engine's own machine alone: DOCKER_HOST was {engine}"
        fix = f"run the controller there, with the engine's socket as DOCKER_HOST, {take_out}"
        return Problem("environment", 0, 0, why, fix)
    absent = [tool for tool in TOOLS if shutil.which(tool, path=path or _path()) is None]
    if absent:
        why = f"cannot be fenced in without {', '.join(absent)}: not installed"
        fix = f"apt-get install {' '.join(sorted({TOOLS[tool] for tool in absent}))}, {take_out}"
        return Problem("environment", 0, 0, why, fix)
    return None


def insist_possible(engine: str) -> None:
    """Raise ActionError where we cannot write rules; a plugin is never started without them."""
    found = obstacle(engine)
    if found is not None:
        raise refused(f"it {found.message}; {found.fix}")


def refused(words: str, *, permanent: bool = True) -> ActionError:
    return ActionError(f"a network of its own: {words}", reason=REASON, permanent=permanent)


@contextmanager
def namespace(pid: int, container: str) -> Iterator[int]:
    """Yield a descriptor of the network namespace of a container's process.

    Raises:
        ActionError: the process is gone or another one's, or its engine is not on this machine.
    """
    try:
        with Path(f"/proc/{pid}/ns/net").open("rb") as file:
            # Asked after it was opened: a number may be used again, a descriptor stays what it is.
            groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
            if container not in groups or same(f"/proc/{pid}/ns/net", "/proc/self/ns/net"):
                raise refused("the engine does not run on this machine: its rules are out of reach")
            yield file.fileno()
    except OSError as error:
        raise refused(f"its namespace cannot be entered: {error}", permanent=False) from error


def same(one: str, other: str) -> bool:
    """Whether both are one namespace; OSError: one of them is gone."""
    return Path(one).samefile(other)


def put_up(within: int, allowed: Sequence[tuple[str, int]]) -> str:
    """Let only `allowed` (IPv4 address, port) be reached, by TCP and UDP; return what `holds` compares.

    Raises:
        ActionError: the kernel did not take it, or took something else.
    """
    _run(within, ["iptables-restore"], "\n".join(_rules(allowed)))
    if _has_ipv6():
        _run(within, ["ip6tables-restore"], "\n".join(_no_ipv6()))
    found = saved(within)
    wanted = [rule for rule in _rules(allowed) if rule.startswith("-A ")]
    there = [line.partition("] ")[2] for line in found.splitlines() if line.startswith("[")]
    closed = all(f":{chain} DROP " in found for chain in _CHAINS)
    if not closed or len(there) != len(wanted):
        raise refused(f"the rules around it are not what was written:\n{found}", permanent=False)
    return digest(found)


def saved(within: int) -> str:
    """The rules that hold, with their counters."""
    return _run(within, ["iptables-save", "-c", "-t", "filter"], "")


def digest(rules: str) -> str:
    """Name rules without their counters."""
    kept = [re.sub(r"\[\d+:\d+\] ?", "", line) for line in rules.splitlines() if line[:1] != "#"]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]


def refusals(rules: str) -> int:
    """How many packets were refused."""
    return sum(int(count) for count in _COUNTED.findall(rules))


def masquerades(engine_pid: int, subnet: str) -> bool:
    """Whether the engine lets that subnet out: it does not where it runs without rules of its own."""
    with Path(f"/proc/{engine_pid}/ns/net").open("rb") as file:
        rules = _run(file.fileno(), ["iptables-save", "-t", "nat"], "")
    return any(f"-s {subnet} " in line and "MASQUERADE" in line for line in rules.splitlines())


def addresses_of(pid: int) -> frozenset[str]:
    """The IPv4 addresses that the machine of a process answers to."""
    found, last = set(), ""
    table = Path(f"/proc/{pid}/net/fib_trie").read_text(encoding="ascii", errors="replace")
    for line in table.splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            last = words[1]
        elif words[1:] == ["host", "LOCAL"]:
            found.add(last)
    return frozenset(found)


def interfaces(pid: int) -> frozenset[str]:
    """Names of the interfaces beside the loopback that a process has; none: it is cut off, or gone."""
    try:
        table = Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    return frozenset(line.partition(":")[0].strip() for line in table.splitlines()[2:]) - {"lo"}


def _rules(allowed: Sequence[tuple[str, int]]) -> Iterator[str]:
    yield "*filter"
    yield from (f":{chain} DROP [0:0]" for chain in _CHAINS)
    yield "-A INPUT -i lo -j ACCEPT"
    yield "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    yield f"-A OUTPUT -d {_RESOLVER} -j REJECT"
    yield "-A OUTPUT -o lo -j ACCEPT"
    for address, port in allowed:
        for protocol in ("tcp", "udp"):
            yield (
                f"-A OUTPUT -d {IPv4Address(address)}/32 -p {protocol} -m {protocol} "
                f"--dport {int(port)} -j ACCEPT"
            )
    # Who is not let out hears it at once.
    yield "-A OUTPUT -p tcp -j REJECT --reject-with tcp-reset"
    yield "-A OUTPUT -j REJECT --reject-with icmp-port-unreachable"
    yield "COMMIT\n"


def _no_ipv6() -> Iterator[str]:
    yield "*filter"
    yield from (f":{chain} DROP [0:0]" for chain in _CHAINS)
    yield "COMMIT\n"


def _has_ipv6() -> bool:
    return Path("/proc/net/if_inet6").exists()


def _path() -> str:
    """Where programs are; of root's own too, which not every way to become root looks for."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _run(within: int, words: Sequence[str], text: str) -> str:
    command = ["nsenter", f"--net=/proc/self/fd/{within}", "--", *words]
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=CALL_S,
            check=False,
            pass_fds=(within,),
            env={"PATH": _path()},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise refused(f"{words[0]} did not do its work: {error}", permanent=False) from error
    if done.returncode:
        raise refused(f"{words[0]}: {done.stderr.strip()[:300]}", permanent=False)
    return done.stdout
