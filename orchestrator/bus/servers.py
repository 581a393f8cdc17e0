"""The servers that serve, one or a cluster: what each says of itself, and what of it breaks our promises."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ntp.bare_nats import errors
from ntp.heeding import heeded
from orchestrator.bus import server_binary
from orchestrator.bus.client import DEADLINE, Life
from orchestrator.errors import UnreachableError

_INFO_LIMIT = 64 * 1024
REPLICAS = 3
"""Servers that keep each message where there are so many; with less a stream is on one of them."""
PAYLOAD = 1024 * 1024
"""Bytes of one message that a server has to take, its own default: the claims of an account with a thousand
imports. What a plugin may send is less."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server, as it describes itself (VARZ)."""

    name: str
    version: str
    payload: int
    """Bytes of the longest message that it takes."""
    operators: frozenset[str]
    """Public keys of its operators, and of those who may sign for them."""
    jetstream: bool
    sync_always: bool
    peers: int
    """How many servers its cluster keeps streams on, those that are down included."""

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> "Server":
        said = answer.get("data") or {}
        jetstream = said.get("jetstream") or {}
        config = jetstream.get("config") or {}
        claims = said.get("trusted_operators_claim") or []
        return cls(
            name=str(said.get("server_name", "")),
            version=str(said.get("version", "")),
            payload=int(said.get("max_payload", 0)),
            operators=frozenset(
                key
                for each in claims
                for key in (each.get("sub"), *(each.get("nats", {}).get("signing_keys") or ()))
                if isinstance(key, str)
            ),
            jetstream=bool(config),
            sync_always=bool(config.get("sync_always")),
            peers=int((jetstream.get("meta") or {}).get("cluster_size", 1)),
        )


async def look(system: Life) -> Sequence[Server]:
    """Return all servers that answer, by name. `system`: a connection of the system account.

    Raises:
        UnreachableError: none did in time.
    """
    first = await system.ask("$SYS.REQ.SERVER.PING.STATSZ")
    count = int((first.get("statsz") or {}).get("active_servers", 1))
    inbox = system.client.new_inbox()
    answers = await system.client.subscribe(inbox)
    found: dict[str, Server] = {}
    try:
        async with asyncio.timeout(DEADLINE):
            await system.client.publish("$SYS.REQ.SERVER.PING.VARZ", b"", reply=inbox)
            while len(found) < count:
                message = await heeded(answers.next_msg(timeout=DEADLINE))
                server = Server.read(json.loads(message.data))
                found[server.name] = server
    except (TimeoutError, errors.Error, OSError, ValueError) as error:
        # One that has just gone is counted for a while, and says nothing.
        if not found:
            raise UnreachableError("the broker did not say how it is set") from error
    finally:
        if not system.client.is_closed:
            await answers.unsubscribe()
    return [found[name] for name in sorted(found)]


async def who_listens(address: str) -> str | None:
    """Return the name of the nats-server there, "" for something else, None for nobody."""
    host, _, port = address.rpartition(":")
    writer = None
    try:
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection(host, int(port), limit=_INFO_LIMIT)
            line = await reader.readline()
        return str(json.loads(line.removeprefix(b"INFO "))["server_name"])
    except ConnectionRefusedError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    finally:
        if writer is not None:
            writer.transport.abort()


def version_complaint(who: str, version: object) -> str:
    """Say why this version may not serve; empty: it may."""
    found = server_binary.parse(str(version or ""))
    return (server_binary.complaint(found) or "") if found else f"{who} says no version"


def greeting_complaints(said: Mapping[str, Any]) -> list[str]:
    """Say what breaks our promises in what a server says to whoever connects (INFO)."""
    words = version_complaint("the broker", said.get("version"))
    if words:
        return [words]
    if not said.get("auth_required"):
        return ["the broker lets in everybody; run it with an operator (operator: …, resolver: …)"]
    return []


def complaints(servers: Sequence[Server], signer: str) -> list[str]:
    """Say what of them breaks our promises, each with what to set. `signer`: our public key."""
    several = len(servers) > 1
    found: list[str] = []
    if not any(each.jetstream for each in servers):
        found.append("the broker has no JetStream: signals cannot be kept; set jetstream {…}")
    for each in servers:
        who = f"the broker's server {each.name}" if several else "the broker"
        words = version_complaint(who, each.version)
        if words:
            found.append(f"{who}: {words}" if several else words)
        if each.jetstream and not each.sync_always:
            found.append(
                f"{who} may lose acknowledged signals at a power cut;"
                " set jetstream { sync_interval: always }"
            )
        if each.payload < PAYLOAD:
            found.append(
                f"{who} takes messages of {each.payload} bytes at most, too little for the claims"
                f" of an account; set max_payload: {PAYLOAD}, its default, or more"
            )
        if signer not in each.operators:
            found.append(
                f"{who} does not know our operator key {signer}; give it the operator's new token,"
                " or us a key that it knows"
            )
    return found


def replicas(servers: Sequence[Server]) -> int:
    """Return on how many of them each stream is to be kept, one of them going or not."""
    peers = max((each.peers for each in servers if each.jetstream), default=1)
    return REPLICAS if peers >= REPLICAS else 1
