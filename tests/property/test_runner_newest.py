"""Where newer ticks overtake older ones, each is shown or counted, and the newest is always shown."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.messages import MarketData
from ntp.runner.core.edge import Edge
from ntp.runner.core.lead import Lead, Run
from ntp.runner.core.newest import PATIENCE_S, SKIPPED, Newest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEPS = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 4), st.booleans(), st.floats(0, 0.03)),
    max_size=40,
)


def lead(symbol, policy="latest"):
    return Lead(Edge("src", symbol, 0), (None,), policy)


def run(of, count, end=False):
    first = of.edge.through + 1
    ticks = [
        MarketData(NOON + timedelta(seconds=first + i), of.edge.symbol, 1.0, 1.0, id=str(first + i))
        for i in range(count)
    ]
    of.edge.through += count
    return Run(of, "life", first, ticks, end)


@given(STEPS)
def test_each_tick_is_shown_or_counted(steps):
    newest, leads, now = Newest(), {each: lead(each) for each in "AB"}, 0.0
    shown, held_since = {"A": [], "B": []}, None
    for symbol, count, more, pause in steps:
        now += pause
        due = newest.of([run(leads[symbol], count)], now, more=more)
        held_since = now if held_since is None else held_since
        if not more or now - held_since >= PATIENCE_S:
            for each in leads.values():
                assert due or each.edge.through == 0 or shown[each.edge.symbol], "held for too long"
            held_since = None
        for each in due:
            shown[each.lead.edge.symbol] += [(each.seq + i, t) for i, t in enumerate(each.ticks)]
    for each in newest.all():
        shown[each.lead.edge.symbol] += [(each.seq + i, t) for i, t in enumerate(each.ticks)]
    for symbol, ticks in shown.items():
        said = leads[symbol]
        assert all(str(seq) == tick.id for seq, tick in ticks)
        overtaken = [tick.metadata.get(SKIPPED, 0) for _, tick in ticks]
        places = [0, *(seq for seq, _ in ticks)]
        assert overtaken == [b - a - 1 for a, b in itertools.pairwise(places)]
        assert said.skipped == sum(overtaken)
        assert places[-1] == said.edge.through, "the newest one is shown"


def test_an_end_is_told_with_the_newest_tick_or_after_it():
    newest, of = Newest(), lead("A")
    assert newest.of([run(of, 3)], 0.0, more=True) == []
    (shown,) = newest.of([run(of, 0, end=True)], 0.0, more=False)
    assert (shown.seq, len(shown.ticks), shown.end) == (3, 1, True)
    (shown,) = newest.of([run(of, 0, end=True)], 0.0, more=False)
    assert (len(shown.ticks), shown.end) == (0, True)


def test_other_inputs_are_shown_in_full():
    newest, of = Newest(), lead("A", "all")
    (shown,) = newest.of([run(of, 3)], 0.0, more=True)
    assert (len(shown.ticks), of.skipped) == (3, 0)
