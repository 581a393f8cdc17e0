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
from orchestrator.runtime.kubernetes.tokens import Signer
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
    made = await egress.prepared(FEED, new=False)
    keys = (await there.get(CONFIG_MAP, "shop-egress-proxy-keys"))["data"]["keys"]
    made_once = (await there.get(SECRET, "shop-egress-proxy-seed"))["data"]
    signer = Signer(base64.b64decode(made_once["seed"]))
    assert base64.b64decode(made_once["keys"]).decode() == f"{signer.line('shop')}\n", (
        "the proxy mounts it"
    )
    assert keys == signer.line("shop")
    assert made.files[EGRESS_TOKEN_FILE] == signer.token(FEED, issued=issued(made))
    assert json.loads(made.files[LAUNCH_FILE])["proxy"]["address"] == "shop-egress-proxy:3128"
    assert await told(there) == {"shop.feed": f"3 {issued(made)}"}
    before = len(writes)
    assert await egress.prepared(FEED, new=False) == made
    assert writes[before:] == []


async def test_a_new_generation_is_the_lowest_that_serves_and_another_controller_has_the_same_key(
    there, writes
):
    first = await Egress("shop", there, GROUND).prepared(FEED, new=False)
    before = len(writes)
    second = await Egress("shop", there, GROUND).prepared(replace(FEED, generation=4), new=False)
    assert [each.rpartition("/")[2] for each in writes[before:]] == [
        "shop-egress-proxy-keys",
        "shop-egress-proxy-serving",
    ]
    assert await told(there) == {"shop.feed": f"4 {issued(second)}"}
    tokens = [each.files[EGRESS_TOKEN_FILE].decode() for each in (first, second)]
    messages = [egress_token.split(each)[0] for each in tokens]
    assert [egress_token.claims(each).generation for each in messages] == [3, 4]


async def test_who_names_no_host_has_no_token_and_costs_no_write_once_the_key_is_there(
    there, writes
):
    egress = Egress("shop", there, GROUND)
    await egress.prepared(FEED, new=False)
    before = len(writes)
    calm = launch("my_strategy", files=dict(FEED.files))
    assert EGRESS_TOKEN_FILE not in (await egress.prepared(calm, new=False)).files
    assert writes[before:] == []


async def told(there):
    return (await there.get(CONFIG_MAP, "shop-egress-proxy-serving"))["data"]


def issued(made):
    return egress_token.claims(egress_token.split(made.files[EGRESS_TOKEN_FILE].decode())[0]).issued


def serves(token, lines):
    """As the proxy reads it."""
    return token >= int((lines.get("shop.feed") or lines.get("shop", "0")).split()[-1])


async def test_what_was_withdrawn_never_serves_again_and_a_fresh_token_does_at_once(there, writes):
    egress = Egress("shop", there, GROUND, kept=1)
    old, seen = [], [{}]
    for generation, new in ((57, True), (1, True), (2, False), (1, False), (1, True)):
        token = issued(await egress.prepared(replace(FEED, generation=generation), new=new))
        seen.append(await told(there))
        assert all(serves(token, lines) for lines in seen), "whatever the proxy has read by now"
        assert not any(serves(each, seen[-1]) for each in old)
        old.append(token)
        if generation == 57:
            await egress.gone("feed")
            seen.append(await told(there))
            assert not serves(token, seen[-1])
    await egress.gone("feed")
    before = len(writes)
    await egress.gone("feed")
    await egress.gone("never_named_a_host")
    assert writes[before:] == []
    for name in ("another", "third"):
        await egress.prepared(replace(FEED, name=name), new=True)
        await egress.gone(name)
    seen.append(await told(there))
    assert [*seen[-1]] == ["shop", "shop.third"], "it grows without end"
    assert not any(serves(each, seen[-1]) for each in old)
    token = issued(await egress.prepared(FEED, new=True))
    assert all(serves(token, lines) for lines in seen)


async def test_a_config_map_that_somebody_deleted_is_made_again(there):
    egress = Egress("shop", there, GROUND)
    await egress.prepared(FEED, new=True)
    await there.delete(CONFIG_MAP, "shop-egress-proxy-serving")
    await egress.prepared(replace(FEED, generation=4), new=False)
    assert (await told(there))["shop.feed"].startswith("4 ")


async def test_a_damaged_key_is_told_with_what_to_do(there):
    await there.create(SECRET, SECRET.body("shop-egress-proxy-seed", stringData={"seed": "short"}))
    with pytest.raises(ActionError, match="delete it, and another one is made") as refused:
        await Egress("shop", there, GROUND).prepared(FEED, new=False)
    assert (refused.value.reason, refused.value.permanent) == ("EgressKey", True)


async def test_without_a_proxy_only_who_names_no_host_starts(there):
    egress = Egress("shop", there, Ground(broker={"is": "broker"}))
    calm = launch("my_strategy", files=dict(FEED.files))
    assert await egress.prepared(calm, new=False) == calm
    with pytest.raises(ActionError, match=r"egressProxy\.enabled=true") as refused:
        await egress.prepared(FEED, new=False)
    assert refused.value.reason == "NoEgressProxy"
