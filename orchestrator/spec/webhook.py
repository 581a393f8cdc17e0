"""Where alerts go: NTP_WEBHOOK and what belongs to it. The address is a secret: whoever has it may post."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from orchestrator.errors import Problem

LONGEST = 2048
_FIX = "write https://host/path"
_PRINTED = re.compile(r"[!-~]+\Z")


@dataclass(frozen=True, slots=True)
class Webhook:
    """`secret` signs what is sent; empty: nothing is signed. `plain_because`: why http will do."""

    url: str = field(repr=False)
    secret: str = field(default="", repr=False)
    plain_because: str = ""

    @property
    def place(self) -> str:
        """What of the address may be shown: no path, no query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def webhook(environment: Mapping[str, str], problems: list[Problem]) -> Webhook | None:
    """Read NTP_WEBHOOK, NTP_WEBHOOK_SECRET and NTP_WEBHOOK_PLAIN; None where it is absent or no good."""
    url = environment.get("NTP_WEBHOOK", "").strip()
    secret = environment.get("NTP_WEBHOOK_SECRET", "")
    plain = " ".join(environment.get("NTP_WEBHOOK_PLAIN", "").split())
    if not url:
        for name, value in (("NTP_WEBHOOK_SECRET", secret), ("NTP_WEBHOOK_PLAIN", plain)):
            if value:
                message = f"{name} is set, NTP_WEBHOOK is not"
                problems.append(_problem(message, f"set NTP_WEBHOOK, or take {name} out"))
        return None
    complaint = _complaint(url, plain)
    if complaint is not None:
        problems.append(_problem(*complaint))
        return None
    return Webhook(url, secret, plain)


def _complaint(url: str, plain: str) -> tuple[str, str] | None:
    """Return what is wrong with an address, never showing it, and what to do."""
    parts = _parts(url)
    if parts is None:
        return "NTP_WEBHOOK is no http(s) address", _FIX
    if parts.username is not None or parts.fragment:
        return "NTP_WEBHOOK has a user or a '#' in it, which is not sent", _FIX
    if parts.scheme == "http" and not plain and not _is_loopback(parts.hostname or ""):
        fix = "write https://, or say in NTP_WEBHOOK_PLAIN why http will do (a tunnel, a test)"
        return "NTP_WEBHOOK was http://, so anybody on the way reads and forges alerts", fix
    return None


def _parts(url: str) -> SplitResult | None:
    if len(url) > LONGEST or _PRINTED.match(url) is None:
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # the port is no number, or a bracket is open
        return None
    return parts if good else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _problem(message: str, fix: str) -> Problem:
    return Problem("environment", 0, 0, message, f"{fix}, in .env or the environment")
