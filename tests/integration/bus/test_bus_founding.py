"""`ntpctl nats init`: a real nats-server that includes what it made keeps our promises."""

import os
import re
import socket
import subprocess
import sys

import pytest

from ntp.contract.names import Kind
from orchestrator.bus import server_binary
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.external import read_keys
from orchestrator.spec.model import Desired
from orchestrator.spec.rights import rights
from tests.integration.bus.conftest import Server, ensured
from tests.worlds.specs import spec

WANTED = rights(Desired("theirs", 1, {"zeta": spec("zeta", Kind.STRATEGY)}), [])
CONFIGURATION = """\
server_name: "nats"
listen: "{address}"
include "nats-keys/operator.conf"
resolver: {{ type: full, dir: "{folder}/accounts", allow_delete: true }}
jetstream: {{ store_dir: "{folder}/store", sync_interval: always }}
{more}
"""
CLUSTER = 'cluster: { name: "ntp", listen: "127.0.0.1:-1", include "nats-keys/routes.conf" }'


def init(*words, folder):
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", "nats", "init", *words],
        cwd=folder,
        env={**os.environ, "KUBECONFIG": str(folder / "none")},
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_a_server_of_it_serves_a_project_that_has_its_keys(tmp_path):
    done = init("nats-keys", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    file = tmp_path / "server.conf"
    file.write_text(CONFIGURATION.format(address=address, folder=tmp_path, more=""))
    clustered = tmp_path / "one-of-three.conf"
    clustered.write_text(CONFIGURATION.format(address=address, folder=tmp_path, more=CLUSTER))
    subprocess.run([server_binary.find(), "-t", "-c", clustered], check=True, capture_output=True)
    server = Server()
    server.start([str(server_binary.find()), "-c", str(file)])
    try:
        external = read_keys(address, tmp_path / "nats-keys")
        async with NatsBroker(tmp_path / "b", project="theirs", external=external) as broker:
            await ensured(broker, WANTED)
            assert await broker.check() == []
    finally:
        server.kill()


def test_the_server_s_part_holds_no_key_and_what_is_there_stays(tmp_path):
    done = init("nats-keys", folder=tmp_path)
    folder = tmp_path / "nats-keys"
    assert done.stdout.split() == [f"nats-keys/{each}" for each in ("operator.nk", "system.creds", "operator-root.nk", "operator.conf", "routes.conf")]  # fmt: skip
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    seeds = [(folder / name).read_text().strip() for name in ("operator.nk", "operator-root.nk")]
    assert not any(seed in (folder / "operator.conf").read_text() for seed in seeds)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    again = init("nats-keys", folder=tmp_path)
    assert again.returncode == 5
    assert "has keys already: operator.nk" in again.stderr
    assert before == {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_route_has_the_password_that_servers_show_each_other(tmp_path):
    done = init("nats-keys", "--route", "one:6222", "--route", "two:6222", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "nats-keys" / "routes.conf").read_text()
    password = re.search(r'password: "([^"]+)"', told)[1]
    assert re.findall(r'"nats://ntp:([^@]+)@([^"]+)"', told) == [(password, "one:6222"), (password, "two:6222")]  # fmt: skip


@pytest.mark.parametrize("route", ["three", "6222", ":6222", "nats://one:6222", "one:0", "a:b@one:6222"])  # fmt: skip
def test_a_route_that_is_no_host_and_port_is_refused_before_any_key_is_made(tmp_path, route):
    refused = init("nats-keys", "--route", route, folder=tmp_path)
    assert refused.returncode == 2
    assert f"was '{route}'" in refused.stderr
    assert "fix: write HOST:PORT, as in nats-1.example:6222" in refused.stderr
    assert not (tmp_path / "nats-keys").exists()


def test_it_says_where_to_is_missing_and_that_there_is_no_cluster(tmp_path):
    both = init("nats-keys", "--secret", "x", folder=tmp_path)
    assert (both.returncode, "name a FOLDER, or --secret NAME" in both.stderr) == (2, True)
    nowhere = init("--secret", "x", folder=tmp_path)
    assert (nowhere.returncode, "no kubeconfig is there" in nowhere.stderr) == (2, True)
    assert "Traceback" not in nowhere.stderr
