"""The plugin's end of the door: ask for `host port`, be handed a connected socket.

One packet goes out, `host port`; one comes back: `0` with the socket beside it, or a number and
words: an errno, or (negative) a resolver's error. Standard library only, and no AF_INET socket is
made here: it works where seccomp refuses `socket()` for everything but AF_UNIX.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

PATH_LIMIT = 107
"""Bytes of a Unix socket's path."""
ANSWER_LIMIT = 1024
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_REFUSAL = " is refused: "
"""Stands in the door's answer where it said no itself; a failed connect has the system's words."""


class DoorRefusedError(ConnectionRefusedError):
    """The door, or the egress proxy, does not allow it; the text says what to add where."""


class Door:
    """A door as the way out of this process (`ntp.confine.ways`)."""

    name = "door"

    def __init__(self, path: str) -> None:
        self._path = path

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        return connect(self._path, host, port, timeout)

    async def open_async(self, host: str, port: int) -> socket.socket:
        return await open_async(self._path, host, port)


def connect(door: str, host: str, port: int, timeout: float | None) -> socket.socket:
    """Return a connected TCP socket to `host`:`port`; blocks at most `timeout` seconds in all waits.

    Raises:
        DoorRefusedError: the door does not allow it.
        socket.gaierror: no such name.
        TimeoutError: no answer in time.
        OSError: the connection failed, with the errno of the connect.
    """
    with _bell(door) as bell:
        bell.settimeout(timeout)
        bell.send(_question(host, port))
        return _answer(bell, host, port)


async def open_async(door: str, host: str, port: int) -> socket.socket:
    """As `connect`, on the running loop; the deadline is the caller's."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            with _bell(door, blocking=False) as bell:
                bell.send(_question(host, port))
                answered = asyncio.Event()
                loop.add_reader(bell, answered.set)
                try:
                    await answered.wait()
                finally:
                    loop.remove_reader(bell)
                return _answer(bell, host, port)
        except BlockingIOError:  # more plugins' questions wait than the door's backlog holds
            await asyncio.sleep(0.05)


def port_number(port: bytes | str | int | None) -> int:
    """Return the number of a port as getaddrinfo takes it: a number, its digits, or a service's name.

    Raises:
        socket.gaierror: no such service.
    """
    if port is None:
        return 0
    if isinstance(port, int):
        return port
    text = port.decode() if isinstance(port, bytes) else port
    if text.isdecimal():
        return int(text)
    if text in _PORTS:
        return _PORTS[text]
    try:
        return socket.getservbyname(text, "tcp")
    except OSError as error:
        raise socket.gaierror(socket.EAI_SERVICE, f"{text} is no service") from error


@contextmanager
def _bell(door: str, *, blocking: bool = True) -> Iterator[socket.socket]:
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        bell.setblocking(blocking)
        with _short(door) as address:
            bell.connect(address)
        yield bell
    finally:
        bell.close()


@contextmanager
def _short(path: str) -> Iterator[str]:
    """Give the path in a form that fits a socket address."""
    if len(os.fsencode(path)) <= PATH_LIMIT:
        yield path
        return
    folder, name = os.path.split(path)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def ascii_name(host: str) -> str:
    """Return a host as it is asked for.

    Raises:
        socket.gaierror: it is none.
    """
    if not host or any(c.isspace() or not c.isprintable() for c in host):
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host name")
    return host if host.isascii() else host.encode("idna").decode()


def _question(host: str, port: int) -> bytes:
    return f"{ascii_name(host)} {port}".encode()


def _answer(bell: socket.socket, host: str, port: int) -> socket.socket:
    text, descriptors, _, _ = socket.recv_fds(
        bell, ANSWER_LIMIT, 1, getattr(socket, "MSG_CMSG_CLOEXEC", 0)
    )
    if descriptors:
        return socket.socket(fileno=descriptors[0])
    if not text:
        raise ConnectionResetError(errno.ECONNRESET, "the door closed without an answer")
    number, _, words = text.decode(errors="replace").partition(" ")
    code = int(number)
    if code < 0:
        raise socket.gaierror(code, words)
    if code == errno.ECONNREFUSED and _REFUSAL in words:
        raise DoorRefusedError(code, words)
    raise OSError(code, words or f"{host}:{port}: {os.strerror(code)}")  # its subclass by errno
