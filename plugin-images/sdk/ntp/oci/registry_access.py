"""Who we are to a registry: names and passwords of `docker login`, and the tokens made of them."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from ntp.oci.fault import OciError

_CHALLENGE = re.compile(r'([a-zA-Z]+)="([^"]*)"')
_LARGEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one registry."""

    user: str
    password: str = field(repr=False)

    def basic(self) -> str:
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def logged_in(host: str, environment: Mapping[str, str]) -> Credentials | None:
    """Return what `docker login` or `skopeo login` wrote for this registry; None: nothing.

    Read are REGISTRY_AUTH_FILE, else DOCKER_CONFIG/config.json, else ~/.docker/config.json. A
    credential helper, which is a program, is not started.

    Raises:
        OciError: the file is there and cannot be read.
    """
    if named := environment.get("REGISTRY_AUTH_FILE"):
        path = Path(named)
    else:
        folder = environment.get("DOCKER_CONFIG")
        path = (
            Path(folder) if folder else Path(environment.get("HOME", "/nowhere")) / ".docker"
        ) / "config.json"
    try:
        document: Any = json.loads(path.read_bytes()[:_LARGEST])
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OciError(f"{path} cannot be read", fix="log in again") from error
    auths = document.get("auths") if isinstance(document, dict) else None
    entry = auths.get(host) if isinstance(auths, dict) else None
    text = entry.get("auth") if isinstance(entry, dict) else None
    if not isinstance(text, str) or not text:
        return None
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError as error:
        raise OciError(f"{path}: the entry of {host} cannot be read", fix="log in again") from error
    return Credentials(user, password) if colon else None


class Access:
    """The Authorization header for what is asked: none, Basic, or a Bearer token by scope."""

    def __init__(self, pool: urllib3.PoolManager, credentials: Credentials | None) -> None:
        self._pool = pool
        self._credentials = credentials
        self._basic = False
        self._tokens: dict[str, str] = {}

    def headers(self, scope: str) -> dict[str, str]:
        if scope in self._tokens:
            return {"Authorization": f"Bearer {self._tokens[scope]}"}
        if self._basic and self._credentials is not None:
            return {"Authorization": self._credentials.basic()}
        return {}

    def learn(self, challenge: str, scope: str, root: str) -> None:
        """Do what a 401 asks for; without credentials a token may still be had."""
        kind, _, rest = challenge.partition(" ")
        fields = {name.lower(): text for name, text in _CHALLENGE.findall(rest)}
        if kind.lower() == "basic":
            self._basic = True
        elif kind.lower() == "bearer" and "realm" in fields:
            self._tokens[scope] = self._token(fields, scope, root)

    def _token(self, fields: Mapping[str, str], scope: str, root: str) -> str:
        realm = fields["realm"]
        if urlsplit(realm).scheme != "https" and urlsplit(root).scheme == "https":
            raise OciError(f"the registry wants our password without TLS, at {realm[:100]!r}")
        query = urlencode({"service": fields.get("service", ""), "scope": scope})
        headers = {} if self._credentials is None else {"Authorization": self._credentials.basic()}
        try:
            answer = self._pool.request("GET", f"{realm}?{query}", headers=headers, redirect=False)
            document = json.loads(answer.data[:_LARGEST]) if answer.status == 200 else {}
        except (HTTPError, ValueError) as error:
            raise OciError(
                f"{urlsplit(realm).netloc} gives no token: {str(error)[:200]}",
                reason="RegistryUnreachable",
                transient=True,
            ) from error
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str):
            raise OciError(
                f"{urlsplit(realm).netloc} gives no token ({answer.status})",
                fix="log in: `docker login` or `skopeo login` write the file that is read here",
                reason="RegistryRefused",
            )
        return token
