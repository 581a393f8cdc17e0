"""Who is waited for before a data source starts, and until when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ntp.contract.names import Kind
from orchestrator.decide.memory import refused
from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError
from tests.unit.test_decide_plan import text
from tests.worlds.simulation import Simulation
from tests.worlds.specs import NOON, desired, seconds, spec

SOURCE = spec("binance", Kind.DATA_SOURCE)
FIRST = spec("bollinger", inputs=["binance"])
SECOND = spec("momentum", inputs=["binance"])


def starting():
    """Both listeners run and are not ready; the source is held back."""
    world = Simulation(desired(SOURCE, FIRST, SECOND))
    world.unready |= {"bollinger", "momentum"}
    world.step()
    assert waits_for(world) == "bollinger, momentum"
    return world


def waits_for(world):
    (held,) = (each for each in world.plan() if each.name == "binance")
    return held.cause.removeprefix("held back until those who listen are ready: ")


def held_until(world):
    (held,) = (each for each in world.plan() if each.name == "binance")
    return held.until


def by_hand(world, name):
    world.records[name] = replace(world.records[name], stopped_by_hand=True)


def refuse(world, name):
    why = ActionError("no wheel", reason="RequirementsFailed", permanent=True)
    world.end(name, code=0)
    world.records[name] = refused(world.records[name], name, why, world.now, world.policy)


def fail(world, name):
    world.end(name, code=1)
    world.remember()


def end_for_good_after_long(world, name):
    world.end(name, code=2, permanent=True)
    life = world.instances[name]
    world.instances[name] = replace(life, started=life.started - timedelta(hours=1))
    world.remember()
    assert world.records[name].failures == 0, "its life was a stable one"


def give_up(world, name):
    fail(world, name)
    world.records[name] = replace(world.records[name], gave_up=True)


@pytest.mark.parametrize("how", [by_hand, refuse, give_up, end_for_good_after_long])
def test_a_listener_that_cannot_come_is_not_waited_for(how):
    world = starting()
    how(world, "momentum")
    assert waits_for(world) == "bollinger"


def refuse_once(world, name):
    why = ActionError("JetStream refused STREAM.CREATE: timeout", reason="BrokerStreams")
    world.end(name, code=0)
    world.records[name] = refused(world.records[name], name, why, world.now, world.policy)


@pytest.mark.parametrize("how", [fail, refuse_once])
def test_a_listener_that_is_tried_again_is_waited_for_but_not_for_its_every_try(how):
    world = starting()
    world.now += seconds(10)
    how(world, "momentum")
    world.unready.discard("bollinger")
    world.remember()
    assert waits_for(world) == "momentum"
    assert held_until(world) == NOON + world.policy.hold
    world.now = NOON + world.policy.hold
    assert "start binance 1.1" in text(world.plan())


def test_deaf_nobody_who_runs_counts_as_ready():
    world = Simulation(desired(SOURCE, FIRST))
    world.step()
    assert "start binance" in text(world.plan())
    world.listening_since = None
    assert waits_for(world) == "bollinger"


def test_the_time_counts_from_the_last_start_of_a_listener():
    world = starting()
    world.now += seconds(20)
    life = world.instances["momentum"]
    world.instances["momentum"] = replace(life, started=world.now)
    assert held_until(world) == world.now + world.policy.hold


def test_an_edit_of_the_source_begins_its_time_anew():
    world = starting()
    world.now += seconds(20)
    world.records["binance"] = replace(world.records["binance"], wanted=world.now)
    assert held_until(world) == world.now + world.policy.hold


def test_starts_that_never_end_hold_a_source_no_longer_than_the_longest_time():
    world = starting()
    ends = NOON + world.policy.longest_hold
    world.now = ends - seconds(1)
    for name in ("bollinger", "momentum"):
        world.instances[name] = replace(world.instances[name], started=world.now)
    assert held_until(world) == ends
    world.now = ends
    assert "start binance 1.1" in text(world.plan())


def test_a_listener_that_is_not_made_yet_is_given_the_longest_time():
    world = starting()
    del world.instances["momentum"]
    assert held_until(world) == NOON + world.policy.longest_hold


def test_one_that_was_made_and_not_begun_has_no_start_to_count_from():
    world = starting()
    life = world.instances["momentum"]
    world.instances["momentum"] = replace(life, phase=Phase.CREATED, started=None)
    assert held_until(world) == world.instances["bollinger"].started + world.policy.hold


def test_only_a_first_life_is_held_back():
    world = starting()
    world.unready.clear()
    world.step()
    world.step()
    world.end("binance", code=1)
    world.unready.add("momentum")
    world.remember()
    world.now = world.records["binance"].not_before
    assert world.now < NOON + world.policy.hold
    assert text(world.plan()) == "start binance 1.2: Exited: exit code 1, after running 2 s\n"
