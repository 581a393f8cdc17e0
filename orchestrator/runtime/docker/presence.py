"""Does an engine answer here? Asked by every command that needs to know, so without its client library."""

import http.client
import socket
from collections.abc import Mapping

SOCKET = "/var/run/docker.sock"
PATIENCE_S = 1.0


def answers(environment: Mapping[str, str]) -> bool:
    """Whether DOCKER_HOST, or else the usual socket, is a Unix socket at which an engine answers.

    An engine on another machine has to be named (`--runtime docker`): it shares no files with us.
    """
    place = environment.get("DOCKER_HOST") or f"unix://{SOCKET}"
    if not place.startswith("unix://"):
        return False
    connection = http.client.HTTPConnection("localhost", timeout=PATIENCE_S)
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(PATIENCE_S)
        connection.sock.connect(place.removeprefix("unix://"))
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
