"""The broker: tried again soon and for ever, and never kept from a person who restarts it."""

from dataclasses import replace

import pytest

from orchestrator.decide.actions import Wait
from orchestrator.decide.memory import refused
from orchestrator.decide.state import Record
from orchestrator.errors import ActionError
from tests.unit.test_decide_plan import BROKER, settled, text
from tests.worlds.specs import seconds

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
