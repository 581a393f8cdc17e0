import secrets
from dataclasses import replace

import pytest

from ntp.confine.proxy_client import Proxy
from orchestrator.runtime.kubernetes.tokens import Signer
from orchestrator.spec.model import Detour, HostPort
from tests.worlds.egress_proxy import egress_proxy
from tests.worlds.pods import BROKER, ISSUED, launch


class Asker:
    """A plugin as the proxy sees it."""

    def __init__(self, proxy, folder):
        self.proxy = proxy
        self.signer = Signer(secrets.token_bytes(32))
        self.launch = launch("feed")
        self._file = folder / "egress.token"
        proxy.rule("rules/keys", self.signer.line("shop"))

    def may(self, *hosts, detours=()):
        """Have a token for these hosts; `detours`: (place, to)."""
        pairs = [Detour(_place(place), _place(to)) for place, to in detours]
        egress = (BROKER, *map(_place, hosts))
        self.launch = replace(self.launch, egress=egress, detours=tuple(pairs))
        return self.shows(self.signer.token(self.launch, issued=ISSUED))

    def shows(self, token):
        self._file.write_bytes(token)
        return Proxy(self.proxy.address, self._file)

    def serves(self, since, of="shop.feed"):
        self.proxy.rule(f"serving/{of}", f"4 {since}" if "." in of else f"{since}")


def _place(text):
    """Past what plugins.yaml would refuse to begin with: the proxy does not rely on it."""
    host, _, port = text.rpartition(":")
    return HostPort(host.strip("[]"), int(port))


@pytest.fixture(scope="session")
def squid():
    with egress_proxy() as there:
        yield there


@pytest.fixture
def asker(squid, tmp_path):
    for old in [*squid.rules.rglob("*")]:
        if old.is_file():
            old.unlink()
    return Asker(squid, tmp_path)
