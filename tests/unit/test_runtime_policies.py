"""What the network of a cluster is told of a plugin, and what the plugin is told of it."""

from dataclasses import replace

import msgspec
import pytest

from ntp.contract.launch import EGRESS_TOKEN_FILE, LAUNCH_FILE, BusAddress, LaunchFile
from ntp.contract.names import Kind
from orchestrator.runtime.kubernetes.policies import network_policy
from orchestrator.runtime.kubernetes.tokens import Signer, files
from orchestrator.spec.model import HostPort
from tests.worlds.pods import launch

BROKERS, PROXIES = {"role": "broker"}, {"role": "proxy"}
EXCHANGE = HostPort("exchange.test", 443)


def policy(plugin, brokers=BROKERS):
    made = network_policy(plugin, broker_selector=brokers, proxy_selector=PROXIES)
    return made["spec"]


def reached(spec):
    """Labels and port of each rule; there is no other way out in it."""
    return [
        (rule["to"][0]["podSelector"]["matchLabels"], rule["ports"][0]["port"])
        for rule in spec["egress"]
        if [*rule] == ["to", "ports"] and [*rule["to"][0]] == ["podSelector"]
    ]


def test_who_declares_no_host_reaches_the_broker_alone_and_nobody_reaches_it():
    spec = policy(launch("my_strategy"))
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    assert reached(spec) == [(BROKERS, 4222)]
    assert len(spec["egress"]) == 1


def test_who_declares_hosts_reaches_the_proxy_too():
    spec = policy(launch("feed", EXCHANGE))
    assert reached(spec) == [(BROKERS, 4222), (PROXIES, 3128)]


def test_a_broker_outside_is_behind_the_proxy():
    assert reached(policy(launch("my_strategy"), brokers=None)) == [(PROXIES, 3128)]


def test_a_policy_is_of_one_plugin_and_named_as_its_other_objects():
    one, two = launch("my_feed"), launch("my_feed_2")
    made = network_policy(one, broker_selector=BROKERS, proxy_selector=PROXIES)
    assert made["metadata"]["name"] == "my-feed"
    assert policy(one)["podSelector"] != policy(two)["podSelector"]
    assert made == network_policy(
        replace(one, attempt=7, epoch=9), broker_selector=BROKERS, proxy_selector=PROXIES
    ), "another life of it changes nothing"


@pytest.mark.parametrize("hosts", [(), (EXCHANGE,)])
def test_a_plugin_is_told_of_the_proxy_and_given_a_token_if_it_goes_anywhere(hosts):
    told = LaunchFile("shop", "feed", Kind.DATA_SOURCE, "feed", "m:C", "/plugin", 3, BusAddress([]))
    plugin = replace(
        launch("feed", *hosts), files={LAUNCH_FILE: msgspec.json.encode(told), "x": b"y"}
    )
    made = files(plugin, "ntp-egress:3128", Signer(b"s" * 32), issued=1)
    assert made["x"] == b"y"
    read = msgspec.json.decode(made[LAUNCH_FILE], type=LaunchFile)
    assert read.proxy is not None
    assert (read.proxy.address, read.proxy.bus) == ("ntp-egress:3128", False)
    assert (EGRESS_TOKEN_FILE in made) == bool(hosts)
    assert made == files(plugin, "ntp-egress:3128", Signer(b"s" * 32), issued=1)
