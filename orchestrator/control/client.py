"""Ask the controller. Standard library only and synchronous, so that a command starts fast."""

import contextlib
import socket
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from orchestrator.control.address import short
from orchestrator.control.protocol import ALIVE_S, LONGEST_LINE, line, parse, rebuild
from orchestrator.errors import UnreachableError


class NobodyError(UnreachableError):
    """Nobody listens at the socket."""


SILENCE_S = 4 * ALIVE_S
"""A controller that says nothing for so long, not even that it is alive, hangs."""


def call(
    path: Path, what: str, /, *, within_s: float | None = None, **arguments: Any
) -> Generator[dict[str, Any], None, None]:
    """Yield each event, and at last `{"result": {...}}`; `protocol` lists the calls.

    Closing the iterator hangs up, which ends a call that follows something.

    Args:
        path: the socket in the project's state folder; any length.
        what: name of the call.
        within_s: for the whole call, seconds; None: as long as the controller says that it is alive.
        **arguments: of the call, as JSON values.

    Raises:
        UnreachableError: nobody answers, or answers no longer.
        NtpError: what the controller raised, as the same class.
    """
    ends = None if within_s is None else time.monotonic() + within_s
    with contextlib.closing(_connect(path)) as connection:
        try:
            connection.sendall(line({"call": what, **arguments}))
        except OSError as error:
            # A server that refuses us before it has read everything has said why; read that.
            if not isinstance(error, BrokenPipeError | ConnectionResetError):
                raise UnreachableError(f"the controller took no request: {error}") from error
        for message in _messages(connection, ends):
            if "error" in message:
                raise rebuild(message["error"])
            if message.get("event") == "alive":
                continue
            yield message
            if "result" in message:
                return
    raise UnreachableError("the controller hung up in the middle of its answer; was it stopped?")


def ask(path: Path, what: str, /, *, within_s: float = 30.0, **arguments: Any) -> dict[str, Any]:
    """Return the result of a call, without its events."""
    result: dict[str, Any] = {}
    for message in call(path, what, within_s=within_s, **arguments):
        result = message.get("result", result)
    return result


def answers(path: Path) -> bool:
    """Tell whether a controller listens there."""
    try:
        _connect(path).close()
    except UnreachableError:
        return False
    return True


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(SILENCE_S)
    try:
        with short(path) as address:
            connection.connect(address)
    except (OSError, UnreachableError) as error:
        connection.close()
        if isinstance(error, UnreachableError):
            raise
        raise NobodyError(f"no controller answers at {path}") from error
    return connection


def _messages(connection: socket.socket, ends: float | None) -> Iterator[dict[str, Any]]:
    waiting = bytearray()
    while chunk := _receive(connection, ends):
        *lines, rest = chunk.split(b"\n")
        for end in lines:
            yield parse(bytes(waiting) + end)
            waiting.clear()
        waiting += rest
        if len(waiting) > LONGEST_LINE:
            raise UnreachableError("the controller's answer was longer than any answer is")


def _receive(connection: socket.socket, ends: float | None) -> bytes:
    patience = SILENCE_S if ends is None else min(SILENCE_S, ends - time.monotonic())
    if patience <= 0:
        raise UnreachableError("the controller's answer was not complete in time")
    connection.settimeout(patience)
    try:
        return connection.recv(1 << 16)
    except TimeoutError as error:
        raise UnreachableError(
            f"the controller said nothing for {patience:.0f} s; `ntpctl doctor` looks into it"
        ) from error
    except ConnectionError:
        return b""
