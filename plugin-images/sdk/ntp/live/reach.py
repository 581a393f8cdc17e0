"""Why a connection could not be made, in the words of the side that said no."""

import socket
import ssl

from ntp.confine import door_client

REFUSED = "RefusedByDoor"
FAILED = "ConnectFailed"


def reason(error: BaseException) -> str:
    """Return what to call it: the door's refusal is the entry's business, all else the network's."""
    return REFUSED if isinstance(error, door_client.DoorRefusedError) else FAILED


def words(error: BaseException) -> str:
    """Return one line that says whether the door allowed it and what went wrong."""
    said = _said(error)
    if isinstance(error, door_client.DoorRefusedError):
        return f"refused by the door: {said}"
    if door_client.installed():
        return f"allowed by the door, connect failed: {said}"
    return f"connect failed: {said}"


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return str(error) or "no answer in time"
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
