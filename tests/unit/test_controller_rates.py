import sys
from datetime import timedelta

from ntp.contract.beat import Beat, Flow, Stage
from orchestrator.controller.rates import Rates
from orchestrator.decide.state import Hashes, Instance, Phase, Usage
from tests.worlds.specs import NOON, seconds

NOTHING = Hashes("", "", "", "", "")


def running(cpu_s, *, at=None, life="one"):
    usage = Usage(cpu_s=cpu_s, at=at)
    return {"a": Instance("a", 1, 1, NOTHING, Phase.RUNNING, life, usage=usage)}


def beat(number, *, count):
    sent = [Flow("", "data", "BTC", count)]
    told = {"generation": 1, "at": NOON, "started": NOON, "stage": Stage.READY, "sent": sent}
    return Beat(instance="a", kind="data_source", incarnation="one", number=number, **told)


def test_a_reading_that_is_shown_again_is_no_second_reading():
    """Half a core all the time: read every two seconds, asked for every second."""
    rates, found = Rates(), []
    for second in range(20):
        read = second - second % 2
        instances = running(read / 2, at=NOON + seconds(read))
        found.append(rates.cpu(instances, NOON + seconds(second)).get("a"))

    assert found[:2] == [None, None]
    assert set(found[2:]) == {0.5}


def test_without_a_moment_of_its_own_a_reading_is_of_the_listing():
    rates = Rates()
    rates.cpu(running(1.0), NOON)

    assert rates.cpu(running(3.0), NOON + seconds(4)) == {"a": 0.5}


def test_a_new_life_begins_anew():
    rates = Rates()
    rates.cpu(running(50.0), NOON)

    assert rates.cpu(running(0.1, life="two"), NOON + timedelta(seconds=4)) == {}


def test_no_beat_is_kept_longer_than_by_whom_it_was_heard():
    rates, told = Rates(), beat(1, count=5)
    holders = sys.getrefcount(told)
    found = rates.flows({"a": told})["a"]

    assert sys.getrefcount(told) == holders
    assert found.sent == 5
    assert rates.flows({"a": told})["a"] is found, "of one beat once"
    assert rates.flows({"a": beat(2, count=9)})["a"].sent == 9
