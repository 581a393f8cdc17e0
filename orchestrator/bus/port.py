"""A port that stays a server's over its restarts."""

import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

_LOCAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_EPHEMERAL = 32_768
"""Where the system hands out ports to those who connect, unless it says otherwise (Linux; others: higher)."""
_TRIES = 64


def choose(host: str, among: Sequence[int] | None = None) -> int:
    """Return a free port `among` those; default: from 10000 to the first that the system hands out.

    One of these could be given to any connection while the server does not run, and it could not
    listen again for as long as that lasts. Where all tries are taken, any free port has to do.
    """
    if among is None:
        among = range(_LOWEST, _lowest_handed_out())
    for _ in range(_TRIES if among else 0):
        port = secrets.choice(among)
        if _is_free(host, port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _lowest_handed_out() -> int:
    try:
        return int(_LOCAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
