"""Who asks the egress proxy, and where to it may go: a JSON Web Token, signed with Ed25519 (RFC 7519, RFC 8037).

    header.claims.signature      each part base64url without padding

The header is always the same bytes, so there is no algorithm to choose. It never ends by itself, for a plugin
lives as long as it likes; what ends a token is a newer one (the proxy is told since when an instance's tokens
count) or another key. Signing and checking are done elsewhere: pure.
"""

import base64
from collections.abc import Sequence

import msgspec

REFUSED = "refused"
"""The entry does not allow the place."""
UNRESOLVED = "unresolved"
UNKNOWN = "unknown"
"""The token is missing, forged, of another project, or withdrawn."""
BUSY = "busy"
"""How the proxy's answer begins, if it is no: one of these, then words."""
LONGEST = 7 * 1024
"""Characters of a token, of some 130 hosts: Squid hands its helper about 8 KiB in one line."""
_HEADER = b'{"alg":"EdDSA","typ":"JWT"}'
_ISSUER = "ntp"


class Claims(msgspec.Struct, frozen=True):
    """What the holder may do.

    `issued`: milliseconds since 1970, later than any token of the instance before it.
    `hosts`: host:port each. `detours`: `host:port=address:port`, those that lead somewhere else.
    """

    project: str
    instance: str
    generation: int
    issued: int
    hosts: Sequence[str] = ()
    detours: Sequence[str] = ()
    iss: str = _ISSUER


def unsigned(claims: Claims) -> bytes:
    """Return the bytes that are signed."""
    return _written(_HEADER) + b"." + _written(msgspec.json.encode(claims))


def signed(message: bytes, signature: bytes) -> bytes:
    """Return the token: what `unsigned` gave, and its signature."""
    return message + b"." + _written(signature)


def split(token: str) -> tuple[bytes, bytes]:
    """Return the bytes that are signed, and the signature: check it before anything reads the claims.

    Raises:
        ValueError: it is no token of ours.
    """
    if len(token) > LONGEST or not token.isascii():
        raise ValueError("that is no token")
    message, _, signature = token.rpartition(".")
    try:
        ours = _read(message.partition(".")[0]) == _HEADER
        mark = _read(signature)
    except ValueError as error:
        raise ValueError(f"that is no token: {error}") from error
    if not ours:
        raise ValueError("that is no token: it was made for something else")
    return message.encode(), mark


def claims(message: bytes) -> Claims:
    """Return what signed bytes claim.

    Raises:
        ValueError: they are no claims of ours.
    """
    try:
        found = msgspec.json.decode(_read(message.decode().partition(".")[2]), type=Claims)
    # RecursionError: fields that nobody knows are skipped level by level.
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ValueError(f"that is no token: {error}") from error
    if found.iss != _ISSUER:
        raise ValueError("that is no token: it was made for something else")
    return found


def place(host: str, port: int) -> str:
    """Return host:port as it is written in a CONNECT: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _written(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _read(text: str) -> bytes:
    if len(text) % 4 == 1 or any(not (c.isalnum() or c in "-_") for c in text):
        raise ValueError("it is not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
