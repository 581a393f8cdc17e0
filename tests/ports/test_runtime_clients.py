"""Clients that other people wrote, unmodified, inside a container: through the door, names checked."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from orchestrator.spec.model import HostPort, Resources
from tests.ports.conftest import until
from tests.worlds.environment import python_with
from tests.worlds.tls_exchange import TIME, tls_exchange

RUNTIMES = ("docker",)
pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.timeout(300)]
FIXTURES = Path(__file__).parents[1] / "fixtures"
NAMES = {"websockets", "httpx", "aiohttp", "requests", "ccxt"}
VISIT = """
import asyncio, json, os, sys
from ntp.confine import door_client, ways
ways.install(door_client.Door(os.environ['NTP_LAUNCH'] + '/door.sock'))  # as the runner does
exec(open(os.environ['NTP_LAUNCH'] + '/clients.py').read())
for place in json.loads(sys.argv[1]):
    print(json.dumps(asyncio.run(visit(place))))
"""


@pytest.fixture(scope="module")
def clients(pytestconfig):
    """The folder that holds the five clients and what they need."""
    cache = pytestconfig.cache.mkdir("clients")
    python = python_with(cache, FIXTURES / "five_clients.txt")
    [found] = python.parents[1].glob("lib/python*")
    return found


@pytest.fixture
def exchange(tmp_path):
    """An exchange named `localhost`, and who vouches for that name: (port, certificate of the CA)."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    (tmp_path / "key").write_bytes(certificate.private_key_pem.bytes())
    (tmp_path / "chain").write_bytes(b"".join(c.bytes() for c in certificate.cert_chain_pems))
    with tls_exchange(tmp_path / "chain", tmp_path / "key") as port:
        yield port, authority.cert_pem.bytes()


async def test_five_clients_reach_what_is_declared_by_a_checked_name_and_nothing_else(
    world, clients, exchange
):
    port, authority = exchange
    environment = world.engine.environment()
    environment = replace(environment, site=(*environment.site, Path("/plugin", "site-packages")))
    named, numbered, other = f"localhost:{port}", f"127.0.0.1:{port}", f"elsewhere.test:{port}"
    await world.run(
        "alpha",
        "",
        argv=("-c", VISIT, json.dumps([named, numbered, other])),
        environment=environment,
        code=clients,
        files={
            "launch.json": b"{}",
            "ca.pem": authority,
            "clients.py": (FIXTURES / "plugins" / "five_clients.py").read_bytes(),
        },
        egress=(HostPort("localhost", port), HostPort("127.0.0.1", port)),
        inet=True,
        resources=Resources(memory=512 << 20, cpu=1.0, pids=64, tmp=16 << 20),
    )

    async def ended():
        return (await world.see("alpha")).exit

    end = await until(ended, deadline_s=120)
    assert end.code == 0, end.last_output
    by_name, by_number, elsewhere = map(json.loads, await world.lines("alpha"))
    assert by_name == {**dict.fromkeys(NAMES, TIME), "ccxt": "1700000000000"}
    for name, why in by_number.items():
        assert "certificate verify failed" in why, f"{name} took {why}"
    for name, why in elsewhere.items():
        assert "is refused" in why, f"{name}: {why}"
    refused = (await world.see("alpha")).refused
    assert refused.keys() == {other}
    assert refused[other] >= len(NAMES), "each client was refused, and counted"
