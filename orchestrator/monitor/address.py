"""Where `/metrics` is served: nowhere, unless NTP_METRICS says so."""

import contextlib
from collections.abc import Mapping
from urllib.parse import urlsplit

from orchestrator.errors import ConfigError, Problem


def address(environment: Mapping[str, str]) -> tuple[str, int] | None:
    """Return host and port of NTP_METRICS; None where it is absent or empty.

    Raises:
        ConfigError: it is no HOST:PORT.
    """
    text = environment.get("NTP_METRICS")
    if not text:
        return None
    host, port = _parts(text)
    # A port alone would have to mean every interface or loopback: people guess differently.
    if host is None or port is None:
        fix = "write HOST:PORT, as in 127.0.0.1:9464"
        message = f"NTP_METRICS was '{text}'"
        raise ConfigError([Problem("environment", 0, 0, message, fix)])
    return host, port


def _parts(text: str) -> tuple[str | None, int | None]:
    with contextlib.suppress(ValueError):
        parts = urlsplit(f"//{text}")
        if parts.netloc == text and parts.username is None:
            return parts.hostname, parts.port
    return None, None
