"""What the chart says of the ground that plugins' pods stand on: settings of the controller's environment."""

import asyncio
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from orchestrator.errors import UnreachableError
from orchestrator.spec import external_nats

if TYPE_CHECKING:
    from orchestrator.runtime.kubernetes.objects import Ground

BROKER_PODS: Final = "NTP_BROKER_PODS"
"""Labels of the broker's pods, key=value,…; absent: it is outside of the namespace."""
PROXY: Final = "NTP_PROXY"
"""host:port of the egress proxy; absent: there is none."""
PROXY_PODS: Final = "NTP_PROXY_PODS"
PULL_SECRETS: Final = "NTP_PULL_SECRETS"
"""Names of Secrets, separated by commas."""
STORAGE_CLASS: Final = "NTP_STORAGE_CLASS"
RESOLVE_S: Final = 5.0


async def ground(environment: Mapping[str, str]) -> "Ground":
    """Return it. The names of broker and proxy are looked up now: no pod of a plugin may ask a name server.

    Raises:
        UnreachableError: one of them has no address now. A pod that was written without it would never connect.
    """
    from orchestrator.runtime.kubernetes.objects import Ground

    said = Ground()
    broker = _labels(environment.get(BROKER_PODS, ""))
    return Ground(
        broker=broker or None,
        proxy=_labels(environment.get(PROXY_PODS, "")) or said.proxy,
        proxy_address=environment.get(PROXY, ""),
        aliases=await _aliases(environment),
        pull_secrets=tuple(_words(environment.get(PULL_SECRETS, ""))),
        storage_class=environment.get(STORAGE_CLASS) or None,
    )


async def _aliases(environment: Mapping[str, str]) -> dict[str, str]:
    nats = external_nats.read(environment, [])
    found = {}
    for each in (*(nats.address if nats else "").split(","), environment.get(PROXY, "")):
        host = each.rpartition(":")[0]
        if not host:
            continue  # there is no proxy
        try:
            async with asyncio.timeout(RESOLVE_S):
                infos = await asyncio.get_running_loop().getaddrinfo(
                    host, None, type=socket.SOCK_STREAM
                )
        except UnicodeError:
            continue  # no name server will ever know it: who connects says what is wrong
        except (OSError, TimeoutError) as error:
            why = str(error) or f"no name server answered within {RESOLVE_S:.0f} s"
            raise UnreachableError(f"{host} has no address now: {why}") from error
        address = str(infos[0][4][0])
        if address != host:
            found[host] = address
    return found


def _labels(text: str) -> dict[str, str]:
    pairs = (each.partition("=") for each in _words(text))
    return {key: value for key, _, value in pairs}


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
