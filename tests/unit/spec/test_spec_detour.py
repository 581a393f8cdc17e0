"""NTP_EGRESS_MAP: declared hosts that lead somewhere else, or a problem; never the real one by a typo."""

import pytest
import trustme

from orchestrator.errors import ConfigError
from orchestrator.spec import detour
from orchestrator.spec.model import Detour, HostPort
from tests.unit.spec.test_spec_load import refusals, resolve

REAL, HERE = HostPort("stream.example.com", 9443), HostPort("127.0.0.1", 8443)
TEXT = """
plugins:
  data_sources:
    - name: feed
      config: {url: "wss://stream.example.com:9443/ws"}
    - name: other
      network: {egress: ["api.example.com:443"]}
"""
MAP = "stream.example.com:9443=127.0.0.1:8443"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA().cert_pem.bytes().decode()


def found(text, authority=""):
    problems = []
    read = detour.read({"NTP_EGRESS_MAP": text, "egress_ca": authority}, problems)
    return read, [each.message for each in problems]


@pytest.mark.parametrize(
    "text",
    [
        MAP,
        "Stream.Example.com:9443=127.0.0.1:8443,\n",
        f"{MAP} {MAP}",
    ],
)
def test_places_are_read_in_any_spelling(text):
    assert found(text) == (detour.Detours({REAL: HERE}), [])


def test_several_and_ipv6():
    read, problems = found(f"{MAP}, [2001:db8::1]:1=[::1]:2")
    assert problems == []
    assert read.to == {REAL: HERE, HostPort("2001:db8::1", 1): HostPort("::1", 2)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stream.example.com:9443", "NTP_EGRESS_MAP was 'stream.example.com:9443'"),
        ("stream.example.com=127.0.0.1:1", "NTP_EGRESS_MAP: a host was 'stream.example.com'"),
        ("a.example:1=127.0.0.1", "NTP_EGRESS_MAP: a host was '127.0.0.1'"),
        ("a.example:1=b.example:2", "NTP_EGRESS_MAP leads to the name 'b.example'"),
        ("a.example:1=localhost:2", "NTP_EGRESS_MAP leads to the name 'localhost'"),
        (
            "a.example:1=169.254.169.254:80",
            "NTP_EGRESS_MAP: a host was '169.254.169.254:80', an address that is never handed out",
        ),
        (
            "a.example:1=127.0.0.1:2 a.example:1=127.0.0.1:3",
            "NTP_EGRESS_MAP leads a.example:1 to two addresses",
        ),
    ],
)
def test_what_leads_nowhere_is_a_problem(text, words):
    assert found(text)[1] == [words]


def test_a_ca_has_to_be_one_and_to_be_of_use(authority):
    assert found(MAP, authority) == (detour.Detours({REAL: HERE}, authority), [])
    wrong = "NTP_EGRESS_CA names a file without a certificate in PEM"
    assert found(MAP, "no certificate")[1] == [wrong]
    assert found(MAP, authority[:200])[1] == [wrong]
    assert found("", authority)[1] == ["NTP_EGRESS_CA is set, NTP_EGRESS_MAP is not"]


def test_only_who_declares_the_place_is_led_and_trusts(authority):
    plugins = resolve(TEXT, {"NTP_EGRESS_MAP": MAP, "egress_ca": authority}).plugins
    assert plugins["feed"].egress == (REAL,)
    assert (plugins["feed"].detours, plugins["feed"].authority) == (
        (Detour(REAL, HERE),),
        authority,
    )
    assert (plugins["other"].detours, plugins["other"].authority) == ((), "")
    assert authority not in repr(plugins["feed"])


def test_a_place_that_nobody_may_reach_is_a_problem():
    with pytest.raises(ConfigError) as refused:
        resolve(TEXT, {"NTP_EGRESS_MAP": "stream.example.com:443=127.0.0.1:8443"})
    assert [each.message for each in refused.value.problems] == [
        "NTP_EGRESS_MAP leads stream.example.com:443 elsewhere, which no plugin may reach"
    ]


def test_a_mistake_of_an_entry_is_not_followed_by_one_of_the_map():
    text = TEXT.replace("feed\n", "feed\n      version: '9'\n")
    told = [each.message for each in refusals(text, environment={"NTP_EGRESS_MAP": "a.b:1=::1"})]
    assert told != []
    assert not any("no plugin may reach" in each for each in told)
