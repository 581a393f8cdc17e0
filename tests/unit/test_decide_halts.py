"""Who is halted, in words and for an executor; and what is believed of what it says."""

from datetime import timedelta

import pytest

from ntp.contract.beat import Beat, Halted, Stage
from ntp.contract.control import Halt as Told
from ntp.contract.names import Kind
from orchestrator.decide.actions import Halt, Wait
from orchestrator.decide.halting import halt_sending, heard, pending, tell_halt
from orchestrator.decide.halts import Halts
from orchestrator.decide.policy import Policy
from orchestrator.decide.state import Hashes, Instance, Observed, Phase, Record
from tests.worlds.specs import NOON, spec

HALTED = Halts().halt(["momentum"], flatten=False)
LIFE = Instance("paper", 1, 1, Hashes("", "", "", "", ""), Phase.RUNNING, "life", started=NOON)


def beat(halted=None, kind="executor"):
    return Beat("paper", kind, "i", 1, 1, NOON, NOON, Stage.READY, halted=halted)


def world(said, halts=HALTED, *, listening=NOON):
    return Observed(
        {"paper": LIFE},
        beats={"paper": said},
        heard={"paper": NOON},
        listening_since=listening,
        halts=halts,
    )


def tell(said, record=None, now=NOON, **more):
    return tell_halt(record or Record(), LIFE, world(said, **more), Policy(), now)


def test_names_add_up_and_flattened_stays_so_until_it_is_resumed():
    halts = Halts().halt(["a"], flatten=True).halt(["a", "b"], flatten=False)
    assert halts == Halts(2, None, {"a": True, "b": False})
    assert halts.told("paper", ["a", "b", "c"]) == Told(2, {"a": True, "b": False})
    assert halts.resume(["a"]) == Halts(3, None, {"b": False})
    assert halts.resume([]) == Halts(3)


def test_all_are_those_to_come_as_well_and_end_with_all():
    halts = Halts().halt([], flatten=False)
    assert halts.told("paper", ["new"]).strategies == {"new": False}
    assert halts.halt([], flatten=True).told("paper", ["new"]).strategies == {"new": True}
    assert halts.halt(["a"], flatten=True).told("paper", ["a", "b"]).strategies == {
        "a": True,
        "b": False,
    }
    assert halts.resume([]).none


def test_who_was_halted_is_not_known_until_a_person_speaks_of_all():
    lost = Halts(7, None, {"a": True}).unknown(NOON)
    assert (lost.everything, lost.lost, lost.names) == (False, True, {"a": True})
    assert lost.number == int(NOON.timestamp())
    assert lost.unknown(NOON).number == lost.number + 1, "an executor takes the same for old news"
    assert Halts(7, everything=True).unknown(NOON).everything
    assert lost.halt(["b"], flatten=False).lost
    assert lost.why == "halted, as who was halted or stopped before is not known"
    for said in (lost.halt([], flatten=False), lost.halt([], flatten=True), lost.resume([])):
        assert (said.lost, said.why) == (False, "halted by hand")


def test_an_executor_halts_all_that_it_hears_and_nobody_else_does():
    halts = Halts().halt(["paper"], flatten=False)
    assert halts.told("paper", ["a"]).strategies == {"a": False}
    assert halts.told("other", ["a"]).strategies == {}
    assert (halts.words("a"), halts.words("paper")) == (
        "",
        "halted by hand; `ntpctl resume paper` clears it",
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (beat(Halted(1)), ""),
        (beat(Halted(2)), ""),
        (beat(Halted(0)), "not confirmed yet"),
        (beat(Halted(1, "it cannot")), "it cannot"),
        (beat(), "its ntp-sdk knows no halt: stop it instead"),
        (beat(kind="strategy"), ""),
        (None, ""),
    ],
)
def test_only_the_word_of_an_executor_on_the_newest_number_is_believed(said, words):
    assert pending(said, HALTED) == words


def test_an_executor_of_an_older_release_is_left_alone_when_nobody_is_halted():
    assert pending(beat(), HALTED.resume([])) == ""
    assert pending(beat(Halted(1)), HALTED.resume([])) == "not confirmed yet"
    assert pending(beat(), Halts()) == ""


def test_it_is_told_at_once_then_waited_for_then_told_again():
    cause = "who is halted (change 1) is not confirmed yet"
    told = Halt("paper", 1, cause)
    assert tell(beat(Halted(0))) == told
    record = halt_sending(Record(), LIFE, 1, NOON)
    again = NOON + Policy().push_again
    assert tell(beat(Halted(0)), record) == Wait("paper", again, cause)
    assert tell(beat(Halted(0)), record, again) == told
    assert tell(beat(Halted(0)), record, NOON - timedelta(days=1)) == told, "a clock set back"
    assert tell(beat(Halted(0)), halt_sending(Record(), LIFE, 0, NOON)) == told, "another change"
    assert tell(beat(Halted(1)), record) is None
    assert tell(beat(Halted(1, "it cannot")), record) is None, "to say it again helps nobody"
    assert tell(beat(Halted(0)), listening=None) is None, "nobody would hear"


def test_what_is_not_heard_of_is_not_taken_to_be_obeyed():
    paper, momentum = spec("paper", Kind.EXECUTOR), spec("momentum")
    deaf = world(beat(Halted(1)), listening=None)
    assert "the bus does not answer" in heard(paper, deaf, beat(Halted(1)))
    assert "it was not heard yet" in heard(paper, world(None), None)
    assert heard(paper, world(beat(Halted(1))), beat(Halted(1))) == ""
    assert heard(momentum, deaf, None) == ""
    assert heard(paper, world(None, Halts()), None) == "", "nobody was ever halted"
