"""What the chart says of the ground that pods stand on."""

import pytest

from orchestrator.app.ground import ground
from orchestrator.errors import UnreachableError


async def test_pods_know_the_proxy_without_a_name_server():
    made = await ground({"NTP_PROXY": "localhost:3128", "NTP_PROXY_PODS": "is=proxy"})
    assert (made.proxy_address, made.proxy) == ("localhost:3128", {"is": "proxy"})
    assert made.aliases in ({"localhost": "127.0.0.1"}, {"localhost": "::1"})


async def test_without_a_proxy_there_is_none():
    made = await ground({})
    assert (made.proxy_address, made.aliases) == ("", {})


async def test_a_name_without_an_address_ends_the_turn_and_writes_no_pod_that_never_connects():
    # RFC 6761: nobody answers for it.
    for setting in ({"NTP_PROXY": "proxy.invalid:3128"}, {"NTP_NATS": "nats://nats.invalid:4222"}):
        with pytest.raises(UnreachableError, match=r"\.invalid has no address now"):
            await ground(setting)
