"""Silence counts from when we began to listen, and only while somebody else is heard."""

from datetime import timedelta

from orchestrator.decide.actions import Stop, StopReason
from orchestrator.decide.policy import Policy
from orchestrator.decide.silence import hearing
from tests.worlds.simulation import Simulation
from tests.worlds.specs import NOON, desired, seconds, spec

POLICY = Policy()


def world(*names):
    made = Simulation(desired(*(spec(name) for name in names)))
    made.settle()
    made.pass_time(seconds(10))
    return made


def stops(made):
    return {a.name: a.cause for a in made.plan() if isinstance(a, Stop)}


def test_one_that_fell_silent_is_stopped_after_two_beats_and_its_timeout():
    made = world("a", "b", "c")
    made.silent.add("b")
    made.pass_time(seconds(36))
    assert stops(made) == {}
    made.pass_time(seconds(1))
    assert stops(made) == {"b": "fell silent: no beat for 37 s"}
    (stop,) = made.plan()
    assert stop.reason is StopReason.UNRESPONSIVE


def test_its_end_is_a_failure_with_its_own_name():
    made = world("a", "b")
    made.silent.add("b")
    made.pass_time(seconds(37))
    made.carry_out(made.plan())
    made.remember()
    assert made.records["b"].last_exit.reason == "Unresponsive"
    assert made.records["b"].failures == 1


def test_when_all_are_silent_nobody_is_stopped():
    made = world("a", "b", "c")
    made.silent |= {"a", "b", "c"}
    made.pass_time(timedelta(hours=1))
    assert stops(made) == {}


def test_who_is_asked_about_alone_is_not_alone():
    made = world("a", "b", "c")
    made.silent |= {"a", "b", "c"}
    made.pass_time(timedelta(hours=1))
    assert made.plan(only={"a"}) == []


def test_deaf_nobody_is_stopped():
    made = world("a", "b")
    made.listening_since = None
    made.pass_time(timedelta(hours=1))
    assert stops(made) == {}


def test_a_new_controller_gives_everybody_their_time_from_when_it_listens():
    made = world("a", "b")
    made.heard.clear()
    made.silent.add("b")
    made.now += timedelta(hours=1)
    made.listening_since = made.now
    made.pass_time(seconds(36))
    assert stops(made) == {}
    made.pass_time(seconds(1))
    assert stops(made) == {"b": "was never heard: no beat for 37 s"}


def test_a_sole_plugin_is_given_four_times_as_long():
    made = world("a")
    made.silent.add("a")
    made.pass_time(seconds(4 * 36))
    assert stops(made) == {}
    made.pass_time(seconds(1))
    assert list(stops(made)) == ["a"]


def test_the_first_heard_after_a_common_silence_does_not_condemn_the_others():
    made = world("a", "b", "c")
    made.silent |= {"a", "b", "c"}
    made.pass_time(timedelta(minutes=5))
    made.silent.remove("a")
    made.pass_time(seconds(1))
    made.listening_since = made.now - timedelta(hours=1)
    observed = made.observed()
    assert observed.hearing_since is not None
    # What the simulation cannot know, the loop tracks from look to look: see `hearing`.
    since = hearing(None, observed.heard.values(), now=made.now, policy=POLICY)
    assert since == made.now


def test_hearing_lasts_as_long_as_beats_come_without_a_gap():
    assert hearing(None, [], now=NOON, policy=POLICY) is None
    assert hearing(None, [NOON], now=NOON, policy=POLICY) == NOON
    later = NOON + seconds(8)
    # Who has nothing new to say beats every third second, and each beat may be late.
    assert hearing(NOON, [later - seconds(5)], now=later, policy=POLICY) == NOON
    assert hearing(NOON, [NOON], now=NOON + seconds(7), policy=POLICY) is None


def test_what_was_stopped_for_its_silence_is_started_again_as_one_that_failed():
    made = world("a", "b")
    made.pass_time(seconds(60))
    made.silent.add("b")
    made.pass_time(seconds(37))
    made.carry_out(made.plan())
    made.remember()
    (start,) = made.plan()
    assert start.cause.startswith("Unresponsive: no beat was heard from it any more")
