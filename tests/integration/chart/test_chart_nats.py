"""The configuration of the chart's NATS, in a real nats-server: it keeps our promises, alone and as one of three."""

import os
import re
import socket
import subprocess

from ntp.contract.names import Kind
from orchestrator.app import founding
from orchestrator.bus import server_binary
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.external import read_keys
from orchestrator.spec.model import Desired
from orchestrator.spec.rights import rights
from tests.integration.bus.conftest import Server, ensured
from tests.worlds.chart import refusal, rendered
from tests.worlds.specs import spec

WANTED = rights(Desired("desk", 1, {"zeta": spec("zeta", Kind.STRATEGY)}), [])


def configured(folder, values, port):
    """Write the configuration where a pod would have it, with this machine's folders and port."""
    text = rendered(values)["ConfigMap", "ntp-nats"]["data"]["server.conf"]
    for theirs, ours in {
        "/data/": f"{folder}/data/",
        "/run/nats/": f"{folder}/",
        "0.0.0.0:4222": f"127.0.0.1:{port}",
        "0.0.0.0:8222": "127.0.0.1:-1",
        "0.0.0.0:6222": "127.0.0.1:-1",
    }.items():
        text = text.replace(theirs, ours)
    founding.into_folder(folder / "keys", "desk")
    (folder / "server.conf").write_text(text)
    return folder / "server.conf"


async def test_the_controller_s_demands_are_met(tmp_path, monkeypatch):
    monkeypatch.setenv("POD_NAME", "ntp-nats-0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = configured(tmp_path, {}, port)
    server = Server()
    server.start([str(server_binary.find()), "-c", str(file)])
    try:
        external = read_keys(f"127.0.0.1:{port}", tmp_path / "keys")
        async with NatsBroker(tmp_path / "b", project="desk", external=external) as broker:
            await ensured(broker, WANTED)
            assert await broker.check() == []
    finally:
        server.kill()


def test_a_cluster_of_three_knows_each_by_its_pod_s_name(tmp_path):
    file = configured(tmp_path, {"nats.replicas": 3}, 4222)
    done = subprocess.run(
        [server_binary.find(), "-t", "-c", file],
        env={**os.environ, "POD_NAME": "ntp-nats-2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    routes = re.findall(r'"nats://([^"]+)"', file.read_text())
    assert routes == [f"ntp-nats-{number}.ntp-nats-servers:6222" for number in range(3)]


def test_a_store_leaves_room_on_its_volume():
    text = rendered({"nats.storage.size": "10Gi"})["ConfigMap", "ntp-nats"]["data"]["server.conf"]
    assert int(re.search(r"max_file_store: (\d+)", text)[1]) == 10 * 1024**3 * 9 // 10
    assert "nats/storage/size" in refusal({"nats.storage.size": "1m"}).replace(
        "nats.", "nats/"
    ).replace("storage.", "storage/")
