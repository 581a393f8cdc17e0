"""Hosts that a plugin may reach: what an entry lists, and what its URLs name."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from orchestrator.spec.model import Detour, HostPort
from orchestrator.spec.quantity import QuantityError, shown

FIX = "write host:port, for example stream.example.com:443"
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
PATTERN = rf"^(({_LABEL}\.)*{_LABEL}|\[[0-9A-Fa-f:.]+\]):[0-9]{{1,5}}$"
_HOST_PORT = re.compile(PATTERN.removesuffix("$") + r"\Z")
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SCHEMES = tuple(f"{scheme}://" for scheme in _PORTS)
_LONGEST_HOST = 253


def host_port(value: object) -> HostPort:
    """Return `host:port`, `192.0.2.1:port` or `[2001:db8::1]:port`.

    Raises:
        QuantityError: anything else, or an address of the link itself, where clouds keep credentials.
    """
    if not isinstance(value, str):
        raise QuantityError(f"was {shown(value)}", FIX)
    if _HOST_PORT.match(value) is None:
        raise QuantityError(f"was {shown(value)}", _better(value))
    host, _, port = value.rpartition(":")
    host = host.strip("[]").lower()
    if not 1 <= int(port) <= 65535 or len(host) > _LONGEST_HOST:
        raise QuantityError(f"was {shown(value)}", "ports go from 1 to 65535")
    address = _address(host)
    if address is None and (":" in host or re.fullmatch(r"[0-9.]+", host)):
        raise QuantityError(f"was {shown(value)}, which is no address", FIX)
    if address is not None and (address.is_link_local or address.is_unspecified):
        fix = "name the host: link-local addresses are where clouds keep credentials"
        raise QuantityError(f"was {shown(value)}, an address that is never handed out", fix)
    return HostPort(host, int(port))


def claimed(value: object) -> HostPort:
    """Return what a plugin's own manifest asks for; an entry alone may open what is not public.

    Raises:
        QuantityError: as `host_port`; also an address of this machine, or of the network around it.
    """
    found = host_port(value)
    address = _address(found.host)
    local = found.host == "localhost" or found.host.endswith(".localhost")
    if local or (address is not None and not address.is_global):
        fix = "name a public host; who runs the plugin may open another one"
        raise QuantityError(f"was {shown(value)}, which is this machine or its own network", fix)
    return found


def written(found: HostPort) -> str:
    """Return it as `host_port` reads it."""
    return f"[{found.host}]:{found.port}" if ":" in found.host else str(found)


def mapped(detours: Iterable[Detour]) -> dict[str, str]:
    """Return where places lead that are not the real ones, as written."""
    return {written(each.place): written(each.to) for each in detours}


def in_config(config: object) -> Iterator[HostPort]:
    """Yield the host of every http(s) and ws(s) URL among the values of a config."""
    if isinstance(config, str):
        if config[:8].lower().startswith(_SCHEMES):
            found = _of_url(config)
            if found is not None:
                yield found
    elif isinstance(config, Mapping):
        for value in config.values():
            yield from in_config(value)
    elif isinstance(config, Sequence):
        for value in config:
            yield from in_config(value)


def _of_url(url: str) -> HostPort | None:
    """Return where a URL leads; None if that is unknown, as with a `${VAR}` for a host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        return host_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except ValueError:
        return None


def _better(text: str) -> str:
    """Return the fix for what people write instead."""
    found = _of_url(text) if text.lower().startswith(_SCHEMES) else None
    if found is not None:
        return f"write {written(found)}"
    if "*" in text:
        return "name each host: a pattern could match more than you mean"
    front, slash, _ = text.partition("/")
    if slash and _HOST_PORT.match(front) and "/" not in text[-4:].strip("/0123456789"):
        return f"write {front}: it is let through as a whole, whatever the path"
    if re.fullmatch(rf"({_LABEL}\.)*{_LABEL}", text):
        return f"name the port too, for example {text}:443"
    return FIX


def _address(host: str) -> Any:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
