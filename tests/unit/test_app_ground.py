"""What the chart says of the ground that pods stand on."""

from orchestrator.app.ground import ground


async def test_pods_know_the_proxy_without_a_name_server():
    made = await ground({"NTP_PROXY": "localhost:3128", "NTP_PROXY_PODS": "is=proxy"})
    assert (made.proxy_address, made.proxy) == ("localhost:3128", {"is": "proxy"})
    assert made.aliases in ({"localhost": "127.0.0.1"}, {"localhost": "::1"})


async def test_without_a_proxy_there_is_none():
    made = await ground({})
    assert (made.proxy_address, made.aliases) == ("", {})
