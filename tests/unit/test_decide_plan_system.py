"""The broker: tried again soon and for ever, and never kept from a person who restarts it."""

from dataclasses import replace

import pytest

from orchestrator.decide.actions import Wait
from orchestrator.decide.memory import refused
from orchestrator.decide.state import Hashes, Record
from orchestrator.errors import ActionError
from tests.unit.test_decide_plan import BROKER, settled, text
from tests.worlds.specs import desired, seconds

EARLIER = "it is of an earlier life of this project, whose records are gone"
NO_WHEEL = ActionError("no wheel", reason="RequirementsFailed", permanent=True)


def test_it_is_tried_again_within_seconds_however_often_it_failed():
    world = settled(system=BROKER)
    life = world.instances["broker"]
    world.instances["broker"] = replace(life, started=world.now)
    world.records["broker"] = Record(attempt=30, failures=30)
    world.end("broker", code=1)
    (wait,) = (each for each in world.plan() if each.name == "broker")
    assert isinstance(wait, Wait)
    assert seconds(8) <= wait.until - world.now <= seconds(10)
    world.now = wait.until
    assert text(world.plan()).startswith("start broker 0.30: Exited: exit code 1")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("broker", "stop broker (Restart): restart asked for by hand\n"),
        ("paper", "wait paper until a change: RequirementsFailed: no wheel\n"),
    ],
)
def test_a_refusal_keeps_the_life_of_a_plugin_only(name, expected):
    world = settled(system=BROKER)
    record = replace(world.records[name], replace=world.instances[name].id)
    world.records[name] = refused(record, name, NO_WHEEL, world.now, world.policy)
    assert text(world.plan()) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ({"identity": "older", "wiring": "ours"}, ""),
        ({"identity": "ours", "wiring": ""}, ""),  # of a release that did not write it down
        (
            {"identity": "ours", "wiring": "theirs"},
            f"{EARLIER}: it has other keys, or another port",
        ),
        ({"identity": "", "wiring": ""}, f"{EARLIER}: it has other keys, or another port"),
    ],
)
def test_a_broker_with_other_keys_or_another_port_is_replaced(label, expected):
    world = settled(system={"broker": Hashes("ours", "", "ours", "", "")})
    life = world.instances["broker"]
    world.instances["broker"] = replace(life, hashes=replace(life.hashes, **label))
    assert text(world.plan()) == (f"stop broker (Changed): {expected}\n" if expected else "")


def test_who_runs_and_was_never_started_by_these_records_is_of_earlier_ones():
    world = settled(system=BROKER)
    life = world.instances["paper"]
    world.records["paper"] = Record(generation=1)
    world.instances["paper"] = replace(life, hashes=replace(life.hashes, wiring="theirs"))
    assert text(world.plan()) == f"stop paper (Changed): {EARLIER}\n"


def test_before_the_first_apply_nobody_is_unwanted():
    world = settled(system=BROKER)
    world.desired = desired(revision=0)
    assert world.plan() == []
    world.desired = desired(revision=1)
    assert "not in revision 1" in text(world.plan())
