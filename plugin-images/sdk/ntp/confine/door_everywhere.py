"""Have unmodified code use the door, or another way out: `websockets`, aiohttp, httpx, requests, urllib and their like.

Three things are replaced at the lowest level, before an author's code is imported: `getaddrinfo`
(and `gethostbyname`) gives each name an address of its own out of 240.0.0.0/4, which nobody has;
connecting a socket to such an address asks the way out for the name and puts the handed socket in its
place; and so does the event loop's `sock_connect`, without blocking the loop. TLS goes on as ever:
the name is checked against the certificate by the client library. uvloop bypasses Python's sockets
and is not served. aiodns, which ccxt brings along and aiohttp then prefers, asks name servers by
itself: it cannot be imported, and aiohttp goes back to `getaddrinfo`.
"""

import asyncio
import errno
import os
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from ntp.confine import door_lookups
from ntp.confine.door_lookups import Question
from ntp.confine.ways import Way

DEADLINE = 30.0
"""Seconds for a door that neither answers nor closes; its own deadlines are shorter."""
_FIRST = int.from_bytes(socket.inet_aton("240.0.0.1"), "big")
_NAMES = 1 << 16
_OWN_RESOLVERS = ("aiodns", "pycares")
_INET = {socket.AF_INET, socket.AF_INET6}


class Book:
    """Which synthetic address stands for which name. Bounded: the oldest names are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, str] = {}
        self._by_address: dict[str, str] = {}
        self._next = 0

    def address(self, name: str) -> str:
        with self._lock:
            if name not in self._by_name:
                address = socket.inet_ntoa((_FIRST + self._next % _NAMES).to_bytes(4, "big"))
                self._next += 1
                forgotten = self._by_address.pop(address, None)
                if forgotten is not None:
                    del self._by_name[forgotten]
                self._by_name[name] = address
                self._by_address[address] = name
            return self._by_name[name]

    def name(self, address: str) -> str:
        """Return the name behind an address; an address that stands for itself comes back."""
        with self._lock:
            return self._by_address.get(address, address)


def install(way: Way) -> Callable[[], None]:  # noqa: C901 (short functions that share one book)
    """Send every outgoing connection of this process that way; return what undoes it."""
    book = Book()
    real = (
        socket.socket.connect,
        socket.socket.connect_ex,
        asyncio.SelectorEventLoop.sock_connect,
    )
    real_connect, real_connect_ex, real_sock_connect = real

    def by_name(hostname: str) -> str:
        return hostname if _written(hostname) == socket.AF_INET else book.address(hostname)

    def connect(self: socket.socket, address: Any) -> None:
        if self.family not in _INET:
            return real_connect(self, address)
        timeout = self.gettimeout()
        handed = way.connect(book.name(address[0]), address[1], timeout or DEADLINE)
        return _take(self, handed)

    def connect_ex(self: socket.socket, address: Any) -> int:
        if self.family not in _INET:
            return real_connect_ex(self, address)
        try:
            connect(self, address)
        except TimeoutError:
            return errno.EAGAIN
        except socket.gaierror:
            return errno.EHOSTUNREACH
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    async def sock_connect(
        self: asyncio.SelectorEventLoop, sock: socket.socket, address: Any
    ) -> None:
        if sock.family not in _INET:
            return await real_sock_connect(self, sock, address)
        async with asyncio.timeout(DEADLINE):
            handed = await way.open_async(book.name(address[0]), address[1])
        return _take(sock, handed)

    look_up_as_before = door_lookups.install(partial(_resolve, book), by_name)
    _put(connect, connect_ex, sock_connect)
    _hide_resolvers()

    def undo() -> None:
        for name in _OWN_RESOLVERS:
            sys.modules.pop(name, None)
        look_up_as_before()
        _put(*real)

    return undo


def _hide_resolvers() -> None:
    """Have whoever imports aiohttp from now on get one that chose without aiodns."""
    if _OWN_RESOLVERS[0] in sys.modules:
        # The bus's client imports aiohttp where it is there, and keeps the one that it has.
        for name in [*sys.modules]:
            if name.partition(".")[0] in {*_OWN_RESOLVERS, "aiohttp"}:
                del sys.modules[name]
    # None there is how Python is told that there is no such module.
    sys.modules.update(dict.fromkeys(_OWN_RESOLVERS))  # type: ignore[arg-type]


def _put(connect: Any, connect_ex: Any, sock_connect: Any) -> None:
    standard: Any = socket.socket
    standard.connect, standard.connect_ex = connect, connect_ex
    loop: Any = asyncio.SelectorEventLoop
    loop.sock_connect = sock_connect


def _resolve(book: Book, question: Question) -> list[Any]:
    name, flags = question.host, question.flags
    if question.family not in {socket.AF_UNSPEC, socket.AF_INET}:
        raise socket.gaierror(socket.EAI_ADDRFAMILY, "a plugin is handed IPv4 sockets")
    if question.kind not in {0, socket.SOCK_STREAM}:
        raise socket.gaierror(socket.EAI_SOCKTYPE, "a plugin is handed TCP connections only")
    written = _written(name)
    if flags & socket.AI_NUMERICHOST and written is None:
        raise socket.gaierror(socket.EAI_NONAME, f"{name} is no address")
    # An IPv6 address is treated as a name: seccomp may allow no socket of that family.
    address = name if written == socket.AF_INET else book.address(name)
    canonical = name if flags & socket.AI_CANONNAME else ""
    where = (address, question.port)
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, canonical, where)]


def _written(host: str) -> socket.AddressFamily | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return family
    return None


def _take(sock: socket.socket, handed: socket.socket) -> None:
    """Put the handed connection behind `sock`'s descriptor; its options that matter go along."""
    with handed:
        keepalive = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        handed.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, keepalive)
        handed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        os.dup2(handed.fileno(), sock.fileno(), inheritable=False)
    sock.settimeout(sock.gettimeout())  # whether it blocks belongs to the connection
