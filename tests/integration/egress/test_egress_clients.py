"""Clients that other people wrote, unmodified, where no door is: through the proxy, names checked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from tests.worlds.environment import python_with
from tests.worlds.tls_exchange import TIME, tls_exchange

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = {"websockets", "httpx", "aiohttp", "requests", "ccxt"}
VISIT = """
import asyncio, json, sys
from pathlib import Path
from ntp.confine import ways
from ntp.confine.proxy_client import Proxy
address, token, clients, *places = sys.argv[1:]
ways.install(Proxy(address, Path(token)))  # as the runner does
exec(open(clients).read())
said = [asyncio.run(visit(place)) for place in places]
print(json.dumps([said, ways.refused()]))
"""


def test_five_clients_reach_what_is_declared_by_a_checked_name_and_nothing_else(
    asker, tmp_path, pytestconfig
):
    python = python_with(pytestconfig.cache.mkdir("clients"), FIXTURES / "five_clients.txt")
    [theirs] = python.parents[1].glob("lib/python*/site-packages")
    authority = trustme.CA()
    certificate = authority.issue_cert("exchange.test")
    (tmp_path / "key").write_bytes(certificate.private_key_pem.bytes())
    (tmp_path / "chain").write_bytes(b"".join(c.bytes() for c in certificate.cert_chain_pems))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "visit.py").write_text(VISIT)
    with tls_exchange(tmp_path / "chain", tmp_path / "key") as port:
        to = f"127.0.0.1:{port}"
        named, misnamed, other = "exchange.test:443", "lying.test:443", "elsewhere.test:443"
        asker.proxy.rule("rules/private", to)
        asker.may(named, misnamed, detours=[(named, to), (misnamed, to)])
        done = subprocess.run(
            [
                sys.executable,
                "-P",
                tmp_path / "visit.py",
                asker.proxy.address,
                tmp_path / "egress.token",
                FIXTURES / "plugins" / "five_clients.py",
                *(named, misnamed, other),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=240,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(theirs), *filter(None, sys.path)]),
                "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
                "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem"),
            },
        )
    assert done.returncode == 0, done.stderr
    (by_name, by_lie, elsewhere), refused = json.loads(done.stdout)
    assert by_name == {**dict.fromkeys(NAMES, TIME), "ccxt": "1700000000000"}
    for name, why in by_lie.items():
        assert "certificate verify failed" in why, f"{name} took {why}"
    for name, why in elsewhere.items():
        assert "is refused" in why, f"{name}: {why}"
    assert refused.keys() == {other}
    assert refused[other] >= len(NAMES), "each client was refused, and counted"
