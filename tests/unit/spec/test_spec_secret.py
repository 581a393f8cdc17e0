import pytest

from orchestrator.spec import egress, secret
from orchestrator.spec.model import HostPort, Place, SecretRef
from orchestrator.spec.quantity import QuantityError

PLACE = Place("f", 1, 1)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("env:KEY", ("env", "KEY")),
        ("file:a/b:c", ("file", "a/b:c")),
        ({"env": "KEY"}, ("env", "KEY")),
        ({"file": "a"}, ("file", "a")),
    ],
)
def test_references_in_both_spellings(written, found):
    assert secret.reference(written) == found


@pytest.mark.parametrize(
    "written",
    ["sk-live-1", "env:", "env:1A", "env:A B", "file:", {"env": 1}, {}, 5, None, ["env:A"]],
)
def test_what_is_no_reference_is_refused_and_not_shown(written):
    with pytest.raises(QuantityError) as refused:
        secret.reference(written)
    assert "sk-live-1" not in f"{refused.value}{refused.value.fix}"


def test_variables_are_found_wherever_they_stand():
    config = {"a": "${A}", "b": ["x", {"c": "${B}:${C}/${B}"}], "d": "$${D} ${}", "e": "$5", "f": 1}
    assert [tuple(use) for use in secret.uses(config)] == [
        ("config.a", ("a",), "A"),
        ("config.b.1.c", ("b", 1, "c"), "B"),
        ("config.b.1.c#C", ("b", 1, "c"), "C"),
    ]
    assert list(secret.malformed(config)) == [(("d",), "${}")]


def test_values_take_the_place_of_their_references():
    config = {"a": "${A}", "b": ["x", {"c": "${B}:${C}/${B}"}], "d": "$${D}", "e": "$5", "f": 1.5}
    secrets = {use.key: SecretRef("env", use.variable, PLACE) for use in secret.uses(config)}
    secrets["token"] = SecretRef("file", "t", PLACE)
    filled = secret.fill(config, secrets, lambda reference: f"<{reference.key}>")
    assert filled == {
        "a": "<A>",
        "b": ["x", {"c": "<B>:<C>/<B>"}],
        "d": "${D}",
        "e": "$5",
        "f": 1.5,
        "token": "<t>",
    }
    assert config["a"] == "${A}"


def test_a_value_is_taken_as_it_is():
    config = {"a": "x${A}y"}
    secrets = {"config.a": SecretRef("env", "A", PLACE)}
    assert secret.fill(config, secrets, lambda _: r"\1${B}$${C}")["a"] == r"x\1${B}$${C}y"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("example.com:443", HostPort("example.com", 443)),
        ("EXAMPLE.com:443", HostPort("example.com", 443)),
        ("localhost:8080", HostPort("localhost", 8080)),
        ("127.0.0.1:1", HostPort("127.0.0.1", 1)),
        ("[2001:DB8::1]:443", HostPort("2001:db8::1", 443)),
        ("my_host.local:65535", HostPort("my_host.local", 65535)),
    ],
)
def test_hosts_and_ports(written, found):
    assert egress.host_port(written) == found


@pytest.mark.parametrize(
    "written",
    [
        "example.com",
        "example.com:0",
        "example.com:65536",
        "example.com:https",
        ":443",
        "*:443",
        "*.example.com:443",
        "-a.example:1",
        "a b:1",
        "a:1\n",
        "1.2.3:80",
        "999.1.1.1:80",
        "[::1",
        "2001:db8::1:443",
        "169.254.169.254:80",
        "[fe80::1]:80",
        "0.0.0.0:80",
        "[::]:80",
        "https://example.com:443",
        "user@example.com:443",
        "a." * 130 + "b:1",
        5,
        None,
    ],
)
def test_what_is_no_host_and_port_is_refused(written):
    with pytest.raises(QuantityError, match="was"):
        egress.host_port(written)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("wss://stream.binance.com:9443/ws", ["stream.binance.com:9443"]),
        ("https://api.example.com/v1?x=1", ["api.example.com:443"]),
        ("HTTP://Example.com", ["example.com:80"]),
        ("ws://user:pass@example.com/", ["example.com:80"]),
        ("https://${HOST}/v1", []),
        ("https://[::1", []),
        ("https://example.com:99999/", []),
        ("https://169.254.169.254/latest", []),
        ("ftp://example.com/", []),
        ("see https://example.com/", []),
        ("https://", []),
    ],
)
def test_a_url_in_a_config_names_its_host(url, found):
    assert [str(host) for host in egress.in_config({"deep": [{"url": url}, 5, None]})] == found
