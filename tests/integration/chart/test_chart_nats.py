"""The configuration of the chart's NATS, in a real nats-server: it keeps our promises, alone and as one of three."""

import json
import re
import shutil
import socket

from ntp.contract.names import Kind
from orchestrator.app import founding as app_founding
from orchestrator.bus import founding, server_binary
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.external import read_keys
from orchestrator.spec.model import Desired
from orchestrator.spec.rights import rights
from tests.integration.bus.conftest import Server, ensured
from tests.worlds.chart import CHART, helm, pod_of, refusal, rendered
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
    app_founding.into_folder(tmp_path / "keys", "desk")
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
    app_founding.into_folder(tmp_path / "keys", "desk", [f"127.0.0.1:{port}" for port in routes])
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
    assert app_founding.routes_of("desk") == there


def test_a_nats_of_others_is_used_and_none_is_run():
    values = {"nats.external": "nats://a.example:4222,b.example:4333", "nats.keysSecret": "theirs"}
    found = rendered(values)
    assert not {name for _, name in found if name.startswith("ntp-nats")}
    env = {each["name"]: each.get("value") for each in pod_of(found["Deployment", "ntp-controller"])["containers"][0]["env"]}  # fmt: skip
    assert env["NTP_NATS"] == "nats://a.example:4222,b.example:4333?keys=/etc/ntp/nats-keys"
    assert "NTP_BROKER_PODS" not in env
    private = found["ConfigMap", "ntp-egress-proxy"]["data"]["private"]
    assert private.splitlines() == ["a.example:4222", "b.example:4333"]
    assert "fix: make a Secret with operator.nk" in refusal({"nats.external": "nats://a:4222"})


def let_out(values):
    """What controller and egress proxy may reach for a NATS of others."""
    found = rendered({"nats.keysSecret": "theirs", **values})
    (_, _, *controller), (_, *proxy, _) = (
        found["NetworkPolicy", f"ntp-{part}"]["spec"]["egress"]
        for part in ("controller", "egress-proxy")
    )
    assert controller == proxy
    return proxy


def tcp(port, **there):
    return {**there, "ports": [{"protocol": "TCP", "port": port}]}


def test_of_a_private_network_a_nats_of_others_opens_its_own_addresses():
    assert let_out({"nats.external": "nats://10.0.0.7:4222,10.0.0.8:4333"}) == [
        tcp(4222, to=[{"ipBlock": {"cidr": "10.0.0.7/32"}}]),
        tcp(4333, to=[{"ipBlock": {"cidr": "10.0.0.8/32"}}]),
    ]


def test_what_is_behind_the_name_of_a_nats_is_open_until_it_is_said_where_it_is():
    name = {"nats.external": "nats://a.example:4222,10.0.0.8:4333"}
    assert let_out(name) == [tcp(4222), tcp(4333, to=[{"ipBlock": {"cidr": "10.0.0.8/32"}}])]
    peers = [{"ipBlock": {"cidr": "10.20.0.0/24"}}, {"podSelector": {"matchLabels": {"a": "b"}}}]
    told = {**name, "networkPolicy.natsTo": peers}
    assert let_out(told) == [tcp(4222, to=peers), tcp(4333, to=peers)]


def test_one_server_needs_no_routes_in_a_secret_that_has_none():
    def files(values):
        volumes = pod_of(rendered(values)["StatefulSet", "ntp-nats"])["volumes"]
        (sources,) = (each["projected"]["sources"] for each in volumes if "projected" in each)
        return [item["key"] for each in sources if "secret" in each for item in each["secret"]["items"]]  # fmt: skip

    assert files({}) == ["operator.conf"]
    assert files({"nats.replicas": 3}) == ["operator.conf", "routes.conf"]


def test_three_servers_are_refused_a_secret_that_does_not_lead_them_together(knowing, namespace):
    def install(replicas):
        values = f"nats.keysSecret=mine,nats.replicas={replicas}"
        return helm("install", "desk", CHART, "-n", namespace, "--skip-crds", "--dry-run=server", "--kubeconfig", knowing.kubeconfig, "--set", values)  # fmt: skip

    def keep(*routes):
        held = {} if routes == (None,) else {"routes.conf": founding.found("desk", routes)["routes.conf"].decode()}  # fmt: skip
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "stringData": {"operator.conf": "", **held}}  # fmt: skip
        knowing.kubectl("-n", namespace, "replace", "--force", "-f", "-", stdin=json.dumps(body))

    assert install(3).returncode == 0, "it is not there yet"
    there = app_founding.routes_of("desk")
    for routes, lacking in (((None,), 0), ((), 0), (there[:2], 2), (["x" + each for each in there], 0)):  # fmt: skip
        keep(*routes)
        refused = install(3).stderr
        assert f"has no route to desk-nats-{lacking}.desk-nats-servers:6222" in refused
        assert "fix: put routes into it (docs/kubernetes.md#three-servers)" in refused
        assert install(1).returncode == 0
    keep(*there)
    done = install(3)
    assert done.returncode == 0, done.stderr


def test_a_store_leaves_room_on_its_volume():
    text = rendered({"nats.storage.size": "10Gi"})["ConfigMap", "ntp-nats"]["data"]["server.conf"]
    assert int(re.search(r"max_file_store: (\d+)", text)[1]) == 10 * 1024**3 * 9 // 10
    assert "nats/storage/size" in refusal({"nats.storage.size": "1m"}).replace(
        "nats.", "nats/"
    ).replace("storage.", "storage/")
