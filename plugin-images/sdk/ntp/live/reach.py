"""Why a connection could not be made, in the words of the side that said no."""

import socket
import ssl

from ntp.confine import door_client, ways

REFUSED = "RefusedByDoor"
PROXY_REFUSED = "RefusedByProxy"
FAILED = "ConnectFailed"


def reason(error: BaseException) -> str:
    """Return what to call it: a refusal is the entry's business, all else the network's."""
    if not isinstance(error, door_client.DoorRefusedError):
        return FAILED
    return PROXY_REFUSED if ways.installed() == "proxy" else REFUSED


def words(error: BaseException) -> str:
    """Return one line that says whether it was allowed and what went wrong."""
    said = _said(error)
    if isinstance(error, door_client.DoorRefusedError):
        return f"refused by the {ways.installed() or 'door'}: {said}"
    if way := ways.installed():
        return f"allowed by the {way}, connect failed: {said}"
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
