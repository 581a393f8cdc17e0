"""The one way out of a plugin's process: its door, or on a cluster the egress proxy.

`install` has unmodified code use it from then on. A process has one network, so there is one way at a time.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Protocol

from ntp.confine.door_refusals import Counts


class Way(Protocol):
    """Who is asked for a connection to `host`:`port`.

    Both methods return a connected TCP socket, and raise DoorRefusedError where the entry does not allow
    the place, `socket.gaierror` for no such name, and OSError with the errno of a connect that failed.
    """

    @property
    def name(self) -> str:
        """What it is called in a sentence."""

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """Block at most `timeout` seconds in each wait."""

    async def open_async(self, host: str, port: int) -> socket.socket:
        """As `connect`, on the running loop; the deadline is the caller's."""


_installed: Way | None = None


def install(way: Way, *, closed: bool = False) -> Callable[[], None]:
    """Have unmodified code use this way from now on; returns the way back.

    Args:
        way: where to ask.
        closed: no host is allowed: whoever looks one up is refused at once, by name.
    """
    global _installed  # noqa: PLW0603 - a process has one network
    from ntp.confine import door_everywhere, door_nowhere

    undo = (door_nowhere if closed else door_everywhere).install(way)
    _installed = way

    def back() -> None:
        global _installed  # noqa: PLW0603
        undo()
        _installed = None

    return back


def installed() -> str:
    """What every connection of this process goes through; empty: nothing, it connects as usual."""
    return _installed.name if _installed is not None else ""


def refused() -> Mapping[str, int]:
    """What was refused, host:port -> count, where this process is who counts it."""
    counts = getattr(_installed, "refused", None)
    return dict(counts.counts) if isinstance(counts, Counts) else {}
