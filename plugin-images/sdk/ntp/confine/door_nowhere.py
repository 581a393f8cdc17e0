"""For a plugin whose entry allows no host: whoever asks for one is told so, by name, and counted.

It may make no AF_INET socket, so a connection cannot even be begun; without this its author would
read "Name or service not known" and look for the mistake in the network. Only the question is
carried to the door, which refuses it as it refuses any other place.
"""

import errno
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from ntp.confine import door_client

DEADLINE = 30.0
"""Seconds for a door that neither answers nor closes."""


def install(door: str) -> Callable[[], None]:
    """Have every look-up of a host in this process refused by the door; return what undoes it."""
    standard: Any = socket
    real_getaddrinfo, real_gethostbyname = socket.getaddrinfo, socket.gethostbyname

    def getaddrinfo(  # noqa: PLR0917 (the standard library's signature)
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 (the name in the standard library)
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        if host is None or flags & socket.AI_PASSIVE:
            return real_getaddrinfo(host, port, family, type, proto, flags)
        _ask(door, host.decode() if isinstance(host, bytes) else host, port)

    def gethostbyname(hostname: str) -> str:
        _ask(door, hostname, None)

    def undo() -> None:
        standard.getaddrinfo, standard.gethostbyname = real_getaddrinfo, real_gethostbyname

    standard.getaddrinfo, standard.gethostbyname = getaddrinfo, gethostbyname
    return undo


def _ask(door: str, host: str, port: bytes | str | int | None) -> NoReturn:
    number = door_client.port_number(port)
    if number:
        # Refused here; only the broker would be let in, which the runner reaches and its plugin does not.
        door_client.connect(door, host, number, DEADLINE).close()
    raise ConnectionRefusedError(
        errno.ECONNREFUSED, f"{host} is refused: network.egress of its entry names no host"
    )
