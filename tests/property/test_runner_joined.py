"""Neighbouring batches joined are the same ticks with the same numbers, in the same order."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.messages import DataBatch, MarketData
from ntp.runner.core.edge import Edge
from ntp.runner.core.joined import joined

START = datetime(2026, 1, 1, tzinfo=UTC)
BATCHES = st.lists(
    st.builds(
        lambda life, symbol, seq, times, end: DataBatch(
            "s",
            life,
            symbol,
            seq,
            [
                MarketData(START + timedelta(seconds=time), symbol, 1.0, 1.0, id=f"{seq + i}")
                for i, time in enumerate(times)
            ],
            end,
        ),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["X", "Y"]),
        st.integers(1, 12),
        st.lists(st.integers(0, 5), max_size=4),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=12,
)


def in_a_row(count: int, size: int) -> list[DataBatch]:
    ticks = [
        MarketData(START + timedelta(seconds=i), "X", 1.0, 1.0, id=str(i))
        for i in range(count * size)
    ]
    return [
        DataBatch("s", "a", "X", i + 1, ticks[i : i + size]) for i in range(0, len(ticks), size)
    ]


def test_what_follows_becomes_one():
    whole = list(joined(in_a_row(5, 2)))
    assert [(batch.seq, len(batch.ticks)) for batch in whole] == [(1, 10)]


def test_what_was_received_is_left_as_it_was():
    batches = in_a_row(3, 2)
    list(joined(batches))
    assert batches == in_a_row(3, 2)


@given(batches=BATCHES)
def test_a_listener_sees_the_same(batches):
    def seen(given: list[DataBatch]) -> tuple[list[tuple], list[tuple]]:
        edges = {symbol: Edge("s", symbol, 0) for symbol in "XY"}
        ticks, ends = [], []
        for batch in given:
            for piece in edges[batch.symbol].accept(batch):
                ticks += [
                    (piece.batch.incarnation, piece.seq + i, tick)
                    for i, tick in enumerate(piece.ticks)
                ]
                ends += [(len(ticks), batch.symbol)] * piece.end
        return ticks, [*ends, *((e.through, e.count, e.lost, e.ended) for e in edges.values())]

    assert seen(list(joined(batches))) == seen(batches)
    assert [tick for batch in joined(batches) for tick in batch.ticks] == [
        tick for batch in batches for tick in batch.ticks
    ]
