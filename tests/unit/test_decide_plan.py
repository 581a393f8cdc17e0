"""Plans as text, with the cause that a person reads."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ntp.contract.names import Kind
from orchestrator.decide.actions import Push, Remove, Start, Stop, Update, Wait
from orchestrator.decide.context import Context, Previous
from orchestrator.decide.memory import refused
from orchestrator.decide.plan import plan
from orchestrator.decide.state import Hashes, Phase, Record
from orchestrator.errors import ActionError
from orchestrator.ports import Capabilities
from tests.worlds.simulation import Simulation
from tests.worlds.specs import MIB, NOON, changed, desired, hashes_of, seconds, spec

BINANCE = spec("binance", Kind.DATA_SOURCE)
BOLLINGER = spec("bollinger", inputs=["binance"], config={"period": 20})
PAPER = spec("paper", Kind.EXECUTOR, inputs=["bollinger"])
DESK = desired(BINANCE, BOLLINGER, PAPER)
BROKER = {"broker": Hashes("b", "", "", "", "")}


def text(actions):
    return "".join(f"{line(action)}\n" for action in actions)


def line(action):
    match action:
        case Start(name, generation, attempt, cause):
            return f"start {name} {generation}.{attempt}: {cause}"
        case Stop(name, cause, reason):
            return f"stop {name} ({reason.value}): {cause}"
        case Update(name, cause):
            return f"update {name}: {cause}"
        case Push(name, generation, cause):
            return f"push {name} {generation}: {cause}"
        case Remove(name, cause, delete_data):
            return f"remove {name}{' and data' if delete_data else ''}: {cause}"
        case Wait(name, until, cause):
            after = f"{(until - NOON).total_seconds():.1f} s" if until else "a change"
            return f"wait {name} until {after}: {cause}"


def settled(wanted=DESK, **more):
    world = Simulation(wanted, **more)
    world.settle()
    world.pass_time(seconds(120))
    world.remember()
    return world


def test_a_first_plan_starts_the_broker_and_holds_the_rest():
    assert text(Simulation(DESK, system=BROKER).plan()) == (
        "start broker 0.1: new in revision 1\n"
        "wait binance until a change: the broker does not run yet\n"
        "wait bollinger until a change: the broker does not run yet\n"
        "wait paper until a change: the broker does not run yet\n"
    )


def test_listeners_come_before_their_source():
    world = Simulation(DESK)
    assert text(world.plan()) == (
        "wait binance until 600.0 s: held back until those who listen are ready: bollinger, paper\n"
        "start bollinger 1.1: new in revision 1\n"
        "start paper 1.1: new in revision 1\n"
    )
    world.unready.add("paper")
    world.step()
    assert text(world.plan()) == (
        "wait binance until 30.0 s: held back until those who listen are ready: paper\n"
    )
    world.unready.clear()
    assert text(world.plan()) == "start binance 1.1: new in revision 1\n"


def test_a_source_is_held_back_no_longer_than_its_deadline():
    world = Simulation(DESK)
    world.unready.add("paper")
    world.step()
    world.pass_time(seconds(28))
    assert [type(a) for a in world.plan()] == [Wait]
    world.pass_time(seconds(1))
    assert text(world.plan()) == "start binance 1.1: new in revision 1\n"


def test_a_source_does_not_wait_for_a_listener_that_cannot_come():
    world = Simulation(DESK)
    world.step()
    world.end("paper", code=1, permanent=True)
    world.remember()
    assert "start binance" in text(world.plan())


def test_a_source_that_crashed_is_not_held_back_again():
    world = settled()
    world.unready.add("paper")
    world.end("binance", code=3)
    assert text(world.plan()) == "start binance 1.2: Exited: exit code 3, after running 2 min 4 s\n"


def test_nothing_is_planned_where_nothing_differs():
    assert settled(system=BROKER).plan() == []


def test_a_changed_config_is_a_stop_and_then_a_start():
    world = settled()
    world.apply(desired(BINANCE, changed(BOLLINGER, config={"period": 30}), PAPER, revision=2))
    context = Context(
        difference=lambda name, generation: f"{name} of {generation}: period 20 -> 30"
    )
    planned = plan(
        world.desired,
        world.observed(),
        hashes=hashes_of(world.desired),
        capabilities=world.can,
        now=world.now,
        context=context,
    )
    assert text(planned) == "stop bollinger (Changed): changed: bollinger of 1: period 20 -> 30\n"
    assert text(world.plan()) == "stop bollinger (Changed): changed: config\n"
    world.step()
    assert text(world.plan()) == "start bollinger 2.1: changed\n"


def test_limits_that_somebody_else_changed_are_set_again_in_place():
    world = settled()
    world.instances["paper"] = replace(
        world.instances["paper"], drift="its limits: memory 32 MiB, not 64 MiB"
    )
    cause = "somebody else changed its limits: memory 32 MiB, not 64 MiB"
    assert text(world.plan()) == f"update paper: {cause}\n"
    world.instances["paper"] = replace(world.instances["paper"], drift="")
    assert world.plan() == []


@pytest.mark.parametrize(
    ("in_place", "expected"),
    [
        (True, "update paper: changed: resources\n"),
        (False, "stop paper (Changed): changed: resources\n"),
    ],
)
def test_other_limits_are_set_in_place_where_the_runtime_can(in_place, expected):
    world = settled(can=Capabilities(update_in_place=in_place, restarts_by_itself=False))
    limits = replace(PAPER.resources, memory=64 * MIB)
    world.apply(desired(BINANCE, BOLLINGER, changed(PAPER, resources=limits)))
    assert text(world.plan()) == expected
    world.settle()
    assert world.plan() == []


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"code": 1}, "Exited: exit code 1"),
        (
            {"code": 0},
            "ExitedZero: ended by itself with exit code 0; a plugin runs until it is told to stop",
        ),
        ({"signal": 11}, "Crashed: killed by SIGSEGV"),
        ({"signal": 9, "oom": True}, "OOMKilled: raise resources.memory"),
        ({}, "Lost: nobody saw how it ended; was the machine restarted?"),
    ],
)
def test_a_restart_says_how_the_last_life_ended(how, expected):
    world = settled()
    world.end("paper", **how)
    assert text(world.plan()) == f"start paper 1.2: {expected}, after running 2 min 5 s\n"


def test_a_second_quick_failure_backs_off_and_says_until_when():
    world = settled()
    world.end("paper", code=1)
    world.step()
    world.step()
    world.end("paper", code=1)
    world.remember()
    (wait,) = world.plan()
    assert isinstance(wait, Wait)
    assert seconds(0.8) <= wait.until - world.now <= seconds(1)
    world.now = wait.until
    assert text(world.plan()) == "start paper 1.3: Exited: exit code 1, after running 2 s\n"


def test_a_clock_that_was_set_back_holds_nobody_for_longer_than_a_back_off():
    world = settled()
    for _ in range(3):
        world.end("paper", code=1)
        world.remember()
        world.now = world.records["paper"].not_before
        world.step()
    world.end("paper", code=1)
    world.remember()
    world.now -= timedelta(days=2)
    assert [type(a) for a in world.plan()] == [Start]


def test_a_permanent_end_waits_for_a_changed_entry():
    world = settled()
    world.end("paper", code=2, permanent=True)
    world.remember()
    assert text(world.plan()) == (
        "wait paper until a change: Exited: exit code 2; waits for a changed entry or "
        "`ntpctl start paper`\n"
    )
    world.apply(desired(BINANCE, BOLLINGER, changed(PAPER, config={"fee": 1})))
    assert text(world.plan()) == "start paper 2.1: changed\n"


def test_a_platform_that_restarts_is_left_to_it():
    world = settled(can=Capabilities(update_in_place=False, restarts_by_itself=True))
    world.end("paper", code=1)
    world.remember()
    assert text(world.plan()) == (
        "wait paper until a change: Exited: exit code 1; the platform starts it again\n"
    )


@pytest.mark.parametrize("phase", [Phase.EXITED, Phase.CREATED])
def test_who_would_be_begun_again_is_stopped_by_hand_all_the_same(phase):
    world = settled(can=Capabilities(update_in_place=False, restarts_by_itself=True))
    world.records["paper"] = replace(world.records["paper"], stopped_by_hand=True)
    down = replace(world.instances["paper"], phase=phase)
    world.instances["paper"] = replace(down, begun_again=True)
    assert text(world.plan()) == "stop paper (ByHand): stopped by hand\n"
    world.instances["paper"] = down
    assert world.plan() == []


def test_a_full_runtime_starts_no_more_than_it_holds():
    world = Simulation(
        desired(*(spec(f"s{n}") for n in range(4))),
        can=Capabilities(update_in_place=True, restarts_by_itself=False, max_instances=2),
    )
    planned = world.plan()
    assert [type(a) for a in planned] == [Start, Start, Wait, Wait]
    assert "holds 2 instances" in planned[3].cause


def test_an_entry_that_is_gone_is_stopped_then_removed():
    world = settled()
    world.apply(desired(BINANCE, BOLLINGER, revision=2))
    assert text(world.plan()) == "stop paper (Unwanted): not in revision 2 of plugins.yaml\n"
    world.step()
    assert text(world.plan()) == "remove paper: not in revision 2 of plugins.yaml\n"
    world.step()
    assert world.plan() == []


def test_stopped_by_hand_is_stopped_and_stays_so_whatever_is_applied():
    world = settled()
    world.stop_by_hand("paper")
    assert text(world.plan()) == "stop paper (ByHand): stopped by hand\n"
    world.step()
    assert world.plan() == []
    world.apply(desired(BINANCE, BOLLINGER, changed(PAPER, config={"fee": 1})))
    assert world.plan() == []


def test_a_restart_by_hand_replaces_the_life_that_ran_and_no_other():
    world = settled()
    world.restart("paper")
    assert text(world.plan()) == "stop paper (Restart): restart asked for by hand\n"
    world.step()
    assert text(world.plan()) == "start paper 1.2: restart asked for by hand\n"
    world.step()
    assert world.plan() == []
    assert world.records["paper"].restarts == 0


def test_whichever_life_runs_with_a_credential_that_is_to_be_exchanged_is_replaced():
    """Also one that was just being started when it was asked for."""
    world = settled()
    world.records["paper"] = replace(world.records["paper"], rotate=True)
    assert text(world.plan()) == "stop paper (Restart): another credential asked for by hand\n"


def test_a_stop_that_was_cut_off_is_made_again():
    world = settled()
    instance = world.instances["paper"]
    world.instances["paper"] = replace(instance, phase=Phase.STOPPING)
    world.records["paper"] = replace(
        world.records["paper"], stopping=instance.id, stop_reason="Unresponsive"
    )
    assert text(world.plan()) == "stop paper (Unresponsive): was being stopped when we looked\n"


def test_a_half_made_instance_is_made_again_with_its_own_number():
    world = settled()
    world.end("paper", code=1)
    world.step()
    world.instances["paper"] = replace(world.instances["paper"], phase=Phase.CREATED)
    assert text(world.plan()) == "start paper 1.2: was half made\n"


def test_an_instance_that_somebody_removed_is_made_again():
    world = settled()
    del world.instances["paper"]
    assert text(world.plan()) == "start paper 1.1: nothing of that name runs\n"


def test_a_failed_change_goes_back_to_the_healthy_generation():
    world = settled()
    world.apply(desired(BINANCE, BOLLINGER, changed(PAPER, config={"fee": 1})))
    world.step()
    world.unready.add("paper")
    world.step()
    world.pass_time(seconds(30))
    assert world.plan() == [], "it has 60 s and its own timeout of 30"
    world.pass_time(seconds(60))
    assert text(world.plan()) == (
        "stop paper (Changed): generation 2 was not healthy by its deadline; generation 1 runs again\n"
    )
    world.step()
    assert text(world.plan()) == (
        "start paper 1.1: generation 2 was not healthy by its deadline; generation 1 runs again\n"
    )
    world.unready.clear()
    world.settle()
    assert world.instances["paper"].generation == 1
    world.apply(desired(BINANCE, BOLLINGER, changed(PAPER, config={"fee": 2})))
    world.settle()
    assert world.instances["paper"].generation == 3


def test_deaf_a_change_is_not_taken_back_for_not_being_heard():
    world = settled()
    world.apply(desired(BINANCE, BOLLINGER, changed(PAPER, config={"fee": 1})))
    world.step()
    world.step()
    world.listening_since = None
    world.heard.clear()
    world.pass_time(timedelta(hours=1))
    assert world.plan() == []
    world.listening_since = world.now
    assert world.plan() == [], "it has a deadline from when we listen again"


def test_a_refused_change_leaves_the_one_before_running_and_is_tried_again():
    world = settled()
    world.apply(desired(BINANCE, BOLLINGER, changed(PAPER, config={"fee": 1})))
    why = ActionError("KEY is not set", reason="SecretMissing")
    world.records["paper"] = refused(world.records["paper"], "paper", why, world.now, world.policy)
    (wait,) = world.plan()
    assert isinstance(wait, Wait)
    assert wait.cause == "SecretMissing: KEY is not set"
    world.now = wait.until
    assert text(world.plan()) == "stop paper (Changed): changed: config\n"


def test_a_refused_change_of_one_that_died_goes_back():
    world = settled()
    world.apply(desired(BINANCE, BOLLINGER, changed(PAPER, config={"fee": 1})))
    why = ActionError("no wheel", reason="RequirementsFailed", permanent=True)
    world.records["paper"] = refused(world.records["paper"], "paper", why, world.now, world.policy)
    assert [type(a) for a in world.plan()] == [Wait]
    world.end("paper", code=1)
    world.settle()
    assert world.instances["paper"].generation == 1
    assert world.instances["paper"].phase is Phase.RUNNING


def test_who_is_going_is_left_alone_and_only_limits_to_names():
    world = Simulation(DESK)
    arguments = {"hashes": hashes_of(DESK), "capabilities": world.can, "now": NOON}
    busy = plan(DESK, world.observed(), going={"paper"}, **arguments)
    assert [a.name for a in busy] == ["binance", "bollinger"]
    some = plan(DESK, world.observed(), only={"paper"}, **arguments)
    assert [a.name for a in some] == ["paper"]


def test_no_previous_generation_is_no_way_back():
    world = Simulation(DESK)
    world.records["paper"] = replace(Record(), generation=2, healthy_generation=1, begun=NOON)
    world.now += timedelta(hours=1)
    (start,) = [a for a in world.plan() if a.name == "paper"]
    assert start.generation == 2
    world.previous["paper"] = Previous(1, hashes_of(DESK)["paper"])
    (start,) = [a for a in world.plan() if a.name == "paper"]
    assert start.generation == 1
