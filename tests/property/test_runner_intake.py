"""Ticks meet their indicator values, whichever comes first, and nobody waits for ever."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.launch import Listen
from ntp.contract.messages import DataBatch, IndicatorBatch, MarketData
from ntp.contract.names import Kind
from ntp.runner.core.edge import new_incarnation
from ntp.runner.core.intake import Intake

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
LIFE = new_incarnation(2000, "a")
NEXT = new_incarnation(3000, "b")
INPUTS = [
    Listen("src", Kind.DATA_SOURCE),
    Listen("rsi", Kind.INDICATOR, listens_to=["src"]),
    Listen("sma", Kind.INDICATOR, listens_to=["src"], symbols=["BTC"]),
]


def ticks(first, count):
    return [
        MarketData(NOON + timedelta(seconds=i), "BTC", 1.0, 1.0, id=f"src:{i}")
        for i in range(first, first + count)
    ]


def data(first, count, *, end=False, life=LIFE):
    return DataBatch("src", life, "BTC", first, ticks(first, count), end)


def values(name, first, count, life=LIFE):
    made = [float(i) for i in range(first, first + count)]
    return IndicatorBatch(name, "i", "src", life, "BTC", first, made)


def intake(patience_s=1.0):
    made = Intake(INPUTS, patience_s)
    made.listening_ms = 1000
    return made


def seen(runs):
    return [
        (run.seq + i, tick.metadata.get("indicators"))
        for run in runs
        for i, tick in enumerate(run.ticks)
    ]


def cut(total, sizes):
    first = 1
    for size in [*sizes, total]:
        count = min(size, total - first + 1)
        if count > 0:
            yield first, count
            first += count


SIZES = st.lists(st.integers(1, 9), max_size=10)


@given(st.integers(1, 50), SIZES, SIZES, SIZES, st.randoms())
def test_every_tick_meets_its_own_values(total, one, two, three, random):
    streams = [
        [("data", data(first, count)) for first, count in cut(total, one)],
        [("values", values("rsi", first, count)) for first, count in cut(total, two)],
        [("values", values("sma", first, count)) for first, count in cut(total, three)],
    ]
    made, runs = intake(), []
    while any(streams):
        what, batch = random.choice([stream for stream in streams if stream]).pop(0)
        runs += made.data(batch, 0.0) if what == "data" else made.values(batch)
    assert seen(runs) == [(i, {"rsi": float(i), "sma": float(i)}) for i in range(1, total + 1)]
    assert all(flow.late == 0 for flow in made.flows())


@given(st.integers(1, 50), SIZES, st.integers(0, 50))
def test_past_the_deadline_a_tick_goes_without_and_is_counted(total, sizes, valued):
    made, runs = intake(patience_s=1.0), []
    valued = min(valued, total)
    for first, count in cut(total, sizes):
        runs += made.data(data(first, count), now=10.0)
    if valued:
        runs += made.values(values("rsi", 1, valued))
        runs += made.values(values("sma", 1, valued))
    runs += made.expire(10.9)
    assert [i for i, _ in seen(runs)] == list(range(1, valued + 1))
    runs += made.expire(11.0)
    assert seen(runs) == [
        (i, {"rsi": float(i), "sma": float(i)} if i <= valued else {"rsi": None, "sma": None})
        for i in range(1, total + 1)
    ]
    late = {flow.peer: flow.late for flow in made.flows() if flow.channel == "indicator"}
    assert late == {"rsi": total - valued, "sma": total - valued}


def test_an_indicator_that_values_other_symbols_is_not_waited_for():
    made = intake()
    eth = DataBatch("src", LIFE, "ETH", 1, ticks(1, 2))
    assert made.data(eth, 0.0) == []
    batch = IndicatorBatch("rsi", "i", "src", LIFE, "ETH", 1, [1.0, 2.0])
    assert seen(made.values(batch)) == [(1, {"rsi": 1.0}), (2, {"rsi": 2.0})]


def test_values_that_were_lost_hold_nobody_up_for_long():
    made = intake(patience_s=1.0)
    made.values(values("sma", 1, 3))
    assert made.data(data(1, 4), 0.0) == []
    made.values(values("sma", 4, 1))
    runs = made.values(values("rsi", 1, 1))
    assert made.values(values("rsi", 4, 1)) == []
    assert made.missing() == {"rsi"}
    runs += made.expire(1.0)
    assert made.missing() == set()
    assert [found["rsi"] for _, found in seen(runs)] == [1.0, None, None, 4.0]
    assert {flow.peer: flow.lost for flow in made.flows() if flow.channel == "indicator"}[
        "rsi"
    ] == 2


def test_values_that_are_read_again_reach_their_ticks():
    made = intake()
    made.values(values("sma", 1, 5))
    made.data(data(1, 5), 0.0)
    made.values(values("rsi", 1, 2))
    made.values(values("rsi", 5, 1))
    assert made.fill_values(values("rsi", 1, 2)) == []
    runs = made.fill_values(values("rsi", 2, 3))
    assert [(i, found["rsi"]) for i, found in seen(runs)] == [(3, 3.0), (4, 4.0), (5, 5.0)]
    assert made.fill_values(values("rsi", 1, 5)) == []
    flow = next(flow for flow in made.flows() if flow.peer == "rsi")
    assert (flow.count, flow.lost, flow.late) == (5, 0, 0)


def test_ticks_after_a_gap_wait_until_it_is_filled_or_given_up():
    made = Intake([Listen("src", Kind.DATA_SOURCE)])
    made.listening_ms = 1000
    assert [i for i, _ in seen(made.data(data(1, 2), 0.0))] == [1, 2]
    assert made.data(data(5, 2), 0.0) == []
    assert made.missing() == {"src"}
    assert not made.ended
    assert made.expire(5.0) == [], "it was not looked for yet"
    assert [i for i, _ in seen(made.fill(data(2, 2), 4.9))] == [3]
    made.was_read("src")
    assert made.expire(4.9) == []
    assert [i for i, _ in seen(made.expire(5.0))] == [5, 6]
    assert made.data(data(9, 2), 5.0) == []
    assert made.expire(64.9) == []
    assert [i for i, _ in seen(made.flush())] == [9, 10]
    flow = next(made.flows())
    assert (flow.count, flow.lost, flow.through) == (7, 3, 10)


def test_what_was_marked_is_what_was_shown():
    made = intake()
    made.data(data(1, 3), 0.0)
    made.values(values("sma", 1, 3))
    for run in made.values(values("rsi", 1, 2)):
        run.done(len(run.ticks) - 1)
    (mark,) = made.marks()
    assert (mark.incarnation, mark.through, mark.ids) == (LIFE, 2, ["src:2"])


@given(st.lists(st.integers(0, 2), min_size=1, max_size=20), st.data())
def test_a_mark_names_all_that_was_seen_of_its_time(steps, draw):
    """A source may send many ticks of one time; the next life of it sends them again."""
    times = list(accumulate(steps))
    sent = [
        MarketData(NOON + timedelta(seconds=at), "BTC", 1.0, 1.0, id=f"src:{i}")
        for i, at in enumerate(times)
    ]
    size = draw.draw(st.integers(1, 6))
    analysed = draw.draw(st.integers(1, len(sent)))
    made, at = Intake([Listen("src", Kind.DATA_SOURCE)]), 0
    for begin in range(0, len(sent), size):
        batch = DataBatch("src", LIFE, "BTC", begin + 1, sent[begin : begin + size])
        for run in made.data(batch, 0.0):
            while at < min(analysed, begin + len(run.ticks)):
                at = min(at + draw.draw(st.integers(1, 3)), analysed, begin + len(run.ticks))
                run.done(at - begin - 1)
    (mark,) = made.marks()
    last = sent[analysed - 1]
    assert mark.ids == sorted(
        tick.id for tick in sent[:analysed] if tick.timestamp == last.timestamp
    )
    reborn = Intake([Listen("src", Kind.DATA_SOURCE)])
    reborn.resume([mark])
    again = reborn.data(DataBatch("src", NEXT, "BTC", 1, sent), 0.0)
    assert [tick.id for run in again for tick in run.ticks] == [t.id for t in sent[analysed:]]


def test_what_a_source_says_again_is_passed_over_in_the_next_life_too():
    made = Intake([Listen("src", Kind.DATA_SOURCE)])
    for run in made.data(data(1, 9), 0.0):
        run.done(len(run.ticks) - 1)
    assert made.data(DataBatch("src", NEXT, "BTC", 1, ticks(1, 4)), 0.0) == []
    (mark,) = made.marks()
    assert (mark.incarnation, mark.through, mark.ids) == (NEXT, 4, ["src:9"])
    reborn = Intake([Listen("src", Kind.DATA_SOURCE)])
    reborn.resume([mark])
    (run,) = reborn.data(DataBatch("src", NEXT, "BTC", 5, ticks(5, 8)), 0.0)
    assert (run.seq, len(run.ticks)) == (10, 3)
    run.done(2)
    assert not reborn.marks()[0].again


def test_a_tail_of_values_that_was_lost_is_told_by_the_next_watermark():
    made = intake(patience_s=1.0)
    made.values(values("sma", 1, 5))
    made.values(values("rsi", 1, 2))
    assert len(seen(made.data(data(1, 5), 0.0))) == 2
    assert made.values(values("rsi", 6, 0)) == []
    assert made.missing() == {"rsi"}, "it may come yet"
    assert [i for i, _ in seen(made.expire(1.0))] == [3, 4, 5], "and waits no more"
    assert made.values(values("rsi", 6, 0)) == []
    flow = next(flow for flow in made.flows() if flow.peer == "rsi")
    assert (flow.count, flow.lost, flow.late) == (2, 3, 0)


@pytest.mark.parametrize(
    ("indicator", "source", "lost"),
    [
        (1500, 2000, 3),  # it was there before the source, and we before both: three never came
        (2500, 2000, 0),  # it came later, so it never valued the first ones
        (500, 900, 0),  # both were there before us: the beginning is not lost
    ],
)
def test_first_values_are_lost_only_if_we_could_have_had_them(indicator, source, lost):
    made = intake()
    lives = new_incarnation(indicator, "i"), new_incarnation(source, "s")
    made.values(IndicatorBatch("rsi", lives[0], "src", lives[1], "BTC", 4, [4.0]))
    assert made.missing() == ({"rsi"} if lost else set())
    made.leads["src", "BTC"].indicators["rsi"].skip()
    assert next(flow for flow in made.flows() if flow.peer == "rsi").lost == lost


@pytest.mark.parametrize("ticks_first", [True, False])
def test_values_of_ticks_that_an_earlier_life_has_seen_are_not_waited_for(ticks_first):
    made = intake()
    (mark,) = _marked(made, through=413)
    reborn = intake()
    reborn.resume([mark])
    lives = new_incarnation(1500, "i")
    some = [
        IndicatorBatch(name, lives, "src", LIFE, "BTC", 402, [float(i) for i in range(402, 417)])
        for name in ("rsi", "sma")
    ]
    runs = reborn.data(data(414, 2), 0.0) if ticks_first else []
    for batch in some:
        runs += reborn.values(batch)
    runs += [] if ticks_first else reborn.data(data(414, 2), 0.0)
    assert seen(runs) == [(i, {"rsi": float(i), "sma": float(i)}) for i in (414, 415)]
    assert all(flow.lost == 0 for flow in reborn.flows())
    assert not reborn.incomplete


def _marked(made, through):
    for name in ("rsi", "sma"):
        made.values(values(name, 1, through))
    for run in made.data(data(1, through), 0.0):
        run.done(len(run.ticks) - 1)
    return made.marks()


def test_values_of_an_earlier_life_of_the_source_are_not_taken_for_those_of_the_next():
    made = intake()
    for name in ("rsi", "sma"):
        made.values(values(name, 1, 5))
    assert len(seen(made.data(data(1, 5), 0.0))) == 5
    fresh = DataBatch("src", NEXT, "BTC", 1, ticks(6, 2))
    assert made.data(fresh, 0.0) == []
    made.values(IndicatorBatch("rsi", "i", "src", NEXT, "BTC", 1, [6.5, 7.5]))
    runs = made.values(IndicatorBatch("sma", "i", "src", NEXT, "BTC", 1, [6.0, 7.0]))
    assert seen(runs) == [(1, {"rsi": 6.5, "sma": 6.0}), (2, {"rsi": 7.5, "sma": 7.0})]


def test_it_has_ended_when_all_sources_have_and_nothing_waits():
    made = Intake([Listen("src", Kind.DATA_SOURCE), Listen("other", Kind.DATA_SOURCE)])
    assert not made.ended
    made.data(data(1, 2), 0.0)
    (run,) = made.data(data(3, 0, end=True), 0.0)
    run.over()
    assert (run.end, made.ended) == (True, False)
    (run,) = made.data(DataBatch("other", LIFE, "ETH", 1, [], end=True), 0.0)
    assert not made.ended, "it was not shown yet"
    run.over()
    assert made.ended
    made.data(DataBatch("other", NEXT, "ETH", 1, []), 0.0)
    assert not made.ended


def test_an_end_waits_for_the_values_of_the_ticks_before_it():
    made = intake()
    made.data(data(1, 2), 0.0)
    assert made.data(data(3, 0, end=True), 0.0) == []
    assert not made.ended
    made.values(values("rsi", 1, 2))
    runs = made.values(values("sma", 1, 2))
    assert [(len(run.ticks), run.end) for run in runs] == [(2, False), (0, True)]
    for run in runs:
        assert not made.ended, "nobody may be told so before it was shown"
        run.over()
    assert made.ended


def test_what_was_not_subscribed_to_is_not_taken():
    made = Intake([Listen("src", Kind.DATA_SOURCE, symbols=["BTC"])])
    assert made.data(DataBatch("src", LIFE, "ETH", 1, ticks(1, 1)), 0.0) == []
    assert made.data(DataBatch("foreign", LIFE, "BTC", 1, ticks(1, 1)), 0.0) == []
    assert made.leads == {}
