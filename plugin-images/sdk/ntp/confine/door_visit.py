"""One question at the door, on its way to an answer."""

import socket
from collections.abc import Callable


class Visit:
    """One question on its way."""

    __slots__ = (
        "addresses",
        "by_name",
        "deadline",
        "expired",
        "host",
        "link",
        "port",
        "step",
        "tcp",
        "to",
    )

    def __init__(self, link: socket.socket) -> None:
        self.link: socket.socket | None = link
        self.tcp: socket.socket | None = None
        self.host = ""
        self.port = 0
        self.to: tuple[str, int] | None = None
        """Where it is led instead; None: it is the real one."""
        self.by_name = False
        """The allow-list names a name, not an address."""
        self.addresses: list[tuple[int, str]] = []
        """Family and address, still to be tried."""
        self.step: Callable[[], None] = lambda: None
        self.deadline = 0.0
        self.expired: Callable[[], None] = lambda: None

    def shown(self) -> str:
        """Return the place that was asked for, and where it is led."""
        place = f"{self.host}:{self.port}"
        return place if self.to is None else f"{place}, led to {self.to[0]}:{self.to[1]}"
