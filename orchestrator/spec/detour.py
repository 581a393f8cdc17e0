"""NTP_EGRESS_MAP: declared hosts that lead somewhere else, for tests and demonstrations alone.

The plugin asks for the real name and gets another address: its door knows, it does not. What TLS says
of that is checked as ever, so the other side needs a certificate of the name, and a CA that signed it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from orchestrator.errors import Problem
from orchestrator.spec.egress import host_port, written
from orchestrator.spec.model import HostPort
from orchestrator.spec.quantity import QuantityError, shown

MAP: Final = "NTP_EGRESS_MAP"
CA: Final = "NTP_EGRESS_CA"
"""In the environment: a file."""
AUTHORITY: Final = "egress_ca"
"""Among the settings of an apply: the text of that file."""
FIX: Final = "write host:port=address:port, for example stream.example.com:443=127.0.0.1:8443"


@dataclass(frozen=True, slots=True)
class Detours:
    """`authority`: certificates as PEM that a plugin with a detour trusts; empty: those of the system."""

    to: Mapping[HostPort, HostPort] = field(default_factory=dict)
    authority: str = field(default="", repr=False)


def read(settings: Mapping[str, str], problems: list[Problem]) -> Detours:
    """Read NTP_EGRESS_MAP, places separated by commas or blanks, and what belongs to it."""
    text, authority = settings.get(MAP, ""), settings.get(AUTHORITY, "")
    found: dict[HostPort, HostPort] = {}
    for each in text.replace(",", " ").split():
        place, to = _pair(each, problems)
        if place is None or to is None:
            continue
        if found.setdefault(place, to) != to:
            problems.append(_problem(f"{MAP} leads {written(place)} to two addresses", "keep one"))
    if authority and not text.strip():
        problems.append(_problem(f"{CA} is set, {MAP} is not", f"set {MAP}, or take {CA} out"))
    if authority and (complaint := _complaint(authority)):
        problems.append(_problem(f"{CA} names {complaint}", "name a file of PEM certificates"))
        authority = ""
    return Detours(found, authority)


def unused(detours: Detours, reached: set[HostPort]) -> list[Problem]:
    """Return a problem for each place that no plugin may reach: a typo would lead to the real one."""
    return [
        _problem(
            f"{MAP} leads {written(place)} elsewhere, which no plugin may reach",
            "name a host:port as `ntpctl plan` lists them, or take it out",
        )
        for place in detours.to
        if place not in reached
    ]


def _pair(text: str, problems: list[Problem]) -> tuple[HostPort | None, HostPort | None]:
    front, equals, back = text.partition("=")
    if not equals:
        problems.append(_problem(f"{MAP} was {shown(text)}", FIX))
        return None, None
    return _place(front, problems), _address(back, problems)


def _place(text: str, problems: list[Problem]) -> HostPort | None:
    try:
        return host_port(text)
    except QuantityError as error:
        problems.append(_problem(f"{MAP}: a host {error}", error.fix))
        return None


def _address(text: str, problems: list[Problem]) -> HostPort | None:
    import ipaddress

    found = _place(text, problems)
    if found is None:
        return None
    try:
        ipaddress.ip_address(found.host)
    except ValueError:
        fix = "write its address, as 127.0.0.1:8443: it is not looked up"
        problems.append(_problem(f"{MAP} leads to the name {shown(found.host)}", fix))
        return None
    return found


def _complaint(authority: str) -> str:
    # Hardly ever there, and not quickly imported.
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authority)
    except (ssl.SSLError, ValueError):
        return "a file without a certificate in PEM"
    return ""


def _problem(message: str, fix: str) -> Problem:
    return Problem("environment", 0, 0, message, f"{fix}, in .env or the environment")
