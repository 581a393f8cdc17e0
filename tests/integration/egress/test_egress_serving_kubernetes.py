"""On a real cluster: what the proxy is told of generations, and what that costs."""

from dataclasses import replace

import pytest

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP
from orchestrator.cluster.place import Place
from orchestrator.runtime.kubernetes.egress import Egress
from orchestrator.runtime.kubernetes.objects import Way
from orchestrator.runtime.kubernetes.tokens import REMOVED, Signer
from orchestrator.spec.model import HostPort
from tests.worlds.pods import launch

WAY = Way("shop-egress-proxy:3128", Signer(b"s" * 32))
FEED = launch("my_feed", HostPort("exchange.test", 443))
NAME = "shop-egress-proxy-serving"
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


async def told(there):
    return (await there.get(CONFIG_MAP, NAME)).get("data")


async def test_a_new_generation_is_the_lowest_that_serves_and_the_same_one_costs_nothing(
    there, writes
):
    egress = Egress("shop", there, WAY)
    await egress.serves(FEED)
    assert await told(there) == {"shop.my_feed": "3"}
    before = len(writes)
    await egress.serves(replace(FEED, attempt=2))
    assert writes[before:] == []
    await egress.serves(replace(FEED, generation=4))
    assert await told(there) == {"shop.my_feed": "4"}


async def test_another_controller_goes_on_with_what_the_first_one_told(there):
    await Egress("shop", there, WAY).serves(FEED)
    second = Egress("shop", there, WAY)
    await second.serves(launch("other", HostPort("exchange.test", 443)))
    assert await told(there) == {"shop.my_feed": "3", "shop.other": "3"}


async def test_who_is_gone_has_no_token_that_serves_until_it_comes_back(there):
    egress = Egress("shop", there, WAY)
    await egress.serves(FEED)
    await egress.gone("my_feed")
    assert await told(there) == {"shop.my_feed": REMOVED}
    await egress.serves(replace(FEED, generation=1))
    assert await told(there) == {"shop.my_feed": "1"}


async def test_who_never_named_a_host_is_not_told_of(there):
    egress = Egress("shop", there, WAY)
    await egress.serves(launch("my_strategy"))
    await egress.gone("my_strategy")
    assert not await told(there)


async def test_without_a_proxy_nothing_is_written(there, writes):
    egress = Egress("shop", there, None)
    await egress.serves(FEED)
    await egress.gone("my_feed")
    assert writes == []
