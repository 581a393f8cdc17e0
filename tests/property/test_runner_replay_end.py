"""Of what was captured exactly the last ticks of each symbol are shown, in their order."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.messages import DataBatch, IndicatorBatch, MarketData
from ntp.runner.core.edge import new_incarnation
from ntp.runner.core.kept import Mark
from ntp.runner.core.replay import Lives, Originals, count, last_ticks

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PARTS = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), st.sampled_from(["data", "values"]), st.integers(0, 5)),
    max_size=30,
)


@given(PARTS, st.integers(1, 12))
def test_the_last_ticks_of_each_symbol_in_order(parts, most):
    sent = {"A": [], "B": []}
    batches = []
    for symbol, what, size in parts:
        if what == "values":
            batches.append(IndicatorBatch("i", "x", "s", "y", symbol, 1, [1.0] * size))
            continue
        seq = len(sent[symbol]) + 1
        ticks = [
            MarketData(NOON + timedelta(seconds=seq + at), symbol, float(seq + at), 1.0)
            for at in range(size)
        ]
        sent[symbol] += ticks
        batches.append(DataBatch("s", "y", symbol, seq, ticks))
    kept = last_ticks(reversed(batches), most)
    for symbol, ticks in sent.items():
        mine = [each for each in kept if isinstance(each, DataBatch) and each.symbol == symbol]
        shown = [tick for each in mine for tick in each.ticks]
        assert shown == ticks[-most:]
        assert all(each.seq == each.ticks[0].price for each in mine if each.ticks)
    assert count(kept) == sum(min(most, len(ticks)) for ticks in sent.values())
    for symbol in sent:
        said = [b for b in batches if isinstance(b, IndicatorBatch) and b.symbol == symbol]
        mine = [b for b in kept if isinstance(b, IndicatorBatch) and b.symbol == symbol]
        valued, shown = [[b for b in part if b.values] for part in (said, mine)]
        assert shown == valued[len(valued) - len(shown) :]
        count_of = [sum(len(b.values) for b in part) for part in (said, mine)]
        assert min(most, count_of[0]) <= count_of[1], "as many as ticks, where they are"
    # A watermark, which says where a symbol stands, stays.
    empty = [each for each in batches if isinstance(each, DataBatch) and not each.ticks]
    assert [each for each in kept if isinstance(each, DataBatch) and not each.ticks] == empty


LIVES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 15)), min_size=1, max_size=5)


def lives(parts, size):
    """Yield the batches of lives that begin anew somewhere in what was said, and go on for so long."""
    furthest = 0
    for number, (back, length) in enumerate(parts, 1):
        begin = max(0, furthest - back)
        end = begin + length
        furthest = max(furthest, end)
        for at in range(begin, end, size):
            ticks = [
                MarketData(NOON + timedelta(seconds=i // 2), "A", float(i + 1), 1.0, id=str(i))
                for i in range(at, min(at + size, end))
            ]
            yield DataBatch("s", new_incarnation(1000 * number, "x"), "A", at - begin + 1, ticks)


@given(LIVES, st.integers(1, 6))
def test_what_was_said_again_is_no_history(parts, size):
    batches = list(lives(parts, size))
    originals = Originals()
    said = [int(tick.id) for batch in originals.of(batches) for tick in batch.ticks]
    assert said == list(range(max(said) + 1))
    assert max(said) == max(int(tick.id) for batch in batches for tick in batch.ticks)
    newest = NOON + timedelta(seconds=max(said) // 2)
    assert originals.reach({}, len(said))
    assert not originals.reach({}, len(said) + 1)
    ended, beyond = (Mark("s", "A", "y", 1, at, []) for at in (newest, newest + timedelta(1)))
    assert originals.reach({("s", "A"): ended}, 1)
    assert not originals.reach({("s", "A"): beyond}, 1), (
        "its end lies further back, or is not there"
    )


def test_where_a_former_life_stood_is_of_no_use():
    spoke = Lives()
    old, new = (DataBatch("s", life, "A", 1, []) for life in ("x", "y"))
    spoke.note(old)
    assert not spoke.stale(old)
    spoke.note(new)
    assert (spoke.stale(old), spoke.stale(new)) == (True, False)
    full = DataBatch("s", "x", "A", 1, [MarketData(NOON, "A", 1.0, 1.0)])
    assert not spoke.stale(full), "its ticks may have been missed"
    values = [IndicatorBatch("i", "x", "s", life, "A", 1, []) for life in ("x", "y")]
    for each in values:
        spoke.note(each)
    assert [spoke.stale(each) for each in values] == [True, False]
