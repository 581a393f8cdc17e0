"""What can be told a running plugin, and what is a new start."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from ntp.contract.beat import Beat, Pushed, Stage
from ntp.contract.launch import Listen, Trading
from ntp.contract.names import Kind
from orchestrator.decide.actions import Push
from orchestrator.decide.layers import carry_over, describe, differing, hashes, layers
from orchestrator.decide.policy import Policy
from orchestrator.decide.push import (
    MOST_BYTES,
    UNKNOWN,
    Way,
    can_be_pushed,
    config_of,
    confirmed,
    course,
    in_flight,
    sending,
    tell,
)
from orchestrator.decide.state import Hashes, Instance, Observed, Phase, Pushing, Record
from tests.worlds.specs import NOON, layers_of, spec

SOURCE = spec("binance", Kind.DATA_SOURCE, config={"depth": 1, "symbols": ["BTC", "ETH"]})


def other(**config):
    return replace(SOURCE, config={**SOURCE.config, **config})


@pytest.mark.parametrize("symbols", [["BTC"], ["ETH", "BTC"], ["XRP"], ["BTC", "ETH"]])
def test_other_symbols_of_a_data_source_can_be_pushed(symbols):
    assert can_be_pushed(layers_of(SOURCE), layers_of(other(symbols=symbols)))


@pytest.mark.parametrize(
    "new",
    [
        other(symbols=["BTC"], depth=2),
        other(symbols=["BTC"], depth=True),
        other(symbols=["BTC"], depth=1.0),
        other(symbols=["BTC"], more=None),
        other(symbols=[]),
        other(symbols="BTC"),
        other(symbols=["BTC", 7]),
        other(symbols=["${SYMBOL}"]),
        other(symbols=[f"{number:060}" for number in range(MOST_BYTES // 60)]),
        replace(SOURCE, config={"depth": 1}),
        replace(other(symbols=["BTC"]), history=5),
        replace(other(symbols=["BTC"]), timeout=timedelta(seconds=1)),
        replace(other(symbols=["BTC"]), capital=Decimal(5)),
        replace(other(symbols=["BTC"]), kind=Kind.STRATEGY),
    ],
)
def test_everything_else_is_a_new_start(new):
    assert not can_be_pushed(layers_of(SOURCE), layers_of(new))
    back = replace(SOURCE, kind=new.kind)
    assert not can_be_pushed(layers_of(new), layers_of(back))


def test_a_secret_that_was_rotated_is_a_new_start_and_one_that_stays_is_not():
    def keyed(entry, **digests):
        return layers(entry, listens=(), secrets=digests)

    new = other(symbols=["BTC"])
    assert can_be_pushed(keyed(SOURCE, key="a"), keyed(new, key="a"))
    assert not can_be_pushed(keyed(SOURCE, key="a"), keyed(new, key="b"))
    assert not can_be_pushed(keyed(SOURCE, symbols="a"), keyed(new, symbols="a"))


def test_other_limits_of_an_executor_can_be_pushed_and_its_config_cannot():
    paper = spec("paper", Kind.EXECUTOR, config={"fee_rate": 0.001})

    def hearing(entry, **risk):
        trading = Trading(risk=risk)
        return layers(
            entry, listens=(Listen("momentum", Kind.STRATEGY, trading=trading),), secrets={}
        )

    free, limited = (
        hearing(paper),
        hearing(replace(paper, risk={"max_position": "9"}), max_position="5"),
    )
    assert differing(hashes(free), hashes(limited)) == ("config",)
    assert describe(free, limited) == (
        "risk.max_position (none) -> 9, risk.momentum.max_position (none) -> 5"
    )
    assert can_be_pushed(free, limited)
    assert can_be_pushed(limited, free)
    assert can_be_pushed(free, free), "back while the push is in flight"
    assert not can_be_pushed(free, hearing(replace(paper, config={"fee_rate": 0.002})))
    assert not can_be_pushed(free, hearing(replace(paper, history=5), max_position="5"))


def test_a_release_without_limits_sees_no_change_in_one_that_has_them():
    paper, momentum = spec("paper", Kind.EXECUTOR), spec("momentum")
    listens = (Listen("momentum", Kind.STRATEGY, trading=Trading()),)
    for entry, hears in ((paper, listens), (momentum, ())):
        now = layers(entry, listens=hears, secrets={})
        before = {**now, "config": {**now["config"], "risk": {}}, "policy": {"version": "1.0.0"}}
        kept = carry_over(before, now)
        assert hashes(kept) == hashes(before)


def beat(stage, **more):
    return Beat("binance", "data_source", "1", 1, 1, NOON, NOON, stage, **more)


LIFE = Instance(
    name="binance", generation=1, attempt=1, hashes=Hashes("i", "r", "w", "old", "p"),
    phase=Phase.RUNNING, id="life-2",
)  # fmt: skip
SENT = Pushing("life-2", 2, "new", NOON, NOON)


def test_what_was_sent_to_another_life_says_nothing_of_this_one():
    record = Record(generation=2, pushing=replace(SENT, life="life-1"))
    assert in_flight(record, LIFE) is None
    assert config_of(record, LIFE) == "old"
    assert config_of(replace(record, pushing=SENT), LIFE) == UNKNOWN


@pytest.mark.parametrize("answer", [None, Pushed(1), Pushed(3), Pushed(2, "no")])
def test_only_the_answer_to_what_was_sent_is_believed(answer):
    record = Record(generation=2, pushing=SENT)
    assert confirmed(record, LIFE, beat(Stage.READY, pushed=answer), NOON) == record


@pytest.mark.parametrize(("wanted", "begun"), [(2, NOON), (3, None)])
def test_a_push_that_was_taken_begins_the_life_of_its_own_generation_only(wanted, begun):
    record = Record(generation=wanted, pushing=SENT)
    after = confirmed(record, LIFE, beat(Stage.READY, pushed=Pushed(2)), NOON)
    assert (after.pushing, after.pushed, after.pushed_generation) == (None, "life-2", 2)
    assert config_of(after, LIFE) == "new"
    assert after.begun == begun


def test_a_clock_that_was_set_back_sends_again_with_all_its_time():
    now = NOON - timedelta(days=2)
    record = Record(generation=2, pushing=SENT)
    asked = {"timeout": timedelta(seconds=30), "cause": "changed", "policy": Policy(), "now": now}
    assert tell(record, LIFE, Observed({}, listening_since=NOON), **asked) == Push(
        "binance", 2, "changed"
    )
    again = sending(record, LIFE, generation=2, wanted=replace(LIFE.hashes, config="new"), now=now)
    assert again.pushing == replace(SENT, begun=now, sent=now)


@pytest.mark.parametrize(
    ("differ", "in_place", "pushable", "ways"),
    [
        ((), True, True, ()),
        (("policy",), True, True, ()),
        (("config",), True, True, (Way.PUSH,)),
        (("config",), True, False, (Way.RECREATE,)),
        (("config", "resources"), True, True, (Way.UPDATE, Way.PUSH)),
        (("config", "resources"), False, True, (Way.RECREATE,)),
        (("resources",), True, True, (Way.UPDATE,)),
        (("resources",), False, True, (Way.RECREATE,)),
        (("identity", "config"), True, True, (Way.RECREATE,)),
        (("wiring",), True, True, (Way.RECREATE,)),
    ],
)
def test_the_layers_that_differ_decide_the_way(differ, in_place, pushable, ways):
    for heard in (None, beat(Stage.READY), beat(Stage.READY, pushed=Pushed(7))):
        found = course(differ, in_place=in_place, pushable=lambda: pushable, beat=heard)
        assert (found.ways, found.why) == (ways, "")


@pytest.mark.parametrize(
    ("heard", "why"),
    [
        (
            beat(Stage.READY, pushed=Pushed(2, "subscribe() returned False")),
            "it does not take them while it runs: subscribe() returned False",
        ),
        (beat(Stage.EXHAUSTED), "all its data is through, so it begins again"),
        (beat(Stage.STARTING), "it is not ready, so nothing is lost by a new start"),
        (beat(Stage.DRAINING), "it is not ready, so nothing is lost by a new start"),
    ],
)
def test_a_life_that_takes_no_push_is_started_anew_and_says_why(heard, why):
    found = course(("config",), in_place=True, pushable=lambda: True, beat=heard)
    assert (found.ways, found.why) == ((Way.RECREATE,), why)
