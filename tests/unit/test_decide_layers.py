"""What each field of an entry costs when it changes, and what a newer release costs: nothing."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from ntp.contract.launch import Listen
from ntp.contract.names import Kind
from orchestrator.decide.history import compare
from orchestrator.decide.layers import (
    MISSING,
    carry_over,
    describe,
    differing,
    hashes,
    layers,
    on_bus,
)
from orchestrator.spec.model import Detour, HostPort, Place
from tests.worlds.specs import MIB, spec

ENTRY = spec("bollinger", config={"period": 20, "symbols": ["BTC"]})
BINANCE = Listen(instance="binance", kind=Kind.DATA_SOURCE)


def of(entry, listens=(BINANCE,), secrets=None):
    return layers(entry, listens=listens, secrets=secrets or {})


def limits(**fields):
    return replace(ENTRY, resources=replace(ENTRY.resources, **fields))


LED = replace(
    ENTRY, egress=(HostPort("a", 1),), detours=(Detour(HostPort("a", 1), HostPort("127.0.0.1", 2)),)
)


@pytest.mark.parametrize(
    ("other", "layer", "words"),
    [
        (
            of(replace(ENTRY, config={"period": 30, "symbols": ["BTC"]})),
            "config",
            "config.period 20 -> 30",
        ),
        (of(replace(ENTRY, config={"period": 20})), "config", 'config.symbols ["BTC"] -> (none)'),
        (of(replace(ENTRY, history=5)), "config", "history 1000 -> 5"),
        (of(replace(ENTRY, timeout=timedelta(seconds=5))), "config", "timeout_s 30.0 -> 5.0"),
        (of(replace(ENTRY, capital=Decimal(5))), "config", "capital 10000 -> 5"),
        (of(replace(ENTRY, risk={"max_position": "5"})), "policy", "risk.max_position (none) -> 5"),
        (of(ENTRY, secrets={"config.key": "x"}), "config", "secret key is new"),
        (of(limits(memory=1024 * MIB)), "resources", "resources.memory 512 MiB -> 1 GiB"),
        (of(limits(cpu=0.5)), "resources", "resources.cpu 1.0 -> 0.5"),
        (of(limits(tmp=8 * MIB)), "identity", "tmp 64 MiB -> 8 MiB"),
        (
            of(replace(ENTRY, digest="sha256:" + "cd" * 32)),
            "identity",
            "image sha256:abababababab -> sha256:cdcdcdcdcdcd",
        ),
        (
            of(replace(ENTRY, digest="cd" * 32)),
            "identity",
            "image sha256:abababababab -> code cdcdcdcd",
        ),
        (of(replace(ENTRY, storage=MIB)), "identity", "storage 0 MiB -> 1 MiB"),
        (of(replace(ENTRY, egress=(HostPort("a", 1),))), "identity", "egress +a:1"),
        (of(LED), "identity", "egress +a:1 -> 127.0.0.1:2"),
        (of(replace(ENTRY, version="2")), "policy", "version 1.0.0 -> 2"),
        (of(ENTRY, listens=()), "wiring", "no longer listens to binance"),
        (
            of(ENTRY, listens=(BINANCE, Listen(instance="rsi", kind=Kind.INDICATOR))),
            "wiring",
            "now listens to rsi",
        ),
        (
            of(ENTRY, listens=(Listen(instance="binance", kind=Kind.DATA_SOURCE, bars="5m"),)),
            "wiring",
            "no longer listens to binance, now listens to binance 5m",
        ),
        (on_bus(of(ENTRY), "127.0.0.1:2"), "wiring", "bus (none) -> 127.0.0.1:2"),
    ],
)
def test_a_change_is_in_one_layer_and_has_words(other, layer, words):
    assert differing(hashes(of(ENTRY)), hashes(other)) == (layer,)
    assert describe(of(ENTRY), other) == words


def test_what_an_input_itself_hears_is_told_by_name():
    def hearing(*names, symbol="X"):
        rsi = Listen(instance="rsi", kind=Kind.INDICATOR, listens_to=[*names], symbols=[symbol])
        return of(ENTRY, listens=(rsi,))

    told = describe(hearing("a", "b"), hearing("b", "c"))
    assert told == "rsi hears c too, rsi no longer hears a"
    told = describe(hearing("a"), hearing("a", "c", symbol="Y"))
    assert told == "rsi hears c too, input rsi: other symbols"
    assert describe(hearing("a", "b"), hearing("b", "a")) == "input rsi: other listens_to"


def test_a_secret_comes_changes_and_goes_in_words():
    first, other = of(ENTRY, secrets={"config.key": "x"}), of(ENTRY, secrets={"config.key": "y"})
    assert describe(first, other) == "secret key has another value"
    assert describe(first, of(ENTRY)) == "secret key is gone"


def test_a_secret_that_was_missing_has_no_other_value_but_one():
    missing, there = of(ENTRY, secrets={"key": MISSING}), of(ENTRY, secrets={"key": "x"})
    assert describe(missing, there) == "secret key is set now"
    assert describe(of(ENTRY), missing) == "secret key is new"


def test_hosts_that_come_and_go_are_named_and_their_order_is_no_change():
    a, b, c = HostPort("a", 1), HostPort("b", 2), HostPort("c", 3)
    before, after = of(replace(ENTRY, egress=(a, b))), of(replace(ENTRY, egress=(c, b)))
    assert describe(before, after) == "egress +c:3 -a:1"
    assert hashes(of(replace(ENTRY, egress=(b, a)))) == hashes(before)


def test_a_long_value_is_cut():
    assert describe(of(ENTRY), of(replace(ENTRY, config={**ENTRY.config, "period": "x" * 50}))) == (
        f"config.period 20 -> {'x' * 37}..."
    )


def test_where_it_stands_in_the_file_is_no_change():
    moved = replace(ENTRY, place=Place("other.yaml", 99, 1))
    assert hashes(of(moved)) == hashes(of(ENTRY))


def test_the_order_of_keys_is_no_change():
    turned = replace(ENTRY, config={"symbols": ["BTC"], "period": 20})
    assert hashes(of(turned)) == hashes(of(ENTRY))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (1, True, "config.period 1 -> true"),
        (0, False, "config.period 0 -> false"),
        (2, 2.0, "config.period 2 -> 2.0"),
        ([1], [True], "config.period [1] -> [true]"),
        ({"x": {"y": 1}}, {"x": {"y": 1.0}}, 'config.period {"x": {"y": 1}} -> {"x": {"y": 1.0}}'),
    ],
)
def test_what_only_python_takes_for_the_same_is_a_change(before, after, words):
    one, other = (of(replace(ENTRY, config={"period": each})) for each in (before, after))
    assert differing(hashes(one), hashes(carry_over(one, other))) == ("config",)
    assert describe(one, other) == words
    (found,) = compare({"bollinger": one}, {"bollinger": other})
    assert found.what == words


def test_many_differences_are_counted():
    other = replace(ENTRY, config=dict.fromkeys("abcdef", 1))
    assert describe(of(ENTRY), of(other)) == (
        "config.a (none) -> 1, config.b (none) -> 1, config.c (none) -> 1, and 5 more"
    )


def test_a_field_that_a_newer_release_knows_is_no_change():
    old = of(ENTRY)
    newer = {**old, "config": {**old["config"], "warm_up": 7}, "policy": {}}
    assert hashes(newer) != hashes(old)
    assert hashes(carry_over(old, newer)) == hashes(old)
    assert hashes(carry_over(newer, old)) == hashes(newer), "nor is one that an older one does not"


def test_what_the_user_changed_counts_also_in_a_newer_release():
    old = of(ENTRY)
    newer = of(replace(ENTRY, config={"period": 30}))
    newer["config"]["warm_up"] = 7
    merged = carry_over(old, newer)
    assert merged["config"]["config"] == {"period": 30}
    assert differing(hashes(old), hashes(merged)) == ("config",)


def test_where_a_host_leads_and_whom_it_trusts_is_a_change_also_of_what_an_older_release_wrote():
    plain = of(replace(LED, detours=()))
    assert describe(plain, of(LED)) == "egress +a:1 -> 127.0.0.1:2 -a:1"
    one, other = (of(replace(LED, authority=each)) for each in ("one", "other"))
    assert differing(hashes(one), hashes(other)) == ("identity",)
    assert differing(hashes(one), hashes(of(LED))) == ("identity",)
    assert carry_over(plain, of(LED))["identity"] != plain["identity"]
