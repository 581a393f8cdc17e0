"""What is not done, or not yet, and what the wait says: refused, by hand, no room, cut off."""

from dataclasses import replace

import pytest

from orchestrator.decide.actions import Stop, StopReason
from orchestrator.decide.memory import refused
from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError
from orchestrator.ports import Capabilities
from tests.unit.test_decide_plan import BINANCE, BOLLINGER, settled, text
from tests.worlds.simulation import Simulation
from tests.worlds.specs import desired, spec


@pytest.mark.parametrize(("permanent", "until"), [(True, "a change"), (False, "1.0 s")])
def test_a_start_that_was_refused_waits_and_says_why(permanent, until):
    world = Simulation(desired(spec("a")))
    why = ActionError("KEY is not set", reason="SecretMissing", permanent=permanent)
    world.records["a"] = refused(world.records["a"], "a", why, world.now, world.policy)
    assert text(world.plan()) == f"wait a until {until}: SecretMissing: KEY is not set\n"


@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.EXITED])
def test_stopped_by_hand_there_is_nothing_to_stop_in_what_does_not_run(phase):
    world = settled()
    world.stop_by_hand("paper")
    world.instances["paper"] = replace(world.instances["paper"], phase=phase)
    assert world.plan() == []


@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.STOPPING])
def test_what_is_unwanted_is_removed_only_after_its_end(phase):
    world = settled()
    world.apply(desired(BINANCE, BOLLINGER, revision=2))
    world.instances["paper"] = replace(world.instances["paper"], phase=phase)
    (stop,) = world.plan()
    assert isinstance(stop, Stop)
    assert stop.reason is StopReason.UNWANTED


def test_a_stop_that_was_cut_off_has_the_reason_of_its_own_life_only():
    world = settled()
    world.instances["paper"] = replace(world.instances["paper"], phase=Phase.STOPPING)
    world.records["paper"] = replace(
        world.records["paper"], stopping="the-life-before", stop_reason="Unresponsive"
    )
    assert text(world.plan()) == "stop paper (Changed): was being stopped when we looked\n"


def test_the_ended_take_no_room():
    world = Simulation(
        desired(spec("a"), spec("b")),
        can=Capabilities(update_in_place=True, restarts_by_itself=False, max_instances=1),
    )
    world.step()
    world.end("a", code=2, permanent=True)
    world.remember()
    assert "start b 1.1" in text(world.plan())
