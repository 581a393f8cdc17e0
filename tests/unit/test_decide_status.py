"""One word, one sentence, and conditions that keep their dates."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from ntp.contract.beat import Condition as Said
from ntp.contract.beat import LatestSignal, Stage
from ntp.contract.messages import SignalType
from ntp.contract.names import Kind
from orchestrator.decide.actions import Remove, Stop
from orchestrator.decide.memory import refused
from orchestrator.decide.report import FlowTotals
from orchestrator.decide.state import Exit, Hashes, Phase, Usage
from orchestrator.decide.status import Seen, statuses
from orchestrator.decide.wind_down import wind_down
from orchestrator.errors import ActionError
from tests.worlds.simulation import Simulation
from tests.worlds.specs import MIB, desired, seconds, spec


def world():
    made = Simulation(desired(spec("a"), spec("b")))
    made.settle()
    made.pass_time(seconds(90))
    return made


def told(made, *, seen=None, blind=False):
    observed = made.observed(blind=blind)
    found = statuses(made.desired, observed, made.plan(blind=blind), now=made.now, seen=seen)
    return {each.name: each for each in found}


def ended(made, **how):
    instance = replace(made.instances["a"], usage=Usage(memory_limit=512 * MIB))
    end = Exit(made.now, **how)
    made.instances["a"] = replace(instance, phase=Phase.EXITED, exit=end)
    made.remember()
    return told(made)["a"]


def condition(status, type_):
    return next(each for each in status.conditions if each.type == type_)


def test_what_a_proxy_refused_is_told_by_the_plugin_itself():
    made = world()
    observed = made.observed()
    beat = msgspec.structs.replace(observed.beats["a"], egress_refused={"x.test:443": 2})
    observed = replace(observed, beats={**observed.beats, "a": beat})
    found = statuses(made.desired, observed, made.plan(), now=made.now)
    assert {each.name: each.egress_refused for each in found} == {"a": {"x.test:443": 2}, "b": {}}


def test_a_ready_plugin_is_running():
    status = told(world())["a"]
    assert (status.state, status.message, status.ready, status.generation) == (
        "Running",
        "",
        True,
        1,
    )
    assert [(c.type, c.status) for c in status.conditions] == [
        ("Ready", True), ("Reconciling", False), ("Stalled", False),
    ]  # fmt: skip


def test_an_older_generation_is_not_ready_though_nothing_is_planned_yet():
    made = world()
    made.records["a"] = replace(made.records["a"], generation=2)
    (found,) = [
        each
        for each in statuses(made.desired, made.observed(), [], now=made.now)
        if each.name == "a"
    ]
    assert (found.state, found.ready, found.generation) == ("Running", False, 1)


@pytest.mark.parametrize(
    ("how", "state", "message"),
    [
        (
            {"signal": 9, "oom": True, "memory_peak": 530 * MIB},
            "OOMKilled",
            "limit 512 MiB, peak 530 MiB; raise resources.memory",
        ),
        ({"code": 1}, "BackOff", "exit code 1"),
        ({"signal": 11}, "BackOff", "killed by SIGSEGV"),
        ({"code": 0}, "ExitedZero", "ended by itself with exit code 0; a plugin runs until it is told to stop"),
        (
            {"code": 1, "reason": "CallbackTimeout", "message": "analyze() took 30 s at a.py:12"},
            "CallbackTimeout",
            "analyze() took 30 s at a.py:12",
        ),
        (
            {"code": 2, "reason": "ConfigRefused", "message": "period was -1", "permanent": True},
            "ConfigRefused",
            "period was -1; waits for a changed entry or `ntpctl start`",
        ),
    ],
)  # fmt: skip
def test_how_it_ended_is_the_state(how, state, message):
    status = ended(world(), **how)
    assert (status.state, status.message, status.ready) == (state, message, False)


def test_two_failures_in_a_row_are_not_yet_a_loop():
    made = world()
    made.records["a"] = replace(made.records["a"], failures=1)
    made.instances["a"] = replace(made.instances["a"], started=made.now)
    status = ended(made, code=1)
    assert status.state == "BackOff"
    assert not condition(status, "Stalled").status


def test_three_failures_in_a_row_are_a_crash_loop_that_is_stalled():
    made = world()
    made.records["a"] = replace(made.records["a"], failures=2)
    made.instances["a"] = replace(made.instances["a"], started=made.now)
    status = ended(made, code=1)
    assert status.state == "CrashLoop"
    assert condition(status, "Stalled").status
    assert status.next_try > made.now


def test_given_up_says_how_to_try_again():
    made = world()
    made.records["a"] = replace(made.records["a"], failures=19)
    made.instances["a"] = replace(made.instances["a"], started=made.now)
    status = ended(made, code=1)
    assert status.state == "GaveUp"
    assert status.message == "20 failures in a row, the last: Exited: exit code 1; `ntpctl start a`"


def test_blind_it_is_unknown_and_says_what_it_was():
    made = world()
    seen = Seen(before=told(made))
    status = told(made, seen=seen, blind=True)["a"]
    assert status.state == "Unknown"
    assert status.message == "the runtime does not answer; it was Running when last seen"


def test_deaf_it_is_running_but_not_ready():
    made = world()
    made.listening_since = None
    status = told(made)["a"]
    assert (status.state, status.ready) == ("Running", False)
    assert status.message.startswith("not heard")


def test_one_that_was_never_heard_is_starting():
    made = Simulation(desired(spec("a")))
    made.silent.add("a")
    made.step()
    assert told(made)["a"].state == "Starting"
    made.listening_since = None
    assert told(made)["a"].state == "Starting"


@pytest.mark.parametrize(
    ("failures", "words"), [(1, "failed once of late"), (3, "failed 3 times of late")]
)
def test_one_that_runs_again_says_how_often_it_failed(failures, words):
    made = world()
    made.records["a"] = replace(made.records["a"], failures=failures)
    assert told(made)["a"].message == words


def test_exhausted_is_ready():
    made = world()
    observed = made.observed()
    beats = {n: changed_beat(each, stage=Stage.EXHAUSTED) for n, each in observed.beats.items()}
    (status, _) = statuses(made.desired, replace(observed, beats=beats), [], now=made.now)
    assert (status.state, status.ready, status.message) == (
        "Exhausted",
        True,
        "all data is through",
    )


def changed_beat(beat, **fields):
    return msgspec.structs.replace(beat, **fields)


def test_one_that_did_not_take_its_symbols_yet_is_running_and_not_ready():
    made = Simulation(desired(spec("a", Kind.DATA_SOURCE, config={"symbols": ["BTC"]})))
    made.settle()
    made.apply(desired(spec("a", Kind.DATA_SOURCE, config={"symbols": ["ETH"]})))
    made.lossy.add("a")
    for _ in range(2):
        status = told(made)["a"]
        assert (status.state, status.ready) == ("Running", False)
        made.step()
    assert condition(told(made)["a"], "Reconciling").message.startswith("changed: config; sent")
    made.lossy.clear()
    made.settle()
    status = told(made)["a"]
    assert (status.state, status.ready, status.generation) == ("Running", True, 2)


def test_what_a_plugin_says_of_itself_is_told():
    made = world()
    observed = made.observed()
    own = {"indicators": {"BTCUSDT": {"sma": 3.5}}, "report": {"signals": 4}}
    beats = {n: changed_beat(each, **own) for n, each in observed.beats.items()}
    (status, _) = statuses(made.desired, replace(observed, beats=beats), [], now=made.now)

    assert (status.indicators, status.report) == (own["indicators"], own["report"])


def test_a_warning_of_the_plugin_itself_is_the_message():
    made = world()
    observed = made.observed()
    warning = Said(
        "SlowConsumer", status=True, reason="SlowConsumer", message="3 lost", since=made.now
    )
    beats = {n: changed_beat(each, conditions=[warning]) for n, each in observed.beats.items()}
    (status, _) = statuses(made.desired, replace(observed, beats=beats), [], now=made.now)
    assert status.message == "SlowConsumer: 3 lost"
    assert condition(status, "SlowConsumer").message == "3 lost"


def test_all_that_a_plugin_says_is_wrong_is_told_the_first_three_in_words():
    made = world()
    observed = made.observed()
    words = ("TradesMissed", "FeedStale", "SubscribeRefused", "FramesUnread", "ClockAhead")
    said = [Said(word, status=True, reason=word, message="why", since=made.now) for word in words]

    def message(warnings):
        beats = {"a": changed_beat(observed.beats["a"], conditions=warnings)}
        found = statuses(made.desired, replace(observed, beats=beats), [], now=made.now)
        return found[0].message

    three = "TradesMissed: why; FeedStale: why; SubscribeRefused: why"
    assert message(said[:2]) == "TradesMissed: why; FeedStale: why"
    assert message(said[:3]) == three
    assert message(said) == f"{three}; and 2 more, see `ntpctl status a`"


def test_who_does_not_run_sends_nothing_any_more():
    made = world()
    heard = FlowTotals(sent=7, received=9, sent_per_s=3.0, received_per_s=4.0)
    seen = Seen(flows={"a": heard, "b": heard})
    made.end("a", code=1)
    found = told(made, seen=seen)
    assert found["a"].flow == FlowTotals(sent=7, received=9)
    assert found["b"].flow == heard


def test_the_newest_signal_is_the_one_of_the_beat():
    made = world()
    signal = LatestSignal("BTCUSDT", SignalType.SELL, 64012.5, 0.8, 0.02, made.now, made.now)
    observed = made.observed()
    beats = {**observed.beats, "a": changed_beat(observed.beats["a"], signal=signal)}
    a, b = statuses(made.desired, replace(observed, beats=beats), [], now=made.now)
    assert (a.signal, b.signal) == (signal, None)


def test_a_refusal_shows_its_reason_and_when_it_is_tried_again():
    made = Simulation(desired(spec("a")))
    why = ActionError("KEY is not set", reason="SecretMissing")
    made.records["a"] = refused(made.records["a"], "a", why, made.now, made.policy)
    status = told(made)["a"]
    assert (status.state, status.message) == ("SecretMissing", "KEY is not set")
    assert status.next_try > made.now
    assert condition(status, "Stalled").reason == "SecretMissing"


def test_stopped_by_hand_says_so_and_is_neither_reconciling_nor_stalled():
    made = world()
    made.stop_by_hand("a")
    made.settle()
    status = told(made)["a"]
    assert status.state == "Stopped"
    assert status.message == "by hand, not in plugins.yaml; `ntpctl start a`"
    assert not condition(status, "Reconciling").status
    assert not condition(status, "Stalled").status


def test_a_date_lasts_as_long_as_its_state():
    made = world()
    before = told(made)
    made.pass_time(timedelta(hours=1))
    after = told(made, seen=Seen(before=before))
    assert after["a"].since == before["a"].since
    made.stop_by_hand("a")
    made.settle()
    stopped = told(made, seen=Seen(before=after))
    assert stopped["a"].since == made.now
    assert stopped["b"].since == before["b"].since


def test_who_is_going_or_parked_shows_that():
    made = world()
    made.end("a", code=1)
    seen = Seen(going={"a": "is being started"}, parked={"b": "no progress"})
    found = told(made, seen=seen)
    assert (found["a"].state, found["a"].message) == ("Preparing", "is being started")
    assert (found["b"].state, found["b"].message) == ("Flapping", "no progress")


def test_everything_goes_down_sources_first_the_broker_last():
    names = {"source": Kind.DATA_SOURCE, "strategy": Kind.STRATEGY, "paper": Kind.EXECUTOR}
    made = Simulation(desired(*(spec(name, kind) for name, kind in names.items())))
    made.system = {"broker": Hashes("b", "", "", "", "")}
    made.settle()
    done = []
    while made.instances:
        actions = wind_down(made.observed(), kinds=names, system={"broker"}, delete_data=True)
        assert actions
        done.append([(type(a).__name__, a.name) for a in actions])
        assert all(
            isinstance(a, Stop) or (isinstance(a, Remove) and a.delete_data) for a in actions
        )
        made.carry_out(actions)
    assert done == [
        [("Stop", "source")],
        [("Stop", "paper"), ("Stop", "strategy"), ("Remove", "source")],
        [("Stop", "broker"), ("Remove", "paper"), ("Remove", "strategy")],
        [("Remove", "broker")],
    ]
    blind = wind_down(made.observed(blind=True), kinds={}, system={"broker"}, delete_data=False)
    assert blind == []


def test_what_never_ran_has_nothing_to_stop_on_the_way_down():
    names = {"source": Kind.DATA_SOURCE, "strategy": Kind.STRATEGY}
    made = Simulation(desired(*(spec(name, kind) for name, kind in names.items())))
    made.settle()
    for name in names:
        made.instances[name] = replace(made.instances[name], phase=Phase.CREATED)
    actions = wind_down(made.observed(), kinds=names, system=(), delete_data=False)
    assert [(type(a).__name__, a.name) for a in actions] == [
        ("Remove", "source"),
        ("Remove", "strategy"),
    ]
