"""Plans that push a symbol list: sent, waited for, sent again, given up; and what a killed life leaves."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ntp.contract.names import Kind
from orchestrator.decide.changes import Do, changes
from orchestrator.decide.memory import refused
from orchestrator.errors import ActionError
from orchestrator.ports import Capabilities
from tests.unit.test_decide_plan import settled, text
from tests.worlds.specs import MIB, changed, desired, hashes_of, seconds, spec

SOURCE = spec("binance", Kind.DATA_SOURCE, config={"symbols": ["BTC"]})
PAPER = spec("paper", Kind.EXECUTOR, inputs=["binance"])
MORE = changed(SOURCE, config={"symbols": ["BTC", "ETH"]})
FEWER = changed(SOURCE, config={"symbols": ["ETH"]})


def trading(**more):
    return settled(desired(SOURCE, PAPER), **more)


def edited(world, source=MORE):
    world.apply(desired(source, PAPER, revision=2))
    return world.instances["binance"].id


def running(world):
    return world.runs[world.instances["binance"].id]


def config(source):
    return hashes_of(desired(source))["binance"].config


def test_a_changed_symbol_list_is_sent_and_then_only_waited_for():
    world = trading()
    life = edited(world)
    assert text(world.plan()) == "push binance 2: changed: config\n"
    world.lossy.add("binance")
    world.step()
    (wait,) = world.plan()
    assert wait.cause == "changed: config; sent, not confirmed yet"
    assert wait.until == world.records["binance"].pushing.sent + world.policy.push_again
    world.lossy.clear()
    world.settle()
    assert (world.instances["binance"].id, running(world)) == (life, config(MORE))


def test_what_was_sent_counts_only_when_a_beat_says_that_it_was_taken():
    world = trading()
    life = edited(world)
    world.silent.add("binance")
    world.step()
    world.remember()
    record = world.records["binance"]
    assert (record.pushed, record.pushing.generation) == ("", 2)
    world.silent.clear()
    world.pass_time(seconds(1))
    assert world.plan() == []
    world.remember()
    record = world.records["binance"]
    assert (record.pushed, record.pushed_generation, record.pushing) == (life, 2, None)
    assert world.instances["binance"].generation == 1, "its label stays"


def test_a_lost_message_is_sent_again_until_it_is_started_anew():
    world = trading()
    life = edited(world)
    world.lossy.add("binance")
    world.step()
    began = world.records["binance"].pushing.begun
    pushes = 0
    while "stop" not in text(world.plan()):
        pushes += "push" in text(world.plan())
        world.step()
    assert pushes == 11, "every 8 s"
    assert timedelta(seconds=90) <= world.now - began < timedelta(seconds=92)
    assert text(world.plan()) == (
        "stop binance (Changed): changed: config;"
        " it did not say within 1 min 30 s that it took them\n"
    )
    world.settle()
    assert world.instances["binance"].id != life
    assert running(world) == config(MORE)


def test_a_plugin_that_says_no_is_started_anew_and_the_cause_says_what_it_said():
    world = trading()
    edited(world)
    world.refusing.add("binance")
    world.step()
    assert text(world.plan()) == (
        "stop binance (Changed): changed: config;"
        " it does not take them while it runs: subscribe() said no\n"
    )
    world.step()
    assert text(world.plan()) == "start binance 2.1: changed\n"


def test_taken_back_while_it_is_under_way_it_is_pushed_back():
    world = trading()
    life = edited(world)
    world.silent.add("binance")
    world.step()
    assert running(world) == config(MORE), "it took it, and nobody knows yet"
    world.apply(desired(SOURCE, PAPER, revision=3))
    assert text(world.plan()) == "push binance 3: changed: config\n"
    world.silent.clear()
    world.settle()
    assert (world.instances["binance"].id, running(world)) == (life, config(SOURCE))


def test_deaf_it_waits_and_has_its_whole_time_when_somebody_is_heard_again():
    world = trading()
    edited(world)
    world.lossy.add("binance")
    world.step()
    world.listening_since = None
    world.pass_time(timedelta(hours=1))
    assert text(world.plan()) == (
        "wait binance until a change: changed: config; the bus does not answer\n"
    )
    world.listening_since = world.now
    world.pass_time(seconds(1))
    assert text(world.plan()) == "push binance 2: changed: config\n"


def test_while_nobody_is_heard_its_silence_costs_it_nothing():
    world = trading()
    life = edited(world)
    world.lossy.add("binance")
    world.silent |= {"binance", "paper"}
    world.step()
    world.pass_time(timedelta(hours=1))
    assert text(world.plan()) == "push binance 2: changed: config\n"
    world.lossy.clear()
    world.silent.clear()
    world.settle()
    assert (world.instances["binance"].id, running(world)) == (life, config(MORE))


def test_limits_and_symbols_are_both_changed_in_place_one_action_a_pass():
    world = trading()
    life = edited(world, changed(MORE, resources=replace(SOURCE.resources, memory=64 * MIB)))
    assert text(world.plan()) == "update binance: changed: config, resources\n"
    world.step()
    assert text(world.plan()) == "push binance 2: changed: config\n"
    world.settle()
    assert world.instances["binance"].id == life


def test_limits_that_need_a_new_start_take_the_symbols_along():
    world = trading(can=Capabilities(update_in_place=False, restarts_by_itself=False))
    edited(world, changed(MORE, resources=replace(SOURCE.resources, memory=64 * MIB)))
    assert text(world.plan()).startswith("stop binance (Changed)")


def test_a_change_that_is_refused_is_not_pushed_until_that_is_mended():
    world = trading()
    edited(world)
    why = ActionError("generation 2 is not kept", reason="NoGeneration", permanent=True)
    world.records["binance"] = refused(
        world.records["binance"], "binance", why, world.now, world.policy
    )
    assert text(world.plan()) == (
        "wait binance until a change: NoGeneration: generation 2 is not kept\n"
    )


def test_a_pushed_plugin_that_crashes_starts_with_what_was_pushed():
    world = trading()
    edited(world)
    world.settle()
    world.pass_time(seconds(120))
    world.remember()
    assert world.records["binance"].healthy_generation == 2
    world.end("binance", code=3)
    assert text(world.plan()) == "start binance 2.2: Exited: exit code 3, after running 4 min 8 s\n"
    world.step()
    assert running(world) == config(MORE)
    assert world.records["binance"].restarts == 1


def test_one_that_ends_while_it_is_told_says_so_and_starts_with_the_new_symbols():
    world = trading()
    edited(world)
    world.lossy.add("binance")
    world.step()
    world.end("binance", signal=11)
    assert text(world.plan()) == (
        "start binance 2.1: changed; it ended while it was told: Crashed: killed by SIGSEGV\n"
    )


def test_pushed_symbols_that_it_does_not_live_with_are_taken_back():
    world = trading()
    edited(world)
    world.settle()
    assert world.records["binance"].healthy_generation == 1, "not proven yet"
    for _ in range(8):
        world.end("binance", code=1)
        world.remember()
        world.now = world.records["binance"].not_before or world.now
        world.step()
        world.pass_time(seconds(30))
    world.settle()
    assert world.instances["binance"].generation == 1
    assert running(world) == config(SOURCE)


def test_pushed_symbols_that_made_it_unready_are_taken_back_by_a_new_start():
    world = trading()
    edited(world)
    world.step()
    world.unready.add("binance")
    world.step()
    world.pass_time(seconds(120))
    world.remember()
    world.heard.clear()  # a new controller, which has not heard it yet
    assert text(world.plan()) == (
        "stop binance (Changed): generation 2 was not healthy by its deadline;"
        " generation 1 runs again\n"
    )
    world.unready.clear()
    world.step()
    world.settle()
    assert running(world) == config(SOURCE)


@pytest.mark.parametrize(
    ("source", "do", "cause", "stops"),
    [
        (MORE, Do.PUSH, "told", False),
        (FEWER, Do.PUSH, "told", False),
        (
            changed(MORE, resources=replace(SOURCE.resources, memory=64 * MIB)),
            Do.PUSH,
            "told",
            False,
        ),
        (changed(SOURCE, config={"symbols": ["ETH"], "depth": 2}), Do.RECREATE, "told", True),
        (SOURCE, Do.KEEP, "", False),
    ],
)
def test_a_preview_says_push_where_nothing_stops(source, do, cause, stops):
    world = trading()
    edited(world, source)
    told = previewed(world)
    assert (told.do, told.cause, told.stops) == (do, cause, stops)


def previewed(world):
    found = changes(
        world.desired,
        world.observed(),
        hashes=hashes_of(world.desired),
        capabilities=world.can,
        difference=lambda _: "told",
        pushable=lambda name: world.pushable(name, 1),
    )
    return next(each for each in found if each.name == "binance")


def test_a_preview_says_why_a_recording_that_is_over_is_started_anew():
    world = trading()
    world.exhausted.add("binance")
    edited(world)
    told = previewed(world)
    assert (told.do, told.stops) == (Do.RECREATE, True)
    assert told.cause == "told; all its data is through, so it begins again"
    assert text(world.plan()) == (
        "stop binance (Changed): changed: config; all its data is through, so it begins again\n"
    )
