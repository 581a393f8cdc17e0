"""Where the declared hosts of a network of a plugin's own lead: looked up once, by us. Blocking.

A look-up has the deadline of the machine's resolver.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Any

from ntp.confine.addresses import objection
from orchestrator.runtime.docker import fence
from orchestrator.spec.model import HostPort

ADDRESSES = 16
"""Of one name, at most."""
LookUp = Callable[..., Sequence[tuple[Any, ...]]]
Pins = tuple[tuple[HostPort, tuple[str, ...]], ...]
"""Each declared host with the addresses that its name led to when the network was made."""


def pinned(wanted: Sequence[HostPort], machine: frozenset[str], look_up: LookUp) -> Pins:
    """Look each host up.

    Args:
        wanted: the declared hosts.
        machine: addresses of the engine's machine, which may be public ones.
        look_up: as `socket.getaddrinfo`.

    Raises:
        ActionError: (NetworkRefused) one leads to no public address of somebody else.
    """
    return tuple((host, _led(host, machine, look_up)) for host in wanted)


def _led(place: HostPort, machine: frozenset[str], look_up: LookUp) -> tuple[str, ...]:
    try:
        answers = look_up(place.host, place.port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError as error:
        raise fence.refused(
            f"{place.host} leads to no IPv4 address: {error.strerror or error}", permanent=False
        ) from error
    found = sorted({str(each[4][0]) for each in answers})
    good = [each for each in found if objection(each, written=False) is None]
    if good := [each for each in good if each not in machine]:
        return tuple(good[:ADDRESSES])
    raise fence.refused(
        f"{place.host} leads to {', '.join(found)}, which is this machine or a private network: "
        "only the door hands out such a connection, to an address that network.egress names",
        permanent=False,
    )
