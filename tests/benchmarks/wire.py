"""NATS over a bare blocking socket: what a client costs at least."""

import json
import select
import socket
from pathlib import Path
from typing import Self

from ntp.transport import credentials


class Wire:
    """Connected once made; `credentials_file` is a .creds file."""

    def __init__(self, address: str, credentials_file: Path) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        said = json.loads(self._line().removeprefix(b"INFO "))
        jwt, sign = credentials(credentials_file)
        hello = {
            "verbose": False,
            "lang": "bench",
            "version": "1",
            "protocol": 1,
            "headers": True,
            "no_responders": True,
            "jwt": jwt().decode(),
            "sig": sign(said["nonce"]).decode(),
        }
        self._socket.sendall(b"CONNECT " + json.dumps(hello).encode() + b"\r\nPING\r\n")
        while (line := self._line()) != b"PONG":
            assert not line.startswith(b"-ERR"), line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def flush(self) -> None:
        """Return once the server has taken everything."""
        self._socket.sendall(b"PING\r\n")
        while self._line() != b"PONG":
            pass

    def subscribe(self, subject: str) -> None:
        self._socket.sendall(f"SUB {subject} 1\r\n".encode())
        self.flush()

    def send(self, frames: bytes) -> None:
        self._socket.sendall(frames)

    def attend(self) -> None:
        """Answer the server's question whether we live, if it has asked."""
        while select.select([self._socket], [], [], 0.0)[0]:
            if b"PING" in self._socket.recv(65_536):
                self._socket.sendall(b"PONG\r\n")

    def arrived(self, within: float) -> bool:
        """Whether something has come, waiting so many seconds for it."""
        return b"\r\n" in self._rest or bool(select.select([self._socket], [], [], within)[0])

    def next(self) -> bytes:
        """Return the payload of the next message."""
        while not (line := self._line()).startswith((b"MSG", b"HMSG")):
            if line == b"PING":
                self._socket.sendall(b"PONG\r\n")
        words = line.split()
        header, size = int(words[-2]) if words[0] == b"HMSG" else 0, int(words[-1])
        while len(self._rest) < size + 2:
            self._more()
        payload, self._rest = self._rest[header:size], self._rest[size + 2 :]
        return payload

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            self._more()
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _more(self) -> None:
        data = self._socket.recv(65_536)
        assert data, "the server hung up"
        self._rest += data


def frame(subject: str, payload: bytes) -> bytes:
    """Return a message as it is written to the socket."""
    return f"PUB {subject} {len(payload)}\r\n".encode() + payload + b"\r\n"
