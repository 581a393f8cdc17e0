"""What an entry cannot have together with a network of its own (`network.mode: own`)."""

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Sequence

from orchestrator.errors import Problem
from orchestrator.spec.declared import Entry
from orchestrator.spec.egress import written
from orchestrator.spec.model import Detour, HostPort

_DOOR = "take 'mode: own' out: the door hands out its connections"


def problems(
    entry: Entry, reached: Sequence[HostPort], detours: Collection[Detour]
) -> Iterator[Problem]:
    """Yield what is wrong with the hosts of an entry that has a network of its own.

    Args:
        entry: says `network.mode: own`.
        reached: the hosts that it may reach.
        detours: those of them that lead somewhere else.
    """
    if not reached:
        fix = "name its hosts: network: {mode: own, egress: ['host:443']}"
        yield entry.problem(
            ("network", "mode"), "mode was own, and the entry names no host to reach in it", fix
        )
    listed = list(entry.fields["network"].get("egress", ()))
    for host in reached:
        if why := _unfit(host):
            path = ("network", "egress", listed.index(host)) if host in listed else ("network",)
            message = f"'{written(host)}' is {why}, which a network of its own never reaches"
            yield entry.problem(path, message, _DOOR)
    for each in detours:
        message = f"NTP_EGRESS_MAP leads {each.place} to {each.to}, past which own networks go"
        yield entry.problem(("network", "mode"), message, _DOOR)


def not_here(entries: Iterable[Entry], why: Problem) -> Iterator[Problem]:
    """Yield a problem for each entry that wants one where the runtime cannot give it. `why`: its words."""
    for entry in entries:
        if entry.fields.get("network", {}).get("mode") == "own":
            yield entry.problem(("network", "mode"), f"mode was own, which {why.message}", why.fix)


def _unfit(place: HostPort) -> str:
    if place.host == "localhost" or place.host.endswith(".localhost"):
        return "this machine"
    try:
        address = ipaddress.ip_address(place.host)
    except ValueError:
        return ""
    if address.version != 4:
        return "an IPv6 address"
    return "" if address.is_global else "an address of this machine or a private network"
