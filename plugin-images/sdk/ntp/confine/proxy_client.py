"""The plugin's end of the egress proxy: CONNECT `host:port` with the plugin's token, where no door is.

Our proxy (plugin-images/egress-proxy) says no in a line of its own: what kind of no, and words. Whatever
another one says is shown as it is.
"""

import _socket  # what `ntp.confine.door_everywhere` has not replaced
import asyncio
import errno
import os
import socket
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import unquote

from ntp.confine.door_client import DoorRefusedError, ascii_name
from ntp.confine.door_refusals import Counts
from ntp.contract import egress_token

DEADLINE = 30.0
"""Seconds for everything until the tunnel is there, where the caller set none; the proxy's own are shorter."""
HEAD_LIMIT = 16 * 1024
TOKEN_LIMIT = 32 * 1024
_PIECE = 4096
_END = b"\r\n\r\n"


class Proxy:
    """The proxy as the way out of this process (`ntp.confine.ways`)."""

    name = "proxy"

    def __init__(self, address: str, token: Path) -> None:
        self.refused = Counts()
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._token = token

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        end = monotonic() + (timeout or DEADLINE)
        talk = _Talk(host, port, self._token, self.refused)
        link = _dialled(self._addresses(), end)
        try:
            link.sendall(talk.question)
            while not talk.done:
                link.settimeout(_left(end))
                talk.heard(link.recv(talk.wanted(link.recv(_PIECE, socket.MSG_PEEK))))
            talk.check()
            link.setblocking(True)  # its new owner begins afresh
        except BaseException:
            link.close()
            raise
        return link

    async def open_async(self, host: str, port: int) -> socket.socket:
        loop = asyncio.get_running_loop()
        talk = _Talk(host, port, self._token, self.refused)
        link = await _dialled_async(await loop.run_in_executor(None, self._addresses))
        try:
            await loop.sock_sendall(link, talk.question)
            while not talk.done:
                await _readable(link)
                talk.heard(link.recv(talk.wanted(link.recv(_PIECE, socket.MSG_PEEK))))
            talk.check()
        except BaseException:
            link.close()
            raise
        return link

    def _addresses(self) -> list[Any]:
        return _addresses(self._host, self._port)


class Direct:
    """Straight to a place of the house that needs neither door nor proxy: the bus."""

    name = "network"

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        return _dialled(_addresses(host, port), monotonic() + (timeout or DEADLINE))

    async def open_async(self, host: str, port: int) -> socket.socket:
        loop = asyncio.get_running_loop()
        return await _dialled_async(await loop.run_in_executor(None, _addresses, host, port))


class Closed:
    """No way out: whoever asks is refused here and counted, for the network would only be silent."""

    name = "proxy"

    def __init__(self) -> None:
        self.refused = Counts()

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:  # noqa: ARG002 (as every way)
        place = egress_token.place(ascii_name(host), port)
        self.refused.count(place)
        words = "not in network.egress of its entry; `ntpctl status NAME` shows the line to add"
        raise DoorRefusedError(errno.ECONNREFUSED, f"{place} is refused: {words}")

    async def open_async(self, host: str, port: int) -> socket.socket:
        return self.connect(host, port, None)


class _Talk:
    """One question to the proxy: what to send, how much to read of what is there, what it means."""

    def __init__(self, host: str, port: int, token: Path, refused: Counts) -> None:
        self.place = egress_token.place(ascii_name(host), port)
        with token.open("rb") as stream:
            shown = stream.read(TOKEN_LIMIT).strip()
        head = (
            f"CONNECT {self.place} HTTP/1.1\r\nHost: {self.place}\r\nProxy-Authorization: Bearer "
        )
        self.question = head.encode() + shown + _END
        self.done = False
        self._refused = refused
        self._said = b""
        self._head: bytes | None = None
        self._length = 0

    def wanted(self, peeked: bytes) -> int:
        """Return how many of these bytes are the proxy's own: the first of the tunnel may follow them.

        Raises:
            OSError: it closed in the middle, or does not end.
        """
        if not peeked:
            raise ConnectionResetError(errno.ECONNRESET, f"{self.place}: the proxy hung up")
        if self._head is not None:
            return min(len(peeked), self._length - len(self._said))
        found = (self._said + peeked).find(_END)
        if found >= 0:
            return found + len(_END) - len(self._said)
        if len(self._said) > HEAD_LIMIT:
            raise OSError(errno.EPROTO, f"{self.place}: the proxy's answer has no end")
        return len(peeked)

    def heard(self, part: bytes) -> None:
        self._said += part
        if self._head is None and self._said.endswith(_END):
            self._head, self._said = self._said, b""
            # Of a long page of somebody else's proxy, the beginning is enough.
            given = self._field(b"content-length")
            self._length = min(int(given), HEAD_LIMIT) if given.isdigit() else 0
            self._length = 0 if self._status() == 200 else self._length
        self.done = self._head is not None and len(self._said) >= self._length

    def check(self) -> None:
        """Return where the tunnel is there; raise what the answer means else."""
        if self._status() == 200:
            return
        kind, _, words = unquote(self._said.decode(errors="replace").strip()).partition(" ")
        match kind:
            case egress_token.REFUSED:
                self._refused.count(self.place)
                raise DoorRefusedError(errno.ECONNREFUSED, words)
            case egress_token.UNRESOLVED:
                raise socket.gaierror(socket.EAI_NONAME, words)
            case egress_token.UNKNOWN:
                raise PermissionError(errno.EACCES, words)
            case egress_token.BUSY:
                raise OSError(errno.EAGAIN, words)
            case _:
                pass
        # Squid's: the name of the error page, and the errno of its connect.
        code = self._field(b"x-squid-error").rpartition(b" ")[2]
        number = int(code) if code.isdigit() else 0
        if not number:
            number = errno.ETIMEDOUT if self._status() == 504 else errno.ECONNREFUSED
            line = (self._head or b"").partition(b"\r\n")[0].decode(errors="replace")
            raise OSError(number, f"{self.place}: the proxy says {line}")
        raise OSError(number, f"{self.place}: {os.strerror(number)}")

    def _status(self) -> int:
        code = (self._head or b"").split(b" ", 2)[1:2]
        return int(code[0]) if code and code[0].isdigit() else 0

    def _field(self, name: bytes) -> bytes:
        for line in (self._head or b"").split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip()
        return b""


def _addresses(host: str, port: int) -> list[Any]:
    """Look a place of the house up: by the system, which has it in /etc/hosts."""
    try:
        return _socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except socket.gaierror as error:
        words = f"{host} is not in /etc/hosts of this plugin's container: {error.strerror}"
        raise socket.gaierror(error.errno, words) from error


def _dialled(addresses: list[Any], end: float) -> socket.socket:
    last: OSError = TimeoutError(errno.ETIMEDOUT, "no answer in time")
    for family, kind, number, _, where in addresses:
        link = socket.socket(family, kind, number)
        try:
            link.settimeout(_left(end))
            _socket.socket.connect(link, where)
        except OSError as error:
            link.close()
            last = error
        else:
            return link
    raise _named(last, addresses)


async def _dialled_async(addresses: list[Any]) -> socket.socket:
    last: OSError = TimeoutError(errno.ETIMEDOUT, "no answer in time")
    for family, kind, number, _, where in addresses:
        link = socket.socket(family, kind, number)
        link.setblocking(False)
        try:
            await _connected(link, where)
        except OSError as error:
            link.close()
            last = error
        except BaseException:
            link.close()
            raise
        else:
            return link
    raise _named(last, addresses)


def _named(error: OSError, addresses: list[Any]) -> OSError:
    """Say whom it was about: an author has to tell a proxy that is away from an exchange that is."""
    host, port = addresses[0][4][:2] if addresses else ("?", 0)
    number = error.errno or errno.ETIMEDOUT
    return OSError(number, f"{host}:{port} in this cluster: {os.strerror(number)}")


async def _connected(link: socket.socket, where: Any) -> None:
    code = _socket.socket.connect_ex(link, where)
    if code == errno.EINPROGRESS:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        loop.add_writer(link, done.set)
        try:
            await done.wait()
        finally:
            loop.remove_writer(link)
        code = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


async def _readable(link: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(link, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(link)


def _left(end: float) -> float:
    left = end - monotonic()
    if left <= 0:
        raise TimeoutError(errno.ETIMEDOUT, "no answer in time")
    return left
