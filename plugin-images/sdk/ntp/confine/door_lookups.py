"""Looking up hosts in a process that has a door: the standard library's functions, answered by ours."""

import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from ntp.confine.door_client import port_number


class Question(NamedTuple):
    """What `getaddrinfo` was asked. `kind`: its `type`."""

    host: str
    port: int
    family: int
    kind: int
    flags: int


def install(
    answer: Callable[[Question], list[Any]], by_name: Callable[[str], str]
) -> Callable[[], None]:
    """Replace `getaddrinfo` and `gethostbyname` in this process; return what undoes it.

    Args:
        answer: `getaddrinfo` for a place to connect to; addresses to listen at stay the system's.
        by_name: `gethostbyname`.
    """
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
        name = host.decode() if isinstance(host, bytes) else host
        return answer(Question(name, port_number(port), family, type, flags))

    def undo() -> None:
        standard.getaddrinfo, standard.gethostbyname = real_getaddrinfo, real_gethostbyname

    standard.getaddrinfo, standard.gethostbyname = getaddrinfo, by_name
    return undo
