"""The real proxy, asked as a plugin asks it: who may go where, and what a no says."""

import json
import socket
import threading
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from ntp.confine.door_client import DoorRefusedError
from ntp.contract import egress_token
from orchestrator.errors import ActionError
from orchestrator.runtime.kubernetes.tokens import Signer, claims
from tests.worlds.pods import ISSUED

EXCHANGE = "exchange.test:443"
WITHIN_S = 20


@pytest.fixture
def echo():
    """A server on loopback that says hello before it is asked; its host:port."""
    with greeting("127.0.0.1") as port:
        yield f"127.0.0.1:{port}"


@contextmanager
def greeting(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:

        def serve():
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link, suppress(OSError):  # who asked may be gone
                    link.sendall(b"hello")
                    link.sendall(link.recv(100))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def led(asker, echo):
    """A way that may go to the exchange, which is that server."""
    asker.proxy.rule("rules/private", echo)
    return asker.may(EXCHANGE, detours=[(EXCHANGE, echo)])


def test_a_declared_host_is_reached_and_no_byte_of_it_is_lost(asker, echo):
    with led(asker, echo).connect("exchange.test", 443, WITHIN_S) as link:
        link.sendall(b"ping")
        assert link.makefile("rb").read(9) == b"helloping"


async def test_it_is_reached_from_a_loop_too(asker, echo):
    link = await led(asker, echo).open_async("exchange.test", 443)
    with link:
        link.settimeout(WITHIN_S)
        assert link.recv(5) == b"hello"


@pytest.mark.parametrize(
    ("host", "port"), [("other.test", 443), ("exchange.test", 80), ("127.0.0.1", 22), ("::1", 443)]
)
def test_another_place_is_refused_by_name_and_counted(asker, host, port):
    way = asker.may(EXCHANGE)
    place = egress_token.place(host, port)
    for _ in range(2):
        with pytest.raises(
            DoorRefusedError, match=r"is refused: not in network\.egress"
        ) as refused:
            way.connect(host, port, WITHIN_S)
    assert place in str(refused.value)
    assert way.refused.counts == {place: 2}
    assert told(asker.proxy, place) == {"shop/feed"}


def told(proxy, place):
    """Whose refusals at that place the proxy's log tells."""
    end = time.monotonic() + WITHIN_S
    while True:
        lines = [json.loads(line) for line in proxy.said().splitlines() if line.startswith("{")]
        found = {
            line["plugin"]
            for line in lines
            if line["place"] == place and line["answer"] == egress_token.REFUSED
        }
        if found or time.monotonic() > end:
            return found
        time.sleep(0.05)


@pytest.mark.parametrize(
    "place",
    [
        "127.0.0.1:22",
        "10.96.0.1:443",
        "192.168.1.1:443",
        "169.254.169.254:80",
        "[::1]:443",
        "[64:ff9b::10.0.0.1]:443",
        "[fe80::1]:443",
        "localhost:443",
    ],
)
def test_a_private_address_is_refused_though_it_is_declared(asker, place):
    host, _, port = place.rpartition(":")
    with pytest.raises(DoorRefusedError, match=r"is an? .*address|egressProxy\.private"):
        asker.may(place).connect(host.strip("[]"), int(port), WITHIN_S)


def test_who_runs_the_cluster_allows_a_private_place_but_never_metadata(asker, echo):
    port = int(echo.rpartition(":")[2])
    way = asker.may(f"localhost:{port}", "169.254.169.254:80")
    asker.proxy.rule("rules/private", f"localhost:{port}", "169.254.169.254:80")
    with way.connect("localhost", port, WITHIN_S) as link:
        assert link.recv(5) == b"hello"
    with pytest.raises(DoorRefusedError, match="metadata"):
        way.connect("169.254.169.254", 80, WITHIN_S)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 is here")
def test_a_private_place_may_be_an_address_of_ipv6(asker):
    with greeting("::1") as port:
        way = asker.may(f"[::1]:{port}")
        asker.proxy.rule("rules/private", f"[0:0::1]:{port}")
        with way.connect("::1", port, WITHIN_S) as link:
            assert link.recv(5) == b"hello"


def test_a_detour_leads_to_no_private_place_by_itself(asker, echo):
    way = asker.may(EXCHANGE, detours=[(EXCHANGE, echo)])
    with pytest.raises(DoorRefusedError, match="private"):
        way.connect("exchange.test", 443, WITHIN_S)


def test_nobody_answers_there_is_not_a_refusal(asker):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        place = f"127.0.0.1:{closed.getsockname()[1]}"
    asker.proxy.rule("rules/private", place)
    way = asker.may(place)
    with pytest.raises(ConnectionRefusedError, match="Connection refused") as failed:
        way.connect("127.0.0.1", int(place.rpartition(":")[2]), WITHIN_S)
    assert not isinstance(failed.value, DoorRefusedError)
    assert way.refused.counts == {}


def test_a_name_that_nobody_has(asker):
    with pytest.raises(socket.gaierror, match=r"nowhere\.invalid"):
        asker.may("nowhere.invalid:443").connect("nowhere.invalid", 443, WITHIN_S)


def test_a_forged_token_is_refused(asker, echo):
    led(asker, echo)
    way = asker.shows(Signer(b"x" * 32).token(asker.launch, issued=ISSUED))
    with pytest.raises(PermissionError, match="no key"):
        way.connect("exchange.test", 443, WITHIN_S)
    assert way.refused.counts == {}, "no line of the entry would mend that"


def test_an_altered_token_is_refused(asker, echo):
    led(asker, echo)
    _, signature = egress_token.split(asker.signer.token(asker.launch, issued=ISSUED).decode())
    wider = egress_token.Claims("shop", "feed", 3, ISSUED, hosts=["other.test:443"])
    with pytest.raises(PermissionError, match="no key"):
        asker.shows(egress_token.signed(egress_token.unsigned(wider), signature)).connect(
            "other.test", 443, WITHIN_S
        )


@pytest.mark.parametrize("name", ["rules/keys", "rules/keys-founded"])
def test_a_key_that_one_file_says_is_not_hidden_by_the_other(asker, echo, name):
    way = led(asker, echo)
    for each in ("rules/keys", "rules/keys-founded"):
        asker.proxy.rule(each, (asker.signer if each == name else Signer(b"o" * 32)).line("shop"))
    way.connect("exchange.test", 443, WITHIN_S).close()


def test_a_token_of_another_project_is_refused_whoever_signed_it(asker, echo):
    led(asker, echo)
    other = Signer(b"y" * 32)
    asker.proxy.rule("rules/keys", asker.signer.line("shop"), other.line("theirs"))
    way = asker.shows(other.token(asker.launch, issued=ISSUED))
    with pytest.raises(PermissionError, match="no key"):
        way.connect("exchange.test", 443, WITHIN_S)


def test_a_withdrawn_generation_is_refused_and_the_new_one_serves(asker, echo):
    way = led(asker, echo)
    way.connect("exchange.test", 443, WITHIN_S).close()
    asker.serves(ISSUED + 1)
    with pytest.raises(PermissionError, match="generation 3 of shop/feed was withdrawn"):
        way.connect("exchange.test", 443, WITHIN_S)
    older = replace(asker.launch, generation=2)
    back = asker.shows(asker.signer.token(older, issued=ISSUED + 1))
    back.connect("exchange.test", 443, WITHIN_S).close()


def test_a_token_of_an_instance_that_nobody_tells_of_is_withdrawn_with_its_project(asker, echo):
    way = led(asker, echo)
    asker.serves(ISSUED + 1, of="shop")
    with pytest.raises(PermissionError, match="generation 3 of shop/feed was withdrawn"):
        way.connect("exchange.test", 443, WITHIN_S)
    asker.serves(ISSUED)
    way.connect("exchange.test", 443, WITHIN_S).close()


@pytest.mark.parametrize("text", ["soon", "4 -1", "4 1e3", "9" * 5000])
def test_a_line_that_cannot_be_read_withdraws(asker, echo, text):
    way = led(asker, echo)
    asker.proxy.rule("serving/shop.feed", text)
    with pytest.raises(PermissionError):
        way.connect("exchange.test", 443, WITHIN_S)


@pytest.mark.parametrize("token", [b"", b"a.b.c", b"x" * 7_000, b"\xff\xfe"])
def test_what_is_no_token_is_refused(asker, token):
    with pytest.raises(PermissionError, match="no token"):
        asker.shows(token).connect("exchange.test", 443, WITHIN_S)


def deep(signer=None):
    """A token with a field that no decoder goes through to its end."""
    body = (
        b'{"project":"shop","instance":"feed","generation":3,"issued":3,"x":'
        + b"[" * 2400
        + b"]" * 2400
    )
    parts = [b'{"alg":"EdDSA","typ":"JWT"}', body + b"}"]
    message = b".".join(urlsafe_b64encode(each).rstrip(b"=") for each in parts)
    return egress_token.signed(
        message,
        SigningKey(signer.seed).sign(message).signature if signer is not None else b"s" * 64,
    )


@pytest.mark.parametrize("signed", [False, True])
def test_a_token_that_breaks_a_decoder_ends_nobody_elses_feed(asker, echo, signed):
    way = led(asker, echo)
    token = deep(asker.signer if signed else None)
    assert len(token) < egress_token.LONGEST
    before = asker.proxy.said().count("helperOpenServers")
    with way.connect("exchange.test", 443, WITHIN_S) as good:
        for _ in range(3):
            with pytest.raises(PermissionError, match="no token" if signed else "no key"):
                asker.shows(token).connect("exchange.test", 443, WITHIN_S)
        good.sendall(b"still")
        assert good.makefile("rb").read(10) == b"hellostill"
    led(asker, echo).connect("exchange.test", 443, WITHIN_S).close()
    assert asker.proxy.said().count("helperOpenServers") == before, "it was started anew"


def test_an_odd_line_of_the_allowed_places_allows_nothing_and_ends_nobody(asker, echo):
    way = led(asker, echo)
    asker.proxy.rule("rules/private", "no port", "", "a:b", "[::1:443", "\xff\xfe:1", "x" * 300 + ":1", echo)  # fmt: skip
    way.connect("exchange.test", 443, WITHIN_S).close()


def test_what_the_helper_does_not_expect_is_refused_and_told(asker, echo):
    led(asker, echo)
    odd = egress_token.Claims("shop", "feed", 3, ISSUED, hosts=["no port"])
    message = egress_token.unsigned(odd)
    way = asker.shows(
        egress_token.signed(message, SigningKey(asker.signer.seed).sign(message).signature)
    )
    for _ in range(2):
        with pytest.raises(PermissionError, match="the proxy failed at it: ValueError"):
            way.connect("exchange.test", 443, WITHIN_S)
    assert "egress: shop/feed exchange.test:443: ValueError" in asker.proxy.said()
    led(asker, echo).connect("exchange.test", 443, WITHIN_S).close()


def test_it_is_asked_by_connect_only(asker):
    host, _, port = asker.proxy.address.rpartition(":")
    with socket.create_connection((host, int(port)), WITHIN_S) as link:
        link.sendall(b"GET http://exchange.test/ HTTP/1.1\r\nHost: exchange.test\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 403")


def test_more_hosts_than_the_proxy_can_be_told_are_refused_and_all_others_fit(asker):
    hosts = [f"a-rather-long-name-{number:03}.exchange.test:443" for number in range(200)]
    with pytest.raises(ActionError, match="200 hosts make a token") as refused:
        asker.may(*hosts)
    assert refused.value.reason == "EgressTooLong"
    way = asker.may(*hosts[:100])
    with pytest.raises(DoorRefusedError):
        way.connect("other.test", 443, WITHIN_S)


def test_a_token_says_what_was_launched_and_is_the_same_each_time(asker):
    asker.may(EXCHANGE, "[2001:db8::1]:443")
    assert claims(asker.launch, issued=ISSUED).hosts == [EXCHANGE, "[2001:db8::1]:443"]
    assert asker.signer.token(asker.launch, issued=ISSUED) == asker.signer.token(
        asker.launch, issued=ISSUED
    )
    message, _ = egress_token.split(asker.signer.token(asker.launch, issued=ISSUED).decode())
    read = egress_token.claims(message)
    assert (read.project, read.instance, read.generation) == ("shop", "feed", 3)
    assert claims(asker.launch, issued=ISSUED, bus=True).hosts[0] == "ntp-nats:4222"


def test_a_probe_that_only_knocks_is_not_told(asker):
    host, _, port = asker.proxy.address.rpartition(":")
    way = asker.may(EXCHANGE)

    def refused(place):
        """Have it refused, and wait until that is told: what was refused before it is told, too."""
        with pytest.raises(DoorRefusedError):
            way.connect(place, 443, WITHIN_S)
        assert told(asker.proxy, f"{place}:443") == {"shop/feed"}
        return len(asker.proxy.said())

    before = refused("before-knocking.test")
    for _ in range(3):
        socket.create_connection((host, int(port)), WITHIN_S).close()
    refused("after-knocking.test")
    lines = [each for each in asker.proxy.said()[before:].splitlines() if "storeLate" not in each]
    assert len(lines) == 1, lines
