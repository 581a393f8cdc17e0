"""Looking names up at the door, without waiting for them; imported by doors that meet a name."""
# ruff: noqa: SIM105  # see files.py: contextlib costs memory in every door

import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

RESOLVERS = 4
WAITING = 64
"""Names for which no resolver was free yet: while all hang, a plugin may ask on and on."""

Addresses = list[tuple[int, str]]
"""Family and address."""
LookUp = Callable[[str, int], tuple[Addresses, int, str]]
"""Host and port to addresses, or the resolver's error and its words."""


class Names:
    """Looks names up in a few threads; a lookup that hangs holds one of them and nothing else.

    `bell` is readable when there are answers.
    """

    def __init__(self, look_up: LookUp | None, resolvers: int = RESOLVERS) -> None:
        self._look_up = look_up or by_system
        self._asked: SimpleQueue[tuple[Any, str, int]] = SimpleQueue()
        self._found: SimpleQueue[tuple[Any, Addresses, int, str]] = SimpleQueue()
        self.bell, self._ring = socket.socketpair()
        self.bell.setblocking(False)
        self._ring.setblocking(False)
        for _ in range(resolvers):
            threading.Thread(target=self._work, daemon=True).start()

    def ask(self, asker: Any, host: str, port: int) -> bool:
        """Queue a name; its answer comes with `asker`. False: too many wait, whose askers may be gone."""
        if self._asked.qsize() >= WAITING:
            return False
        self._asked.put((asker, host, port))
        return True

    def answers(self) -> list[tuple[Any, Addresses, int, str]]:
        """Return what was found since: asker, addresses, or the resolver's error and its words."""
        try:
            self.bell.recv(4096)
        except BlockingIOError:
            pass
        found = []
        while not self._found.empty():
            found.append(self._found.get())
        return found

    def _work(self) -> None:
        while True:
            asker, host, port = self._asked.get()
            self._found.put((asker, *self._look_up(host, port)))
            try:
                self._ring.send(b"!")
            except BlockingIOError:
                pass  # it rings already


def by_system(host: str, port: int) -> tuple[Addresses, int, str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return [], error.errno or socket.EAI_NONAME, error.strerror or "no such name"
    except (OSError, UnicodeError) as error:
        return [], socket.EAI_NONAME, str(error)
    addresses = [
        (int(family), str(address[0]))
        for family, _, _, _, address in found
        if family in {socket.AF_INET, socket.AF_INET6}
    ]
    return addresses, socket.EAI_NONAME, "no such name"
