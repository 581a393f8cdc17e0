"""The configuration of the chart's NATS, in a real nats-server: it keeps our promises, alone and as one of three."""

import re
import shutil
import socket

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


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def configured(folder, values, port, route=-1):
    """Write the configuration where a pod would have it, with this machine's folders and port."""
    text = rendered(values)["ConfigMap", "ntp-nats"]["data"]["server.conf"]
    for theirs, ours in {
        "/data/": f"{folder}/data/",
        "/run/nats/": f"{folder}/",
        "0.0.0.0:4222": f"127.0.0.1:{port}",
        "0.0.0.0:8222": "127.0.0.1:-1",
        "0.0.0.0:6222": f"127.0.0.1:{route}",
    }.items():
        text = text.replace(theirs, ours)
    (folder / "server.conf").write_text(text)
    return folder / "server.conf"


async def test_the_controller_s_demands_are_met(tmp_path, monkeypatch):
    monkeypatch.setenv("POD_NAME", "ntp-nats-0")
    port = free_port()
    founding.into_folder(tmp_path / "keys", "desk")
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


async def test_three_servers_let_each_other_in_and_are_one_cluster(tmp_path, monkeypatch):
    ports = [free_port() for _ in range(6)]
    clients, routes = ports[:3], ports[3:]
    founding.into_folder(tmp_path / "keys", "desk", [f"127.0.0.1:{port}" for port in routes])
    servers = []
    try:
        for number in range(3):
            folder = tmp_path / str(number)
            folder.mkdir()
            shutil.copytree(tmp_path / "keys", folder / "keys")
            told = {"nats.replicas": 3, "nats.memoryStore": "1Gi"}
            file = configured(folder, told, clients[number], routes[number])
            servers.append(Server())
            monkeypatch.setenv("POD_NAME", f"ntp-nats-{number}")
            servers[-1].start([str(server_binary.find()), "-c", str(file)])
        addresses = ",".join(f"127.0.0.1:{port}" for port in clients)
        external = read_keys(addresses, tmp_path / "keys")
        async with NatsBroker(tmp_path / "b", project="desk", external=external) as broker:
            await ensured(broker, WANTED)
            assert await broker.check() == []
    finally:
        for server in servers:
            server.kill()


def test_a_release_of_three_has_its_servers_where_their_routes_lead():
    found = rendered({"nats.replicas": 3}, release="desk")
    servers = found["StatefulSet", "desk-nats"]
    name, service = servers["metadata"]["name"], servers["spec"]["serviceName"]
    [port] = found["Service", service]["spec"]["ports"]
    there = [f"{name}-{number}.{service}:{port['port']}" for number in range(3)]
    assert founding.routes_of("desk") == there


def test_a_store_leaves_room_on_its_volume():
    text = rendered({"nats.storage.size": "10Gi"})["ConfigMap", "ntp-nats"]["data"]["server.conf"]
    assert int(re.search(r"max_file_store: (\d+)", text)[1]) == 10 * 1024**3 * 9 // 10
    assert "nats/storage/size" in refusal({"nats.storage.size": "1m"}).replace(
        "nats.", "nats/"
    ).replace("storage.", "storage/")
