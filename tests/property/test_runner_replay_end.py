"""Of what was captured exactly the last ticks of each symbol are shown, in their order."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.messages import DataBatch, IndicatorBatch, MarketData
from ntp.runner.core.replay import count, last_ticks

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
    order = [at for at, each in enumerate(batches) if isinstance(each, IndicatorBatch)]
    assert [each for each in kept if isinstance(each, IndicatorBatch)] == [
        batches[at] for at in order
    ]
    # A watermark, which says where a symbol stands, stays.
    empty = [each for each in batches if isinstance(each, DataBatch) and not each.ticks]
    assert [each for each in kept if isinstance(each, DataBatch) and not each.ticks] == empty
