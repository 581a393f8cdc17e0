"""What a person reads of why something is done, beyond the plans of an ordinary day."""

from dataclasses import replace

from orchestrator.decide.memory import refused
from orchestrator.decide.state import Usage
from orchestrator.errors import ActionError
from tests.unit.test_decide_plan import BINANCE, BOLLINGER, PAPER, settled, text
from tests.worlds.specs import MIB, changed, desired


def test_failures_in_a_row_are_counted():
    world = settled()
    for _ in range(2):
        world.end("paper", code=1)
        world.remember()
        world.now = world.records["paper"].not_before
        world.step()
    world.end("paper", code=1)
    world.remember()
    world.now = world.records["paper"].not_before
    assert text(world.plan()) == (
        "start paper 1.4: Exited: exit code 1, after running 1 s; failure 2 in a row\n"
    )


def test_too_much_memory_is_told_with_its_limit():
    world = settled()
    usage = Usage(memory_limit=128 * MIB)
    world.instances["paper"] = replace(world.instances["paper"], usage=usage)
    world.end("paper", signal=9, oom=True)
    assert "limit 128 MiB" in text(world.plan())


def test_a_change_that_cannot_be_started_is_taken_back_with_the_reason():
    world = settled()
    world.apply(desired(BINANCE, BOLLINGER, changed(PAPER, config={"fee": 1})))
    why = ActionError("no wheel", reason="RequirementsFailed", permanent=True)
    world.records["paper"] = refused(world.records["paper"], "paper", why, world.now, world.policy)
    world.end("paper", code=1)
    world.remember()
    assert text(world.plan()) == (
        "start paper 1.2: generation 2 cannot be started; generation 1 runs again:"
        " RequirementsFailed: no wheel\n"
    )
