from datetime import UTC, datetime, timedelta

import msgspec

from ntp.contract.messages import (
    MarketData,
    ProgressMessage,
    SignalMessage,
    SignalType,
    TickRef,
    TradingSignal,
)
from ntp.engine.lane import Due, Lane
from ntp.engine.passed import Passed

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def ref(seq: int, symbol: str = "BTC", incarnation: str = "i1") -> TickRef:
    at = NOW + timedelta(days=int(incarnation.lstrip("life")), seconds=seq)
    return TickRef("src", symbol, seq, f"{incarnation}/{symbol}/{seq}", at, incarnation)


def tick(lane: Lane, seq: int, symbol: str = "BTC", incarnation: str = "i1") -> list[str]:
    of = ref(seq, symbol, incarnation)
    data = MarketData(of.time, symbol, 1.0, 1.0, id=of.id)
    return names(lane.tick("src", incarnation, symbol, seq, data))


def signal(
    lane: Lane, number: int, at: TickRef, incarnation: str = "x", name: str = ""
) -> list[str]:
    wish = TradingSignal(at.symbol, SignalType.BUY, 0.5, 1.0)
    message = SignalMessage(name or f"s{number}", "st", incarnation, number, at, wish)
    return names(lane.signal(message))


def progress(
    lane: Lane, number: int, at: TickRef, incarnation: str = "x", *, end: bool = False
) -> list[str]:
    return names(lane.progress(ProgressMessage("st", incarnation, number, at, end=end)))


def names(due: list[Due]) -> list[str]:
    return [item.id for item in due]


def test_a_tick_waits_until_the_strategy_has_analysed_it():
    lane = Lane("st")
    assert tick(lane, 1) == []
    assert tick(lane, 2) == []
    assert progress(lane, 0, ref(1)) == ["i1/BTC/1"]
    assert lane.depth == 1


def test_a_signal_lets_only_earlier_ticks_through_because_another_may_follow():
    lane = Lane("st")
    tick(lane, 1)
    tick(lane, 2)
    assert signal(lane, 1, ref(2)) == ["i1/BTC/1"]
    assert signal(lane, 2, ref(2)) == []
    assert progress(lane, 2, ref(2)) == ["i1/BTC/2", "s1", "s2"]
    assert lane.counts.late == 0


def test_progress_that_overtook_a_signal_waits_for_it():
    lane = Lane("st", seen={})
    tick(lane, 1)
    assert progress(lane, 1, ref(1)) == []
    assert signal(lane, 1, ref(1)) == ["i1/BTC/1", "s1"]


def test_a_lane_that_joins_midway_does_not_wait_for_signals_of_before():
    lane = Lane("st")
    tick(lane, 501)
    assert progress(lane, 40, ref(501)) == ["i1/BTC/501"]


def test_a_lane_that_knows_its_ledger_waits_for_what_is_redelivered():
    lane = Lane("st", seen={"x": 39})
    tick(lane, 501)
    assert progress(lane, 40, ref(501)) == []
    assert signal(lane, 40, ref(490)) == ["s40", "i1/BTC/501"]


def test_a_counted_signal_that_never_comes_is_given_up_after_the_patience():
    lane = Lane("st", seen={})
    tick(lane, 1)
    progress(lane, 2, ref(1))
    assert names(lane.expire(100.0, patience_s=5.0)) == []
    assert names(lane.expire(104.9, patience_s=5.0)) == []
    assert names(lane.expire(105.0, patience_s=5.0)) == ["i1/BTC/1"]
    assert lane.counts.missing == 2


def test_a_signal_whose_tick_never_came_goes_before_the_next_tick():
    lane = Lane("st")
    signal(lane, 1, ref(2))
    progress(lane, 1, ref(3))
    assert tick(lane, 1) == ["i1/BTC/1"]
    assert tick(lane, 3) == ["s1", "i1/BTC/3"]
    assert lane.counts.late == 1


def test_a_signal_whose_tick_never_came_goes_after_the_patience():
    lane = Lane("st")
    tick(lane, 1)
    signal(lane, 1, ref(2))
    assert names(lane.expire(7.0, 5.0)) == []
    assert lane.holds("s1")
    assert names(lane.expire(12.0, 5.0)) == ["s1"]
    assert not lane.holds("s1")
    assert lane.counts.late == 1


def test_a_slow_strategy_is_waited_for():
    lane = Lane("st")
    for seq in range(1, 50):
        tick(lane, seq)
    assert [lane.expire(float(now), 5.0) for now in range(0, 1000, 100)] == [[]] * 10
    assert lane.depth == 49


def test_a_tick_that_the_strategy_went_past_without_a_word_stops_blocking():
    lane = Lane("st")
    tick(lane, 1, "ETH")
    tick(lane, 1, "BTC")
    assert progress(lane, 0, ref(1, "BTC")) == []
    lane.expire(0.0, 5.0)
    assert names(lane.expire(5.0, 5.0)) == ["i1/ETH/1", "i1/BTC/1"]
    assert lane.counts.unconfirmed == 1
    assert tick(lane, 2, "ETH") == ["i1/ETH/2"], (
        "nobody speaks of ETH: do not wait five seconds each"
    )
    progress(lane, 0, ref(2, "ETH"))
    assert tick(lane, 3, "ETH") == [], "now somebody does"


def test_a_full_buffer_lets_the_oldest_tick_through_and_says_so():
    lane = Lane("st", max_ticks=2)
    tick(lane, 1)
    tick(lane, 2)
    assert tick(lane, 3) == ["i1/BTC/1"]
    assert lane.counts.overrun == 1
    assert signal(lane, 1, ref(1)) == ["s1"]
    assert lane.counts.late == 1


def test_too_many_waiting_signals_let_the_oldest_go():
    lane = Lane("st", max_signals=2)
    signal(lane, 1, ref(10))
    signal(lane, 2, ref(20))
    assert signal(lane, 3, ref(30)) == ["s1"]


def test_repetitions_are_ignored_and_counted():
    lane = Lane("st")
    tick(lane, 1)
    tick(lane, 1)
    signal(lane, 1, ref(1))
    signal(lane, 1, ref(1))
    assert progress(lane, 1, ref(1)) == ["i1/BTC/1", "s1"]
    assert signal(lane, 1, ref(1)) == []
    assert not lane.holds("s1")
    assert lane.counts.repeated == 3


def test_a_restarted_strategy_makes_the_same_signals_which_count_once():
    lane = Lane("st")
    for seq in (1, 2, 3):
        tick(lane, seq)
    signal(lane, 1, ref(1), "x", name="same")
    assert progress(lane, 1, ref(1), "x") == ["i1/BTC/1", "same"]
    assert signal(lane, 1, ref(1), "y", name="same") == []
    assert progress(lane, 1, ref(3), "y") == ["i1/BTC/2", "i1/BTC/3"]


def test_a_restarted_source_frees_what_waited_for_its_former_life():
    lane = Lane("st")
    tick(lane, 7, incarnation="i1")
    signal(lane, 1, ref(8, incarnation="i1"))
    progress(lane, 1, ref(1, incarnation="i2"))
    assert tick(lane, 1, incarnation="i2") == ["s1", "i2/BTC/1"]
    assert signal(lane, 2, ref(9, incarnation="i1")) == ["s2"], "its tick cannot come any more"
    assert tick(lane, 8, incarnation="i1") == [], "an echo"


def again(lane: Lane, seq: int, of: TickRef, incarnation: str = "i2") -> list[str]:
    """A source that begins anew sends the tick once more."""
    data = MarketData(of.time, of.symbol, 1.0, 1.0, id=of.id)
    return names(lane.tick("src", incarnation, of.symbol, seq, data))


def test_a_signal_waits_for_its_tick_that_the_next_life_of_the_source_sends_again():
    # As after a kill of the source, the broker and the executor: the tick itself was lost with them.
    lane = Lane("st")
    lane.resume("src", "BTC", Passed("i1", 5, ref(5).time, [ref(5).id]))
    assert signal(lane, 1, ref(7)) == []
    again(lane, 1, ref(6))
    again(lane, 2, ref(7))
    again(lane, 3, ref(8))
    progress(lane, 1, msgspec.structs.replace(ref(8), incarnation="i2", seq=1))
    due = progress(lane, 1, msgspec.structs.replace(ref(8), incarnation="i2", seq=3))
    assert due == ["i1/BTC/7", "s1", "i1/BTC/8"]
    assert lane.counts.late == 0
    # And one whose tick had been let through before is carried out at once.
    assert signal(lane, 2, ref(6)) == ["s2"]


def test_ticks_that_a_strategy_lost_with_a_dying_source_do_not_block():
    lane = Lane("st")
    tick(lane, 7, incarnation="i1")
    tick(lane, 1, incarnation="i2")
    assert progress(lane, 0, ref(1, incarnation="i2")) == ["i1/BTC/7", "i2/BTC/1"]


def test_after_the_end_of_the_strategy_everything_goes_through():
    lane = Lane("st")
    tick(lane, 1)
    tick(lane, 2)
    assert progress(lane, 0, ref(1), end=True) == ["i1/BTC/1", "i1/BTC/2"]
    assert lane.ended
    assert tick(lane, 3) == ["i1/BTC/3"]


def test_a_strategy_that_starts_again_has_not_ended():
    lane = Lane("st")
    progress(lane, 0, ref(1), end=True)
    assert lane.ended
    progress(lane, 0, ref(1), "y")
    assert not lane.ended
    tick(lane, 1)
    assert tick(lane, 2) == []


def test_many_restarts_of_a_source_are_forgotten_in_time():
    lane = Lane("st")
    due = []
    for life in range(1000):
        tick(lane, 1, incarnation=f"i{life}")
        due += progress(lane, 0, ref(1, incarnation=f"i{life}"))
    assert len(due) == 1000
    assert len(lane._heard) < 20
    assert len(lane._claims._believed) < 20


def test_a_strategy_may_claim_any_number_and_costs_nobody_time():
    lane = Lane("st")
    progress(lane, 0, ref(1))
    progress(lane, 2**53, ref(2))
    lane.expire(1.0, 5.0)
    lane.expire(6.0, 5.0)  # one by one it would not end
    assert lane.counts.missing == 2**53


def test_of_signals_that_came_only_those_between_are_missing():
    lane = Lane("st", seen={})
    for number in (2, 4, 5):
        signal(lane, number, ref(number))
    progress(lane, 5, ref(5))
    lane.expire(1.0, 5.0)
    lane.expire(6.0, 5.0)
    assert lane.counts.missing == 2


def test_what_a_strategy_invents_is_kept_in_bounds(monkeypatch):
    """Symbols and lives that nobody sends, and signals each of which leaves one out."""
    monkeypatch.setattr("ntp.engine.claims._BEYOND", 100)
    monkeypatch.setattr("ntp.engine.claims._BELIEVED", 200)
    lane = Lane("st", seen={})
    for number in range(1000):
        progress(lane, 0, ref(1, incarnation=f"life{number}"))
        signal(lane, 2 * number + 2, ref(1), name=f"s{number}")
    claims = lane._claims
    assert len(claims._believed) <= 200
    assert sum(map(len, claims._spoken.values())) <= 200
    assert all(len(life.beyond) <= 100 for life in claims._lives.values())
    tick(lane, 1, incarnation="life999")
    assert lane.depth == 0, "what it said last is believed"


def test_nobody_waits_for_a_signal_that_is_dead():
    lane = Lane("st")
    tick(lane, 1)
    tick(lane, 2)
    assert signal(lane, 1, ref(1)) == []
    assert progress(lane, 2, ref(2)) == [], "one that it counted is not here"
    assert names(lane.hole("x", 2)) == ["i1/BTC/1", "s1", "i1/BTC/2"]
    assert (lane.counts.dead, lane.counts.missing) == (1, 0)


def test_a_hole_that_is_told_before_its_claim_delays_nothing():
    lane = Lane("st")
    tick(lane, 1)
    assert names(lane.hole("x", 1)) == []
    assert progress(lane, 1, ref(1)) == ["i1/BTC/1"]


def test_signals_that_an_earlier_life_consumed_are_not_waited_for():
    lane = Lane("st")
    tick(lane, 1)
    tick(lane, 2)
    assert progress(lane, 40, ref(1)) == ["i1/BTC/1"], "the word of before came again"
    assert signal(lane, 63, ref(3)) == []
    assert progress(lane, 63, ref(2)) == [], "41 to 62 may be on their way"
    assert names(lane.gap("x", 62)) == ["i1/BTC/2"]
    assert signal(lane, 64, ref(3)) == [], "and from here on each is waited for"
    assert progress(lane, 66, ref(3)) == []
    assert lane.counts.missing == 0


def test_the_ticks_of_a_suspect_go_through_up_to_its_own_and_it_waits_for_that():
    lane = Lane("st")
    for seq in (1, 2, 3):
        tick(lane, seq)
        tick(lane, seq, "ETH")
    message = SignalMessage(
        "s", "st", "x", 1, ref(2), TradingSignal("BTC", SignalType.BUY, 0.5, 1.0)
    )
    assert names(lane.signal(message, alone=True)) == ["i1/BTC/1", "i1/BTC/2", "s"]
    assert names(lane.signal(message)) == []
    assert (lane.counts.late, lane.counts.repeated, lane.depth) == (0, 1, 4)
    assert progress(lane, 1, ref(3, "ETH")) == ["i1/ETH/1", "i1/ETH/2"], "in their order"
    later = SignalMessage("t", "st", "x", 2, ref(5), message.signal)
    assert names(lane.signal(later, alone=True)) == ["i1/BTC/3", "i1/ETH/3"]
    assert lane.holds("t"), "its tick is not here"
    tick(lane, 4, "ETH")
    tick(lane, 4)
    assert tick(lane, 5) == ["i1/BTC/4", "i1/BTC/5", "t"]


def test_a_dead_letter_that_comes_again_says_nothing_of_what_its_life_counted():
    lane = Lane("st")
    signal(lane, 1, ref(1), incarnation="new")
    old = SignalMessage(
        "s", "st", "old", 99, ref(7), TradingSignal("BTC", SignalType.BUY, 0.5, 1.0)
    )
    assert names(lane.again(old)) == ["s"]
    assert names(lane.again(old)) == []
    assert names(lane.expire(0.0, 5.0)) == []
    lane.expire(100.0, 5.0)
    assert lane.counts.missing == 0
    tick(lane, 1)
    assert progress(lane, 1, ref(1), incarnation="new", end=True) == ["i1/BTC/1"]
    assert lane.ended


def test_a_former_life_is_over_for_each_symbol_by_itself():
    lane = Lane("st")
    tick(lane, 1)
    tick(lane, 1, "ETH")
    tick(lane, 1, incarnation="i2")  # of BTC the next life came first
    tick(lane, 2, "ETH")  # what was missing of ETH was read again
    assert progress(lane, 0, ref(1, incarnation="i2")) == ["i1/BTC/1"]
    assert progress(lane, 0, ref(2, "ETH")) == ["i1/ETH/1", "i2/BTC/1", "i1/ETH/2"]
    assert lane.counts.repeated == 0


def test_a_signal_is_not_overdue_while_its_tick_waits_here():
    lane = Lane("st")
    signal(lane, 1, ref(8))
    again(lane, 1, ref(7))
    again(lane, 2, ref(8))
    assert [lane.expire(float(now), 5.0) for now in range(0, 100, 10)] == [[]] * 10
    said = msgspec.structs.replace(ref(8), incarnation="i2", seq=2)
    assert progress(lane, 1, said) == ["i1/BTC/7", "i1/BTC/8", "s1"]
    assert lane.counts.late == 0


def test_a_signal_has_its_patience_anew_once_the_ticks_before_its_own_are_through():
    lane = Lane("st")
    signal(lane, 1, ref(8))
    again(lane, 1, ref(7))
    assert [lane.expire(float(now), 5.0) for now in range(0, 100, 10)] == [[]] * 10
    assert progress(lane, 1, msgspec.structs.replace(ref(7), incarnation="i2", seq=1)) == [
        "i1/BTC/7"
    ]
    assert lane.expire(100.0, 5.0) == []
    assert lane.expire(104.0, 5.0) == []
    assert names(lane.expire(105.0, 5.0)) == ["s1"]
