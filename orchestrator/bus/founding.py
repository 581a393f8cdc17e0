"""A new operator for a NATS that is not ours: what its servers have to be told, and what we keep.

It signs nothing but the system account; accounts come with the plugins (orchestrator.bus.broker).
"""

import json
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.bus import external
from orchestrator.bus.authority import Authority
from orchestrator.bus.keys import OPERATOR, Keyring

SERVER_PART, ROUTES_PART, ROOT = "operator.conf", "routes.conf", "operator-root.nk"
_USER = "ntp"
FILES = (external.OPERATOR, external.SYSTEM, ROOT, SERVER_PART, ROUTES_PART)


def found(project: str, routes: Sequence[str] = ()) -> Mapping[str, bytes]:
    """Make an operator, its system account and a user of that; return files by their names.

    `routes`: HOST:PORT of each server of a cluster, for the others.

    `operator.nk` and `system.creds` are what NTP_NATS asks for. Servers include `operator.conf`, which holds
    tokens and no key, and those of a cluster `routes.conf`, where the others are and a password between themselves. `operator-root.nk`
    is the seed with which another signing key is made: nothing that runs needs it.
    """
    with tempfile.TemporaryDirectory(prefix="ntp-operator-") as folder:
        keys = Path(folder) / "keys"
        authority = Authority(keys, project=project)
        system, token = authority.system()
        ring = Keyring(keys)
        return {
            external.OPERATOR: ring.key("operator-signing", OPERATOR).seed + b"\n",
            external.SYSTEM: authority.system_credentials(),
            ROOT: ring.key("operator", OPERATOR).seed + b"\n",
            SERVER_PART: _server_part(authority.operator_token(), system, token).encode(),
            ROUTES_PART: _routes_part(secrets.token_urlsafe(24), routes).encode(),
        }


def _server_part(operator: str, system: str, token: str) -> str:
    return f"""\
# Included by the configuration of each server: whom it trusts.
operator: {operator}
system_account: {system}
resolver_preload: {{
  {system}: {token}
}}
"""


def _routes_part(password: str, routes: Sequence[str]) -> str:
    # A server shows another what the route to it says, and nothing where it says nothing.
    urls = [f"nats://{_USER}:{password}@{each}" for each in routes]
    return f"""\
# Included in the block `cluster`: what servers show each other, and where they are.
authorization: {{ user: "{_USER}", password: {json.dumps(password)}, timeout: 5 }}
routes: {json.dumps(urls)}
"""
