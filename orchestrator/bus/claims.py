"""The JSON Web Tokens of NATS, version 2: operator, account, user, activation, deletion.

A token is `base64url(header).base64url(claims).base64url(signature)`, unpadded, signed over its
first two parts by the issuer's key (github.com/nats-io/jwt; there is no library for Python).
Everything here is pure; a token's `iat` is given by the caller.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.bus.keys import Key
from orchestrator.spec.model import Import, Rights
from orchestrator.spec.rights import CORE, SERVICE, STREAM

PAYLOAD = 128 * 1024
"""Bytes of one message of a plugin, headers included."""
CONNECTIONS = 3
"""A plugin needs one; a new life may come before the server saw the old one end."""
SUBSCRIPTIONS = 32
"""At least; an entry that names many symbols may have two for each of them."""
_UNLIMITED = -1

CORE_EXPORTS: tuple[tuple[str, str, str | None], ...] = (
    ("beat.*", SERVICE, None),
    ("sig.*.>", SERVICE, None),
    ("fill.*.>", SERVICE, None),
    ("dlq.*.>", SERVICE, None),
    ("$JS.API.CONSUMER.MSG.NEXT.*.*", SERVICE, "Stream"),
    ("$JS.API.CONSUMER.RESET.*.*", SERVICE, None),
    ("state.*", SERVICE, None),
    ("$JS.API.STREAM.MSG.GET.*", SERVICE, None),
    ("$JS.ACK.>", SERVICE, None),
    ("ctl.*", STREAM, None),
)
"""What CORE offers to whoever holds an activation: subject, type, type of response. It never
changes when a plugin comes or goes; the activation in the importer's claims is what grants."""


def encode(claims: Mapping[str, Any], issuer: Key, issued: int) -> str:
    """Return the signed token. `claims` has sub, name and nats; `issued` in seconds since 1970."""
    body = {**claims, "iss": issuer.public, "iat": issued, "jti": ""}
    digest = hashlib.new("sha512_256", _json(body)).digest()
    body["jti"] = base64.b32encode(digest).decode().rstrip("=")
    unsigned = f"{_b64(_json(_HEADER))}.{_b64(_json(body))}"
    return f"{unsigned}.{_b64(issuer.sign(unsigned.encode()))}"


def decode(token: str) -> dict[str, Any]:
    """Return a token's claims. The signature is not checked: for tokens of our own.

    Raises:
        ValueError: it is none.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("a token has three parts")
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(claims, dict):
        raise ValueError("a token holds an object")  # noqa: TRY004 (one error for one mistake)
    return claims


def meaning(token: str) -> Any:
    """Return what a token says, without when it was said: tokens of equal meaning are alike."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: meaning(item) if key == "token" else strip(item)
                for key, item in value.items()
                if key not in {"iat", "jti"}
            }
        if isinstance(value, list):
            return [strip(item) for item in value]
        return value

    return strip(decode(token))


def operator(key: Key, signing: Key, system: Key, *, name: str) -> dict[str, Any]:
    """Return the claims of the operator, signed by itself; `signing` does the daily work."""
    return {
        "sub": key.public,
        "name": name,
        "nats": {
            "signing_keys": [signing.public],
            "system_account": system.public,
            "type": "operator",
            "version": 2,
        },
    }


def system_account(key: Key) -> dict[str, Any]:
    return {
        "sub": key.public,
        "name": "SYS",
        "nats": {"limits": _limits(exports=_UNLIMITED), "type": "account", "version": 2},
    }


def core_account(
    key: Key, captured: Sequence[Import], exporters: Mapping[str, Key], issued: int
) -> dict[str, Any]:
    """Return the claims of the controller's account: the only one with streams.

    `captured`: what it hears of others, for their streams alone.
    """
    limits = _limits(exports=_UNLIMITED) | dict.fromkeys(
        ("mem_storage", "disk_storage", "streams", "consumer"), _UNLIMITED
    )
    exports = [_export(*export) for export in CORE_EXPORTS]
    return {
        "sub": key.public,
        "name": CORE,
        "nats": {
            "limits": limits,
            "exports": exports,
            **(
                {
                    "imports": [
                        _import(each, key, exporters[each.account], issued) for each in captured
                    ]
                }
                if captured
                else {}
            ),
            "type": "account",
            "version": 2,
        },
    }


def plugin_account(
    key: Key,
    rights: Rights,
    exporters: Mapping[str, Key],
    *,
    project: str,
    issued: int,
    connections: int = CONNECTIONS,
    refused: int = 0,
) -> dict[str, Any]:
    """Return the claims of a plugin's account. `exporters`: the account key of each name imported from.

    `refused`: users' tokens that were issued until then (seconds since 1970) serve no more.

    The allow-lists are the account's default permissions, not the user's own, so a change of the
    wiring leaves the credentials as they are.
    """
    limits = _limits(exports=len(rights.exports)) | {
        "subs": max(SUBSCRIPTIONS, 2 * len(rights.subscribe)),
        "payload": PAYLOAD,
        "imports": len(rights.imports),
        "conn": connections,
    }
    return {
        "sub": key.public,
        "name": f"{project}/{rights.instance}",
        "nats": {
            "limits": limits,
            "exports": [_export(item.subject, item.channel, None) for item in rights.exports],
            "imports": [
                _import(item, key, exporters[item.account], issued) for item in rights.imports
            ],
            "default_permissions": {
                "pub": _only(rights.publish),
                "sub": _only(rights.subscribe),
            },
            **({"revocations": {"*": refused}} if refused else {}),
            "type": "account",
            "version": 2,
        },
    }


def user(key: Key, *, name: str) -> dict[str, Any]:
    """Return the claims of a user who may do what its account may."""
    return {
        "sub": key.public,
        "name": name,
        "nats": {
            "pub": {},
            "sub": {},
            "subs": _UNLIMITED,
            "data": _UNLIMITED,
            "payload": _UNLIMITED,
            "type": "user",
            "version": 2,
        },
    }


def deletion(operator_key: Key, accounts: Sequence[str]) -> dict[str, Any]:
    """Return the claims that have a full resolver forget accounts (their public keys)."""
    return {
        "sub": operator_key.public,
        "name": "delete",
        "nats": {"accounts": list(accounts), "type": "generic", "version": 2},
    }


def credentials(token: str, seed: bytes) -> bytes:
    """Return the .creds file that every NATS client reads."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
    ).encode()


def parts(credentials: bytes) -> tuple[bytes, bytes]:
    """Return token and seed of a .creds file.

    Raises:
        ValueError: it is none.
    """
    lines = credentials.splitlines()
    found = [
        lines[at + 1].strip()
        for at, line in enumerate(lines[:-1])
        if line.startswith(b"-----BEGIN ")
    ]
    if len(found) != 2:
        raise ValueError("the file is no .creds file (a user's token and seed)")
    return found[0], found[1]


_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


def _limits(*, exports: int) -> dict[str, Any]:
    return {
        "subs": _UNLIMITED,
        "data": _UNLIMITED,
        "payload": _UNLIMITED,
        "imports": _UNLIMITED,
        "exports": exports,
        "wildcards": True,
        "conn": _UNLIMITED,
        "leaf": 0,
    }


def _only(subjects: Sequence[str]) -> dict[str, list[str]]:
    """Allow these. To the server an empty list of what is allowed is no list: everything."""
    return {"allow": list(subjects)} if subjects else {"deny": [">"]}


def _export(subject: str, channel: str, response: str | None) -> dict[str, Any]:
    export: dict[str, Any] = {
        "name": subject,
        "subject": subject,
        "type": channel,
        "token_req": True,
    }
    if response:
        export["response_type"] = response
    return export


def _import(item: Import, importer: Key, exporter: Key, issued: int) -> dict[str, Any]:
    activation = {
        "sub": importer.public,
        "name": item.subject,
        "nats": {
            "subject": item.subject,
            "kind": item.channel,
            "type": "activation",
            "version": 2,
        },
    }
    return {
        "name": item.local,
        "subject": item.subject,
        "account": exporter.public,
        "token": encode(activation, exporter, issued),
        "local_subject": item.local,
        "type": item.channel,
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
