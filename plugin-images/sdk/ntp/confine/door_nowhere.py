"""For a plugin whose entry allows no host: whoever asks for one is told so, by name, and counted.

It may make no AF_INET socket, so a connection cannot even be begun; without this its author would
read "Name or service not known" and look for the mistake in the network. Only the question is
carried to the door, which refuses it as it refuses any other place.
"""

import errno
from collections.abc import Callable
from typing import NoReturn

from ntp.confine import door_lookups
from ntp.confine.door_lookups import Question
from ntp.confine.ways import Way

DEADLINE = 30.0
"""Seconds for a door that neither answers nor closes."""


def install(way: Way) -> Callable[[], None]:
    """Have every look-up of a host in this process refused there; return what undoes it."""

    def answer(question: Question) -> NoReturn:
        _ask(way, question.host, question.port)

    def by_name(hostname: str) -> NoReturn:
        _ask(way, hostname, 0)

    return door_lookups.install(answer, by_name)


def _ask(way: Way, host: str, port: int) -> NoReturn:
    if port:
        # Refused here; only the broker would be let in, which the runner reaches and its plugin does not.
        way.connect(host, port, DEADLINE).close()
    raise ConnectionRefusedError(
        errno.ECONNREFUSED, f"{host} is refused: network.egress of its entry names no host"
    )
