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
    )

    def __init__(self, link: socket.socket) -> None:
        self.link: socket.socket | None = link
        self.tcp: socket.socket | None = None
        self.host = ""
        self.port = 0
        self.by_name = False
        """The allow-list names a name, not an address."""
        self.addresses: list[tuple[int, str]] = []
        """Family and address, still to be tried."""
        self.step: Callable[[], None] = lambda: None
        self.deadline = 0.0
        self.expired: Callable[[], None] = lambda: None
