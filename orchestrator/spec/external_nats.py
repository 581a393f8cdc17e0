"""What NTP_NATS says: where a NATS that is not ours listens, and which folder holds our keys for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from orchestrator.errors import Problem

NAME: Final = "NTP_NATS"
KEYS: Final = "keys"
PORT: Final = 4222
_WRITE: Final = f"nats://host:{PORT}?{KEYS}=FOLDER"
_PARAMETER: Final = re.compile(r"([A-Za-z_-]{1,32})=")


@dataclass(frozen=True, slots=True)
class ExternalNats:
    """`address`: host:port, or several of one cluster, separated by commas; `keys`: the folder, as it is
    written. Empty: a problem says why.
    """

    address: str
    keys: str


def read(environment: Mapping[str, str], problems: list[Problem]) -> ExternalNats | None:
    """Read nats://host:port?keys=FOLDER; None where it is absent or empty. Appends all problems.

    Of a cluster several servers are named: nats://one:4222,two:4222,three:4222?keys=FOLDER.
    """
    text = environment.get(NAME, "").strip()
    if not text:
        return None
    address, _, query = text.partition("?")
    return ExternalNats(_addresses(address, problems), _keys(query, problems))


def _addresses(text: str, problems: list[Problem]) -> str:
    first, *more = text.split(",")
    written = [first, *(each if "://" in each else f"nats://{each.strip()}" for each in more)]
    mistakes: list[Problem] = []
    found = dict.fromkeys(_address(each.strip(), mistakes) for each in written)
    problems += dict.fromkeys(mistakes)  # each kind of mistake once
    return "" if mistakes else ",".join(found)


def _address(text: str, problems: list[Problem]) -> str:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", PORT if parts.port is None else parts.port
        rest = parts.username or parts.password or parts.path.strip("/") or parts.fragment
        good = host and port and not rest and parts.scheme in ("nats", "tls")
    except ValueError:
        return _none(problems)
    if not good:
        return _none(problems)
    if parts.scheme == "tls":
        fix = f"write {_WRITE}, with a host that is reached over a network of your own"
        problems.append(_problem("was a tls address; NATS is spoken without TLS so far", fix))
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _none(problems: list[Problem]) -> str:
    # Not shown: an address may carry a password.
    problems.append(_problem("is no address of a NATS server", f"write {_WRITE}"))
    return ""


def _keys(query: str, problems: list[Problem]) -> str:
    folders: list[str] = []
    meant = False
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name == KEYS:
            folders.append(unquote(value))
            continue
        named = _PARAMETER.match(part)
        # What is no parameter may be the rest of a password.
        message = (
            f"has an unknown parameter '{name}'" if named else "has no parameter after its '?'"
        )
        near = named is not None and _alike(name)
        meant = meant or near
        fix = f"did you mean '{KEYS}'?" if near else f"write {_WRITE}; there is no other parameter"
        problems.append(_problem(message, fix))
    if len(folders) > 1:
        problems.append(_problem(f"has '{KEYS}' {len(folders)} times", "name one folder"))
    if not any(folders) and not meant:
        fix = f"write {_WRITE}; what it has to hold: docs/cli.md"
        problems.append(_problem("names no folder of keys", fix))
    return folders[0] if len(folders) == 1 else ""


def _alike(name: str) -> bool:
    from difflib import get_close_matches

    return bool(get_close_matches(name.casefold(), [KEYS]))


def _problem(message: str, fix: str) -> Problem:
    return Problem("environment", 0, 0, f"{NAME} {message}", fix)
