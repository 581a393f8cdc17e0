"""How a place, `host:port`, is written: one spelling for each, so that an allow-list holds."""

import socket

LONGEST_NAME = 253


def parse(question: bytes) -> tuple[str, int]:
    """Return host and port; only what a name or an address is made of."""
    host, _, port = question.decode("ascii", "replace").partition(" ")
    if not host or len(host) > LONGEST_NAME or not all(c.isalnum() or c in ".-_:" for c in host):
        raise ValueError("that is no host")
    if not host.isascii() or not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("that is no port")
    return normal(host), int(port)


def place(item: str) -> tuple[str, int]:
    """Split `host:port` of an allow-list."""
    host, _, port = item.rpartition(":")
    if not host.isascii():
        host = host.encode("idna").decode()
    return normal(host.removeprefix("[").removesuffix("]")), int(port)


def normal(host: str) -> str:
    """Return one spelling for each host, so that the allow-list cannot be missed or tricked."""
    host = host.lower().removesuffix(".")
    kind = family(host)
    return host if kind is None else socket.inet_ntop(kind, socket.inet_pton(kind, host))


def family(host: str) -> int | None:
    """Return the family of a written address; None for a name."""
    for kind in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(kind, host)
        except OSError:
            continue
        return kind
    return None


def objection(address: str, *, written: bool, local: bool) -> str | None:
    """Say why the door must not connect to this address, or nothing: see `addresses.objection`."""
    if written and address.startswith("127."):
        return None  # the broker on this machine: all that most doors are ever asked for
    from ntp.confine import addresses  # ipaddress costs a megabyte

    return addresses.objection(address, written=written, local=local)
