"""On a real cluster, from inside a plugin's pod: who answers it, and where the proxy leads it."""

import contextlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ntp.contract import egress_token
from ntp.contract.launch import LAUNCH_FILE
from orchestrator.runtime.kubernetes import tokens
from orchestrator.spec.model import Detour, HostPort
from tests.worlds import egress_cluster
from tests.worlds.egress_cluster import until
from tests.worlds.environment import python_with
from tests.worlds.pods import ISSUED, launch

pytestmark = [pytest.mark.long, pytest.mark.network, pytest.mark.timeout(900)]
FIXTURES = Path(__file__).parents[2] / "fixtures"
KNOCK = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def knock(place):
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
        return "answers"
    except OSError as error:
        return type(error).__name__
with ThreadPoolExecutor(20) as pool:
    said = dict(zip(sys.argv[1:], pool.map(knock, sys.argv[1:])))
question = b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7exchange\\0\\0\\1\\0\\1"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
    link.settimeout(3)
    link.sendto(question, ("10.96.0.10", 53))
    try:
        said["dns"] = "answers" if link.recv(512) else ""
    except OSError as error:
        said["dns"] = type(error).__name__
print(json.dumps(said))
"""
AS_RUNNER = """
import asyncio, json, os, ssl, sys
from pathlib import Path
from ntp.confine import ways
from ntp.runner import launch as launching
from ntp.runner.__main__ import _way_out
folder = Path("/run/ntp")
launch = launching.read(folder)
ways.install(_way_out(launch, folder), closed=not launch.egress)
os.environ["SSL_CERT_FILE"] = "/run/ntp/ca.pem"
def tried(what):
    try:
        return what()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""
CLIENTS = f"""
{AS_RUNNER}
import httpx, websockets
async def feed(host):
    async with asyncio.timeout(30), websockets.connect(f"wss://{{host}}/ws/btcusdt@trade") as link:
        return json.loads(await link.recv())["s"]
async def bus():
    from ntp.connection import connect
    async with asyncio.timeout(30), connect(folder, launch.bus, plain=False, name="x", proxy=launch.proxy) as link:
        return "connected"
said = {{"bus": tried(lambda: asyncio.run(bus()))}}
for host in sys.argv[1:]:
    page = tried(lambda: str([*httpx.get(f"https://{{host}}/api/v3/time", timeout=30).json()]))
    said[host] = [tried(lambda: asyncio.run(feed(host))), page]
print(json.dumps([said, dict(ways.refused())]))
"""
SHOW = """
import json, sys
from pathlib import Path
from ntp.confine.proxy_client import Proxy
Path("/tmp/shown").write_text(sys.argv[1])
try:
    Proxy("ntp-egress:3128", Path("/tmp/shown")).connect(sys.argv[2], 443, 30).close()
    said = "connected"
except OSError as error:
    said = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def stage(cluster, pytestconfig, tmp_path_factory):
    python = python_with(pytestconfig.cache.mkdir("clients"), FIXTURES / "five_clients.txt")
    [clients] = python.parents[1].glob("lib/python*/site-packages")
    with egress_cluster.stage(cluster, clients, tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture(scope="module")
def strategy(stage):
    made = launch("my_strategy", project=stage.namespace)
    stage.plugin(replace(made, files={LAUNCH_FILE: stage.told(made)}))
    return "my-strategy"


@pytest.fixture(scope="module")
def source(stage):
    """A data source that may reach two names, both led to the exchange; it is known under one of them."""
    places = [HostPort("exchange.test", 443), HostPort("lying.test", 443)]
    host, _, port = stage.exchange.rpartition(":")
    made = launch("my_feed", *places, project=stage.namespace)
    made = replace(made, detours=tuple(Detour(each, HostPort(host, int(port))) for each in places))
    made = replace(made, files={LAUNCH_FILE: stage.told(made)})
    stage.plugin(made)
    return made


def knocked(stage, pod, neighbour):
    """What answers from inside a pod, by what it is; `neighbour`: another plugin's pod."""
    at = {
        "broker": f"{stage.address('service', 'ntp-nats')}:4222",
        "broker's monitor": f"{stage.address('service', 'ntp-nats')}:8222",
        "proxy": f"{stage.address('service', 'ntp-egress')}:3128",
        "API server": "10.96.0.1:443",
        "API server of the node": "10.88.0.1:6443",
        "kubelet": "10.88.0.1:10250",
        "name server": "10.96.0.10:53",
        "another plugin": f"{stage.address('pod', neighbour)}:8080",
        "a pod without a policy": f"{stage.address('pod', 'free')}:8080",
        "metadata": "169.254.169.254:80",
        "internet": "1.1.1.1:443",
    }
    said = stage.run(pod, KNOCK, *at.values())
    return {what: said[place] for what, place in at.items()} | {"dns": said["dns"]}


NODE = {"API server", "API server of the node", "kubelet"}


@pytest.fixture(scope="module")
def uncovered(stage, strategy):
    """What of the node answers a pod that may reach nobody at all: this cluster's network enforces nothing there."""
    stage.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "denied"},
            "spec": {
                "podSelector": {"matchLabels": {"ntp.test/is": "denied"}},
                "policyTypes": ["Ingress", "Egress"],
            },
        },
        stage.pod("denied", {"ntp.test/is": "denied"}),
    )
    stage.ready("denied")
    answering = in_force(stage, "denied", strategy)
    assert answering <= NODE, answering
    return answering


def in_force(stage, pod, neighbour):
    """What answers a pod once its policy is in force, about a second after it began."""
    said = until(lambda: (s := knocked(stage, pod, neighbour))["name server"] != "answers" and s)
    return {what for what, word in said.items() if word == "answers"}


def test_only_the_broker_answers_a_strategy(stage, strategy, source, uncovered):
    free = knocked(stage, "free", "my-feed")
    there = {"broker", "proxy", "name server", "dns", "a pod without a policy", *NODE}
    assert {what for what, said in free.items() if said == "answers"} >= there, free
    assert in_force(stage, strategy, "my-feed") - uncovered == {"broker"}


def test_a_source_is_answered_by_broker_and_proxy_and_nobody_reaches_it(
    stage, source, strategy, uncovered
):
    assert in_force(stage, "my-feed", strategy) - uncovered == {"broker", "proxy"}
    assert knocked(stage, "free", "my-feed")["another plugin"] != "answers"


def test_a_strategy_that_asks_for_a_host_is_told_so_by_name(stage, strategy):
    ask = f"""{AS_RUNNER}
import urllib.request
words = tried(lambda: urllib.request.urlopen("https://exchange.test/", timeout=30))
print(json.dumps([words, dict(ways.refused())]))
"""
    words, refused = stage.run(strategy, ask)
    assert "exchange.test:443 is refused: not in network.egress" in words
    assert refused == {"exchange.test:443": 1}


def test_unmodified_clients_reach_the_exchange_under_its_checked_name_and_no_other_host(
    stage, source
):
    said, refused = stage.run("my-feed", CLIENTS, "exchange.test", "lying.test", "other.test")
    assert said["bus"] == "connected"
    assert said["exchange.test"] == ["BTCUSDT", "['serverTime']"]
    assert all("certificate" in words for words in said["lying.test"]), said
    assert all("is refused: not in network.egress" in words for words in said["other.test"]), said
    assert refused == {"other.test:443": 2}
    lines = [json.loads(each) for each in stage.kubectl("logs", "proxy").splitlines() if each.startswith("{")]  # fmt: skip
    # The log is of all tests here.
    asked = {"exchange.test:443", "lying.test:443", "other.test:443"}
    told = [each for each in lines if each["answer"] == egress_token.REFUSED and each["place"] in asked]  # fmt: skip
    assert {(each["plugin"], each["place"]) for each in told} == {(f"{stage.namespace}/my_feed", "other.test:443")}  # fmt: skip


def test_a_token_that_is_not_its_own_leads_nowhere(stage, source):
    token = stage.signer.token(source, issued=ISSUED)
    assert stage.run("my-feed", SHOW, token.decode(), "exchange.test") == "connected"
    message, signature = egress_token.split(token.decode())
    claims = egress_token.claims(message)
    wider = egress_token.Claims(
        claims.project, claims.instance, 3, ISSUED, hosts=["other.test:443"]
    )
    altered = egress_token.signed(egress_token.unsigned(wider), signature)
    forged = tokens.Signer(b"f" * 32).token(source, issued=ISSUED)
    foreign = stage.signer.token(replace(source, project="theirs"), issued=ISSUED)
    for shown in (altered, forged, foreign):
        said = stage.run("my-feed", SHOW, shown.decode(), "other.test")
        assert "PermissionError" in said
        assert "no key that this proxy trusts signed that token" in said


def test_a_withdrawn_generation_is_refused_once_the_proxy_has_heard_of_it(stage, source):
    # One of its own: others go on with their tokens, and what is withdrawn is heard of a minute later.
    changed = replace(source, name="their_feed")
    old = stage.signer.token(changed, issued=ISSUED).decode()
    assert stage.run("my-feed", SHOW, old, "exchange.test") == "connected"
    since = {"data": {f"{stage.namespace}.their_feed": f"4 {ISSUED + 1}"}}
    stage.kubectl("patch", "configmap", "serving", "--type=merge", "-p", json.dumps(since))
    said = until(lambda: (s := stage.run("my-feed", SHOW, old, "exchange.test")) != "connected" and s)  # fmt: skip
    assert f"generation 3 of {stage.namespace}/their_feed was withdrawn" in said
    new = stage.signer.token(changed, issued=ISSUED + 1).decode()
    assert stage.run("my-feed", SHOW, new, "exchange.test") == "connected"


def test_the_proxy_itself_leads_nobody_to_the_cluster(stage, source):
    """Whatever a token says: neither the API server nor a pod, by address or by a name that leads there."""
    for place in (
        HostPort("10.96.0.1", 443),
        HostPort("kubernetes.default.svc.cluster.local", 443),
    ):
        said = stage.run(
            "my-feed",
            SHOW,
            stage.signer.token(
                replace(source, generation=9, egress=(place,)), issued=ISSUED
            ).decode(),
            place.host,
        )
        assert "10.96.0.1 is an address of this machine or its private network" in said


def test_a_proxy_that_crashed_serves_again(stage, source):
    """What it left in its pod's shared memory is no obstacle."""
    crash = "import os, signal; os.kill(1, signal.SIGSEGV)"
    with contextlib.suppress(subprocess.CalledProcessError):  # the container goes under it
        stage.kubectl("exec", "proxy", "--", "python3", "-c", crash)

    def restarted():
        [container] = stage.cluster.get("-n", stage.namespace, "pod", "proxy")["status"]["containerStatuses"]  # fmt: skip
        return container["restartCount"] == 1 and container["ready"]

    until(restarted)
    token = stage.signer.token(source, issued=ISSUED).decode()
    assert stage.run("my-feed", SHOW, token, "exchange.test") == "connected"
