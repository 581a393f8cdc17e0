"""What is told to somebody who looks at no terminal: once, and its end."""

from datetime import timedelta

import pytest

from ntp.contract.names import Kind
from orchestrator.decide.alerts import BURST, REFILL, Status, step
from orchestrator.decide.findings import Finding, Reason
from orchestrator.decide.memory import forgive
from orchestrator.decide.report import Condition
from tests.worlds.alerted import PATIENCE, Alerted
from tests.worlds.simulation import Simulation
from tests.worlds.specs import NOON, changed, desired, seconds, spec

FEED = spec("feed", Kind.DATA_SOURCE)
A = spec("a", inputs=["feed"])


@pytest.fixture
def desk():
    world = Simulation(desired(FEED, A))
    world.settle()
    world.pass_time(seconds(90))
    made = Alerted(world)
    assert made.told() == []
    return made


def wait(desk, length):
    """Let all be done that can be, then time pass."""
    desk.world.settle()
    desk.world.pass_time(seconds(length))
    desk.world.settle()


def start_by_hand(desk, name):
    desk.world.records[name] = forgive(desk.world.records[name])
    desk.world.settle()


def crash(desk, **how):
    desk.world.settle()
    desk.world.end("a", **how)
    desk.world.remember()


def test_an_oom_kill_is_told_at_once_and_its_end_when_the_next_life_is_steady(desk):
    crash(desk, signal=9, oom=True)
    (alert,) = desk.look()
    assert (alert.status, alert.plugin, alert.kind, alert.reason) == (
        Status.FIRING, "a", "strategy", Reason.OOM_KILLED,
    )  # fmt: skip
    assert alert.message == "limit 512 MiB, raise resources.memory"
    wait(desk, 5)
    assert desk.told() == []
    wait(desk, 70)
    (over,) = desk.look()
    assert (over.status, over.alert) == (Status.RESOLVED, alert.alert)
    assert over.id != alert.id
    assert over.message == "it has run well for 1 min"
    assert desk.told() == []


def test_an_oom_kill_of_long_ago_is_no_news_after_a_restart_by_hand(desk):
    crash(desk, signal=9, oom=True)
    desk.look()
    wait(desk, 70)
    desk.look()
    desk.world.stop_by_hand("a")
    wait(desk, 1)
    desk.look()
    start_by_hand(desk, "a")
    wait(desk, 1)
    assert desk.told() == []


def test_what_happened_before_anybody_looked_is_no_news(desk):
    crash(desk, signal=9, oom=True)
    wait(desk, 70)
    desk.lost["a"] = 5
    fresh = Alerted(desk.world, lost=desk.lost)
    assert fresh.told() == []
    desk.lost["a"] = 6
    assert fresh.told() == [("firing", "a", "DataLost")]


def test_two_crashes_are_nobodys_business_and_three_are_a_loop(desk):
    crash(desk, code=1)  # after a long life: no failure yet
    for _ in range(2):
        crash(desk, code=1)
        assert desk.told() == []
        wait(desk, 3)
        assert desk.told() == []
    crash(desk, code=1)
    (alert,) = desk.look()
    assert (alert.status, alert.reason) == (Status.FIRING, "CrashLoop")
    assert alert.message == "3 failures in a row, the last: Exited: exit code 1"
    wait(desk, 5)
    crash(desk, code=1)
    assert desk.told() == []
    wait(desk, 90)
    assert desk.told() == [("resolved", "a", "CrashLoop")]


def test_giving_up_is_told_beside_the_loop_and_both_end_together(desk):
    for _ in range(desk.world.policy.give_up_after + 1):
        crash(desk, code=1)
        desk.look()
    assert [(a.status, a.reason) for a in desk.sent] == [
        ("firing", "CrashLoop"),
        ("firing", "GaveUp"),
    ]
    start_by_hand(desk, "a")
    wait(desk, 1)
    assert desk.told() == []
    wait(desk, 61)
    assert sorted(desk.told()) == [("resolved", "a", "CrashLoop"), ("resolved", "a", "GaveUp")]


def test_what_only_a_person_can_end_is_told_after_a_moment(desk):
    desk.world.end("a", code=2, permanent=True)
    assert desk.told() == []
    wait(desk, 11)
    assert desk.told() == [("firing", "a", "Stalled")]


@pytest.mark.parametrize(("word", "after"), [("FeedStale", 0), ("Disconnected", 31)])
def test_a_silent_feed_is_told_when_it_lasts_and_is_over_when_data_comes(desk, word, after):
    desk.warnings["feed"] = {word: "no data from x:1 for 60 s"}
    desk.rate["feed"] = 0.0
    if after:
        assert desk.told() == []
        wait(desk, after)
    (alert,) = desk.look()
    assert (alert.reason, alert.message) == ("FeedSilent", f"{word}: no data from x:1 for 60 s")
    desk.warnings.clear()
    assert desk.told() == [], "connected again is not data"
    desk.rate["feed"] = 0.3
    assert desk.told() == [("resolved", "feed", "FeedSilent")]


def test_a_feed_that_is_back_in_time_is_nobodys_business(desk):
    desk.warnings["feed"] = {"Disconnected": "lost"}
    assert desk.told() == []
    wait(desk, 20)
    assert desk.told() == []
    desk.warnings.clear()
    assert desk.told() == []
    desk.warnings["feed"] = {"Disconnected": "lost again"}
    wait(desk, 20)
    assert desk.told() == []


def test_data_that_is_dated_wrong_comes_all_the_same(desk):
    desk.warnings["feed"] = {"ClockAhead": "its ticks are dated 5 s ahead"}
    desk.look()
    wait(desk, 100)
    assert desk.told() == []


def test_only_a_source_has_a_feed(desk):
    desk.warnings["a"] = {"FeedStale": "so it says"}
    assert desk.told() == []


def test_a_loss_is_told_once_and_is_over_when_no_more_is_lost(desk):
    desk.lost["a"] = 3
    (alert,) = desk.look()
    assert (alert.reason, alert.message) == (
        "DataLost",
        "3 messages did not reach it since it was started",
    )
    for _ in range(3):
        wait(desk, 200)
        desk.lost["a"] += 1
        assert desk.told() == []
    wait(desk, 301)
    assert desk.told() == [("resolved", "a", "DataLost")]


def test_a_gap_that_a_source_saw_is_a_loss(desk):
    desk.warnings["feed"] = {"TradesMissed": "3 trades of X were missed: 7 to 9"}
    (alert,) = desk.look()
    assert (alert.reason, alert.message) == ("DataLost", "3 trades of X were missed: 7 to 9")


def test_a_new_life_counts_its_losses_from_zero(desk):
    desk.lost["a"] = 3
    desk.look()
    crash(desk, code=1)
    wait(desk, 301)
    desk.lost["a"] = 0
    desk.look()
    wait(desk, 301)
    desk.look()
    crash(desk, code=1)
    wait(desk, 5)
    desk.lost["a"] = 2
    assert ("firing", "a", "DataLost") in desk.told()


@pytest.mark.parametrize("how", ["blind", "deaf"])
def test_who_cannot_be_seen_or_heard_changes_nothing(desk, how):
    desk.warnings["feed"] = {"FeedStale": "no data"}
    desk.lost["a"] = 1
    assert len(desk.told()) == 2
    desk.warnings.clear()
    desk.lost.clear()
    if how == "deaf":
        desk.world.listening_since = None
    wait(desk, 1000)
    assert desk.told(blind=how == "blind") == []


@pytest.mark.parametrize("how", ["stopped", "removed"])
def test_what_a_person_takes_away_has_no_open_alert(desk, how):
    crash(desk, signal=9, oom=True)
    desk.look()
    if how == "stopped":
        desk.world.stop_by_hand("a")
    else:
        desk.world.apply(desired(FEED))
    desk.world.settle()
    (over,) = desk.look()
    assert over.status is Status.RESOLVED
    assert (
        over.message
        == {
            "stopped": "it was stopped by hand",
            "removed": "it is no longer wanted",
        }[how]
    )


def test_an_entry_that_was_mended_is_well_after_a_while(desk):
    for _ in range(4):
        crash(desk, code=1)
    assert desk.told() == [("firing", "a", "CrashLoop")]
    desk.world.apply(desired(FEED, changed(A, config={"period": 3})))
    wait(desk, 1)
    assert desk.told() == []
    wait(desk, 61)
    assert desk.told() == [("resolved", "a", "CrashLoop")]


def test_a_project_nobody_can_look_after_is_told(desk):
    desk.unsound = [Condition("BrokerReady", False, "NotReady", "the disk is full")]
    assert desk.told() == []
    wait(desk, 31)
    (alert,) = desk.look()
    assert (alert.plugin, alert.reason, alert.message) == (
        "", "BrokerReady", "NotReady: the disk is full",
    )  # fmt: skip
    desk.unsound = [Condition("BrokerReady", True, "Ensured", "")]
    assert desk.told() == [("resolved", "", "BrokerReady")]


def test_a_restart_of_the_controller_repeats_nothing(desk):
    crash(desk, signal=9, oom=True)
    desk.lost["feed"] = 2
    assert len(desk.told()) == 2
    desk.restart()
    assert desk.told() == []
    wait(desk, 400)
    assert sorted(desk.told()) == [("resolved", "a", "OOMKilled"), ("resolved", "feed", "DataLost")]


def finding(number, *, wrong=True):
    return Finding(f"p{number}", "strategy", Reason.OOM_KILLED, wrong=wrong, message="m")


def test_too_many_are_counted_and_the_next_says_how_many():
    desk = Alerted(Simulation(desired()))
    names = {f"p{number}" for number in range(50)}

    def told(findings, now):
        desk.book, sent = step(desk.book, findings, wanted=names, project="desk", now=now)
        return sent

    first = told([finding(number) for number in range(BURST + 7)], NOON)
    assert len(first) == BURST
    assert (desk.book.held, desk.book.suppressed) == (7, 7)
    over = told([finding(0, wrong=False), finding(BURST, wrong=False)], NOON + seconds(1))
    assert [(a.status, a.plugin, a.suppressed) for a in over] == [("resolved", "p0", 7)], (
        "the end of one that was not told is not told"
    )
    (later,) = told([finding(40)], NOON + REFILL + seconds(1))
    assert (later.plugin, later.suppressed) == ("p40", 0)
    assert desk.book.suppressed == 7


def test_a_storm_that_nothing_follows_is_owned_up_to():
    desk = Alerted(Simulation(desired()))
    names = {f"p{number}" for number in range(50)}
    findings = [finding(number) for number in range(BURST + 12)]
    desk.book, _ = step(desk.book, findings, wanted=names, project="desk", now=NOON)
    desk.book, none = step(
        desk.book, findings, wanted=names, project="desk", now=NOON + timedelta(seconds=1)
    )
    assert none == []
    desk.book, (alert,) = step(desk.book, findings, wanted=names, project="desk", now=NOON + REFILL)
    assert (alert.status, alert.suppressed, desk.book.held) == (Status.SUPPRESSED, 12, 0)
    assert alert.message.startswith("12 alerts were not sent, for there were too many; still so of")
    assert alert.message.endswith("p19 and 2 more")


def test_patience_is_that_of_the_policy():
    assert Simulation(desired()).policy.stable == PATIENCE.steady


def test_a_clock_that_is_set_back_keeps_no_loss_open_for_as_long(desk):
    wait(desk, 3600)
    desk.lost["a"] = 1
    assert desk.told() == [("firing", "a", "DataLost")]
    desk.world.now -= timedelta(hours=1)
    assert desk.told() == []
    wait(desk, 301)
    assert ("resolved", "a", "DataLost") in desk.told()
