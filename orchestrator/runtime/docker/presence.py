"""Does an engine answer here? Asked by every command that needs to know, so without its client library."""

import json
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

SOCKET = "/var/run/docker.sock"
PATIENCE_S = 1.0


def place(environment: Mapping[str, str]) -> str:
    """The address of the engine that is meant."""
    return environment.get("DOCKER_HOST") or f"unix://{SOCKET}"


def listener(url: str | None) -> int | None:
    """The process that opened an engine's Unix socket: the engine, or who started it on demand.

    None: it is no socket of this machine, or nobody listens.
    """
    at = url or f"unix://{SOCKET}"
    if not at.startswith("unix://"):
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(PATIENCE_S)
        try:
            link.connect(at.removeprefix("unix://"))
            found = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            return None
    # A process of another pid namespace (an engine in a machine of its own) is 0.
    return struct.unpack("3i", found)[0] or None


def answers(environment: Mapping[str, str]) -> bool:
    """Whether DOCKER_HOST, or else the usual socket, is a Unix socket at which an engine answers.

    An engine on another machine has to be named (NTP_RUNTIME=docker): it shares no files with us.
    """
    return _asked(environment, "/_ping") is not None


def is_rootless(environment: Mapping[str, str]) -> bool:
    """Whether the engine there is an ordinary user's own. Root's are known by their socket, unasked."""
    path = place(environment).removeprefix("unix://")
    with suppress(OSError):
        if Path(path).stat().st_uid != 0:
            said = _asked(environment, "/info")
            with suppress(ValueError, AttributeError):
                return any(
                    "rootless" in each
                    for each in json.loads(said or b"").get("SecurityOptions") or ()
                )
    return False


def _asked(environment: Mapping[str, str], path: str) -> bytes | None:
    """What it answers; None: nothing, or no good."""
    where = place(environment)
    if not where.startswith("unix://"):
        return None
    import http.client  # late: with TLS and mail it costs more than most commands take

    connection = http.client.HTTPConnection("localhost", timeout=PATIENCE_S)
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(PATIENCE_S)
        connection.sock.connect(where.removeprefix("unix://"))
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    else:
        return content if answer.status == http.client.OK else None
    finally:
        connection.close()
