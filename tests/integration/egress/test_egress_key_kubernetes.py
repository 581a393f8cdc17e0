"""The project's key on a real cluster: made once, told to the proxy, and what a start writes of it."""

import base64
import json
from dataclasses import replace

import msgspec
import pytest

from ntp.contract import egress_token
from ntp.contract.launch import EGRESS_TOKEN_FILE, LAUNCH_FILE, BusAddress, LaunchFile
from ntp.contract.names import Kind
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP, SECRET
from orchestrator.cluster.place import Place
from orchestrator.errors import ActionError
from orchestrator.runtime.kubernetes.egress import Egress
from orchestrator.runtime.kubernetes.objects import Ground
from orchestrator.runtime.kubernetes.tokens import REMOVED, Signer
from orchestrator.spec.model import HostPort
from tests.worlds.pods import launch

GROUND = Ground(broker={"is": "broker"}, proxy_address="shop-egress-proxy:3128")
TOLD = LaunchFile("shop", "feed", Kind.DATA_SOURCE, "feed", "m:C", "/plugin", 3, BusAddress([]))
FEED = launch("feed", HostPort("exchange.test", 443), files={LAUNCH_FILE: msgspec.json.encode(TOLD)})  # fmt: skip
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def there(cluster, namespace):
    async with Cluster(Place(kubeconfig=cluster.kubeconfig, namespace=namespace)) as connected:
        yield connected


@pytest.fixture
def writes(there):
    """What was written to the API server so far."""
    found, asking = [], there._calls.ask

    async def ask(method, path, **given):
        found.extend([f"{method} {path}"] * (method != "GET"))
        return await asking(method, path, **given)

    there._calls.ask = ask
    return found


async def test_the_proxy_trusts_what_a_start_signs_and_a_second_start_writes_nothing(there, writes):
    egress = Egress("shop", there, GROUND)
    made = await egress.prepared(FEED)
    keys = (await there.get(CONFIG_MAP, "shop-egress-proxy-keys"))["data"]["keys"]
    made_once = (await there.get(SECRET, "shop-egress-proxy-seed"))["data"]
    signer = Signer(base64.b64decode(made_once["seed"]))
    assert base64.b64decode(made_once["keys"]).decode() == f"{signer.line('shop')}\n", (
        "the proxy mounts it"
    )
    assert keys == signer.line("shop")
    assert made.files[EGRESS_TOKEN_FILE] == signer.token(FEED)
    assert json.loads(made.files[LAUNCH_FILE])["proxy"]["address"] == "shop-egress-proxy:3128"
    assert (await there.get(CONFIG_MAP, "shop-egress-proxy-serving"))["data"] == {"shop.feed": "3"}
    before = len(writes)
    assert await egress.prepared(FEED) == made
    assert writes[before:] == []


async def test_a_new_generation_is_the_lowest_that_serves_and_another_controller_has_the_same_key(
    there, writes
):
    first = await Egress("shop", there, GROUND).prepared(FEED)
    before = len(writes)
    second = await Egress("shop", there, GROUND).prepared(replace(FEED, generation=4))
    assert [each.rpartition("/")[2] for each in writes[before:]] == [
        "shop-egress-proxy-keys",
        "shop-egress-proxy-serving",
    ]
    assert (await there.get(CONFIG_MAP, "shop-egress-proxy-serving"))["data"] == {"shop.feed": "4"}
    tokens = [each.files[EGRESS_TOKEN_FILE].decode() for each in (first, second)]
    messages = [egress_token.split(each)[0] for each in tokens]
    assert [egress_token.claims(each).generation for each in messages] == [3, 4]


async def test_who_names_no_host_has_no_token_and_costs_no_write_once_the_key_is_there(
    there, writes
):
    egress = Egress("shop", there, GROUND)
    await egress.prepared(FEED)
    before = len(writes)
    calm = launch("my_strategy", files=dict(FEED.files))
    assert EGRESS_TOKEN_FILE not in (await egress.prepared(calm)).files
    assert writes[before:] == []


async def test_who_is_removed_has_no_token_that_serves_until_it_comes_back(there, writes):
    egress = Egress("shop", there, GROUND)
    await egress.prepared(FEED)
    await egress.gone("feed")
    told = (await there.get(CONFIG_MAP, "shop-egress-proxy-serving"))["data"]
    assert told == {"shop.feed": REMOVED}
    before = len(writes)
    await egress.gone("feed")
    await egress.gone("never_named_a_host")
    assert writes[before:] == []
    await egress.prepared(replace(FEED, generation=1))
    told = (await there.get(CONFIG_MAP, "shop-egress-proxy-serving"))["data"]
    assert told == {"shop.feed": "1"}


async def test_a_damaged_key_is_told_with_what_to_do(there):
    await there.create(SECRET, SECRET.body("shop-egress-proxy-seed", stringData={"seed": "short"}))
    with pytest.raises(ActionError, match="delete it, and another one is made") as refused:
        await Egress("shop", there, GROUND).prepared(FEED)
    assert (refused.value.reason, refused.value.permanent) == ("EgressKey", True)


async def test_without_a_proxy_only_who_names_no_host_starts(there):
    egress = Egress("shop", there, Ground(broker={"is": "broker"}))
    calm = launch("my_strategy", files=dict(FEED.files))
    assert await egress.prepared(calm) == calm
    with pytest.raises(ActionError, match=r"egressProxy\.enabled=true") as refused:
        await egress.prepared(FEED)
    assert refused.value.reason == "NoEgressProxy"
