"""What can be done with a dead letter, and how a plugin that has some is shown."""

from datetime import UTC, datetime

import pytest

from ntp.contract.names import Kind
from orchestrator.decide.findings import Known, Patience, look
from orchestrator.decide.letters import unsendable
from orchestrator.decide.report import DeadLetter
from orchestrator.decide.status import Seen, statuses
from orchestrator.spec.model import Consumer, Rights
from tests.worlds.simulation import Simulation
from tests.worlds.specs import desired, seconds, spec

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def letter(**told):
    return DeadLetter("paper/3", 3, "paper", "ten", NOON, 2, b"{}", **told)


def hears(*streams):
    consumers = tuple(Consumer(stream, "paper") for stream in streams)
    return Rights("paper", "executor", (), (), (), (), consumers=consumers)


@pytest.mark.parametrize("stream", ["SIG_ten", "FILL_ten"])
def test_who_still_hears_the_sender_can_be_sent_it_once_more(stream):
    assert unsendable(letter(), hears("SIG_other", stream)) == ""


@pytest.mark.parametrize("rights", [None, hears(), hears("SIG_tent", "MD")])
def test_who_does_not_hear_the_sender_any_more_would_get_nothing(rights):
    why = unsendable(letter(), rights)
    assert why.startswith("paper does not hear ten any more, so nothing would arrive")
    assert why.endswith("`ntpctl dlq drop paper/3`")


def test_half_a_message_is_not_sent():
    assert "too long to be kept whole" in unsendable(letter(cut=True), hears("SIG_ten"))


@pytest.fixture
def world():
    made = Simulation(desired(spec("a", Kind.EXECUTOR)))
    made.settle()
    made.pass_time(seconds(90))
    made.settle()
    return made


def shown(world, dead):
    seen = Seen(dead=dead)
    (status,) = statuses(world.desired, world.observed(), [], now=world.now, seen=seen)
    _, found = look(
        Known(begun=True),
        [status],
        {},
        limits={},
        listening=True,
        now=world.now,
        patience=Patience(),
    )
    alerts = [each.wrong for each in found if each.reason == "DeadLetters"]
    conditions = [each.message for each in status.conditions if each.type == "DeadLetters"]
    return status, conditions, alerts


def test_who_has_some_says_so_and_somebody_is_told(world):
    status, conditions, alerts = shown(world, {"a": 2, "b": 1})
    assert conditions == ["2 messages that it could not take; `ntpctl dlq list a`"]
    assert status.message == f"DeadLetters: {conditions[0]}"
    assert (status.dead_letters, status.ready, alerts) == (2, True, [True])


def test_once_none_is_left_that_is_over(world):
    assert shown(world, {})[1:] == ([], [False])


def test_before_anybody_has_counted_nothing_is_over(world):
    status, conditions, alerts = shown(world, None)
    assert (status.dead_letters, conditions, alerts) == (None, [], [])
