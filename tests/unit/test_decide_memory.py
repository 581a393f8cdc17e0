"""What is remembered of an instance over its lives, and what is not."""

from dataclasses import replace

import pytest

from orchestrator.decide.actions import Start, Stop, StopReason, Wait
from orchestrator.decide.changes import Do, changes, differs
from orchestrator.decide.memory import beat_of, begin, is_ready, limited, remember
from orchestrator.decide.push import runs
from orchestrator.decide.state import Exit, Observed, Phase, Record
from orchestrator.spec.model import HostPort
from tests.worlds.simulation import CAN, Simulation
from tests.worlds.specs import MIB, NOON, changed, desired, hashes_of, seconds, spec

A = spec("a", config={"period": 20})
B = spec("b")
SMALLER = replace(A.resources, memory=64 * MIB)


def world():
    made = Simulation(desired(A, B))
    made.settle()
    made.pass_time(seconds(120))
    made.remember()
    return made


def test_a_beat_of_another_generation_or_of_a_life_before_is_not_of_this_life():
    made = world()
    observed = made.observed()
    assert beat_of("a", observed) is not None
    other = replace(made.instances["a"], generation=2)
    assert beat_of("a", replace(observed, instances={"a": other})) is None
    younger = replace(made.instances["a"], started=made.now + seconds(1))
    assert beat_of("a", replace(observed, instances={"a": younger})) is None
    assert not is_ready("a", replace(observed, instances={"a": younger}))


def test_the_end_of_a_life_is_counted_once():
    made = world()
    made.end("a", code=1)
    made.remember()
    once = made.records["a"]
    made.now += seconds(5)
    made.remember()
    assert made.records["a"] == once


def test_an_end_that_the_platform_followed_by_a_new_life_is_counted_once_and_never_given_up():
    made = world()
    old = made.instances["a"]
    end = Exit(at=made.now, signal=9)
    for number in range(20):
        begun = {"id": f"life {number + 1}", "last_life": f"life {number}", "last_exit": end}
        made.instances["a"] = replace(old, begun_again=True, started=made.now, **begun)
        made.remember()
        made.remember()
        assert made.records["a"].restarts == number + 1
    assert (made.records["a"].last_exit, made.records["a"].gave_up) == (end, False)
    assert made.plan() == []


def test_an_end_that_was_seen_is_not_counted_again_once_the_next_life_runs():
    made = world()
    old = made.instances["a"]
    end = Exit(at=made.now, code=1)
    made.instances["a"] = replace(old, begun_again=True, phase=Phase.EXITED, exit=end)
    made.remember()
    after = {"id": "next", "last_life": old.id, "last_exit": end, "started": made.now}
    made.instances["a"] = replace(old, begun_again=True, **after)
    made.remember()
    assert made.records["a"].restarts == 1


def test_an_end_of_another_generation_burdens_nobody():
    made = world()
    made.instances["a"] = replace(made.instances["a"], started=made.now)
    made.apply(desired(changed(A, config={"period": 30}), B))
    made.end("a", code=1)
    made.remember()
    record = made.records["a"]
    assert (record.failures, record.last_exit, record.not_before) == (0, None, None)


def test_an_end_under_limits_that_were_changed_in_place_is_that_of_their_generation():
    made = world()
    made.apply(desired(changed(A, resources=SMALLER), B))
    made.step()
    assert made.stopped == []
    made.end("a", signal=9, oom=True)
    made.remember()
    record = made.records["a"]
    assert (record.failures, record.last_exit.oom, record.generation) == (0, True, 2)
    made.step()
    assert (made.instances["a"].generation, made.records["a"].restarts) == (2, 1)


def test_limits_alone_do_not_make_a_generation_of_which_more_is_wanted():
    made = world()
    life = made.instances["a"]
    wanted = hashes_of(desired(changed(A, resources=SMALLER, config={"period": 30}), B))["a"]
    record = limited(made.records["a"], life, generation=2, wanted=wanted, now=made.now)
    assert runs(record, life) == 1
    assert record.updated_resources == wanted.resources


def test_a_planned_end_is_no_failure():
    made = world()
    made.stop_by_hand("a")
    made.step()
    made.remember()
    assert made.records["a"].failures == 0
    assert made.records["a"].last_exit is None


@pytest.mark.parametrize(
    ("attempt", "by_itself", "restarts"), [(1, True, 0), (2, True, 1), (2, False, 0)]
)
def test_a_restart_is_one_that_follows_a_failed_life(attempt, by_itself, restarts):
    record = begin(Record(generation=1, attempt=1), attempt=attempt, by_itself=by_itself, now=NOON)
    assert record.restarts == restarts


def test_a_start_that_was_cut_off_and_is_made_again_counts_one_restart():
    record = Record(generation=1, attempt=1)
    for _ in range(3):
        record = begin(record, attempt=2, by_itself=True, now=NOON)
    assert record.restarts == 1


def test_a_generation_is_healthy_only_after_a_while():
    made = Simulation(desired(A))
    made.step()
    made.pass_time(seconds(8))
    made.remember()
    assert made.records["a"].healthy_generation == 0
    made.pass_time(seconds(2))
    made.remember()
    assert made.records["a"].healthy_generation == 1


def test_what_a_person_stopped_is_not_taken_back():
    made = world()
    made.apply(desired(changed(A, config={"period": 30}), B))
    made.step()
    made.step()
    made.stop_by_hand("a")
    made.settle()
    made.now += seconds(600)
    made.remember()
    assert made.records["a"].failed_generation == 0


def test_start_gives_a_failed_generation_its_whole_deadline_again():
    made = world()
    made.apply(desired(changed(A, config={"period": 30}), B))
    made.unready.add("a")
    made.step()
    made.step()
    made.pass_time(seconds(200))
    made.remember()
    assert made.records["a"].failed_generation == 2
    made.settle()
    made.restart("a")
    made.remember()
    assert made.records["a"].failed_generation == 0
    made.step()
    made.step()
    made.pass_time(seconds(60))
    made.remember()
    assert made.instances["a"].generation == 2
    assert made.records["a"].failed_generation == 0, "not yet: it has 90 s"


def test_restart_replaces_the_named_life_only():
    made = world()
    made.restart("a")
    made.records["a"] = replace(made.records["a"], replace="a-life-that-is-over")
    assert made.plan() == []


def test_given_up_waits_for_a_person():
    made = world()
    made.instances["a"] = replace(made.instances["a"], started=made.now)
    made.records["a"] = replace(made.records["a"], failures=19)
    made.end("a", code=1)
    made.remember()
    made.pass_time(seconds(36_000))
    (wait,) = made.plan()
    assert isinstance(wait, Wait)
    assert wait.until is None
    assert wait.cause.startswith("gave up after 20 failures, the last: Exited: exit code 1")
    made.restart("a")
    assert [type(a) for a in made.plan()] == [Start]


def test_blind_nothing_is_learned():
    made = world()
    made.end("a", code=1)
    blind = Observed(None, records=made.records)
    assert remember("a", blind, now=made.now, policy=made.policy) == made.records["a"]


def found(made, wanted, **more):
    return changes(
        wanted,
        made.observed(),
        hashes=hashes_of(wanted),
        capabilities=CAN,
        **more,
    )


def test_a_preview_names_the_whole_way_of_each_plugin():
    made = world()
    limits = replace(B.resources, memory=64 * MIB)
    wanted = desired(
        changed(A, config={"period": 30}), changed(B, resources=limits), spec("new"), revision=2
    )
    made.instances["gone"] = replace(made.instances["a"], name="gone")
    told = found(made, wanted, difference=lambda name: f"difference of {name}")
    assert [(each.name, each.do, each.cause) for each in told] == [
        ("a", Do.RECREATE, "difference of a"),
        ("b", Do.UPDATE, "difference of b"),
        ("gone", Do.REMOVE, "no longer in plugins.yaml"),
        ("new", Do.START, "new"),
    ]
    assert [each.name for each in told if each.stops] == ["a", "gone"]
    assert differs(told)
    gone = found(made, wanted, storing={"gone"})[2]
    assert gone.cause == "no longer in plugins.yaml; its storage is kept"


def test_a_preview_names_no_system_instance_and_stops_nothing_that_is_over():
    made = world()
    made.instances["broker"] = replace(made.instances["a"], name="broker")
    made.instances["gone"] = replace(made.instances["a"], name="gone", phase=Phase.EXITED)
    told = found(made, made.desired, system=["broker"])
    assert [(each.name, each.do, each.stops) for each in told] == [
        ("a", Do.KEEP, False),
        ("b", Do.KEEP, False),
        ("gone", Do.REMOVE, False),
    ]


@pytest.mark.parametrize("phase", [Phase.EXITED, Phase.CREATED])
def test_a_preview_starts_what_does_not_run(phase):
    made = world()
    made.instances["a"] = replace(made.instances["a"], phase=phase)
    first = found(made, made.desired)[0]
    assert (first.do, first.cause, first.stops) == (Do.START, "not running", False)


def test_a_preview_refuses_what_cannot_be_started_and_leaves_what_runs_of_it():
    made = world()
    made.end("b", code=1)
    wanted = desired(changed(A, config={"period": 30}), B)
    told = found(made, wanted, unusable={"a": "ImportFailed", "b": "ImportFailed"})
    assert [(each.do, each.cause, each.stops) for each in told] == [
        (Do.REFUSE, "ImportFailed; the one before keeps running", False),
        (Do.REFUSE, "ImportFailed", False),
    ]


def test_a_preview_says_what_each_may_reach_as_it_is_written():
    made = world()
    wanted = desired(changed(A, egress=(HostPort("a.example", 443), HostPort("::1", 80))), B)
    first = found(made, wanted)[0]
    assert first.egress == ("a.example:443", "[::1]:80")


def test_a_preview_of_the_same_keeps_everything_also_after_an_update_in_place():
    made = world()
    limits = replace(B.resources, memory=64 * MIB)
    wanted = desired(A, changed(B, resources=limits))
    made.apply(wanted)
    made.settle()
    assert [each.do for each in found(made, wanted)] == [Do.KEEP, Do.KEEP]
    assert not differs(found(made, wanted))


def test_a_preview_says_what_is_stopped_by_hand_and_nothing_when_blind():
    made = world()
    made.stop_by_hand("a")
    (first, _) = found(made, made.desired)
    assert first.cause == "stopped by hand, not in plugins.yaml; `ntpctl start a` clears it"
    assert changes(made.desired, made.observed(blind=True), hashes={}, capabilities=CAN) == []


@pytest.mark.parametrize(
    ("how", "kills"),
    [
        ({"signal": 9, "oom": True, "reason": "OOMKilled"}, {"memory": 1}),
        ({"code": 1, "reason": "CallbackTimeout"}, {"timeout": 1}),
        ({"signal": 15}, {"signal": 1}),
        ({"signal": 11}, {}),
        ({"code": 1}, {}),
        ({}, {}),
    ],
)
def test_ends_by_force_are_counted_by_why(how, kills):
    made = world()
    made.end("a", **how)
    made.remember()
    made.remember()
    assert made.records["a"].kills == kills


def test_one_that_we_end_for_its_silence_is_counted_and_one_that_is_stopped_is_not():
    made = world()
    made.end("a", signal=9, stop=Stop("a", "", StopReason.UNRESPONSIVE))
    made.end("b", signal=9, stop=Stop("b", "", StopReason.BY_HAND))
    made.remember()
    assert (made.records["a"].kills, made.records["b"].kills) == ({"unresponsive": 1}, {})
