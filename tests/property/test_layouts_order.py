"""Rows keep their order of time through merging, sorting, writing and reading again."""

import heapq
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntp import MarketData
from ntp.bars import Bars
from ntp.layouts import BadRows, OrderError, open_files, sorting
from ntp.layouts.conversion import barred, convert
from ntp.layouts.order import Stream, in_order, merged, regrouped
from ntp.layouts.sorting import sorted_on_disk
from ntp.layouts.writing import whole_file

WHEN = attrgetter("timestamp")
NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=6).filter(
    lambda text: text.strip() == text and text.isprintable()
)
bars_of = st.fixed_dictionaries(
    {"open": numbers, "high": numbers, "low": numbers},
    optional={"count": st.integers(0, 2**53), "bars": st.sampled_from(("1m", "5m"))},
)


def tick(at, number):
    return MarketData(NOON + timedelta(seconds=at), "A", float(number), 1.0)


@st.composite
def cuts(draw, rows):
    """Give the rows in blocks, some of them empty."""
    blocks, at = [], 0
    while at < len(rows):
        size = draw(st.integers(0, 4))
        blocks.append(rows[at : at + size])
        at += size
    return blocks


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(st.lists(st.integers(0, 12), max_size=12), max_size=4))
def test_merging_is_that_of_heapq(data, times):
    number = iter(range(1000))
    rows = [[tick(at, next(number)) for at in sorted(each)] for each in times]
    streams = [
        Stream(
            "x", iter([b for b in data.draw(cuts(each)) if b]), each[0].timestamp if each else None
        )
        for each in rows
    ]
    given_out = [row for block in merged(streams) for row in block]
    assert given_out == list(heapq.merge(*rows, key=WHEN))


def test_a_file_is_opened_when_its_time_comes():
    opened = []

    def blocks(at):
        opened.append(at)
        yield [tick(at, 0)]
        yield [tick(at + 1, 1)]

    months = merged([Stream(str(at), blocks(at), tick(at, 0).timestamp) for at in (20, 0, 10)])
    seen = []
    for block in months:
        seen += [((row.timestamp - NOON).seconds, tuple(opened)) for row in block]
    assert seen == [
        (0, (0,)), (1, (0,)), (10, (0, 10)), (11, (0, 10)), (20, (0, 10, 20)), (21, (0, 10, 20)),
    ]  # fmt: skip
    early = [
        Stream("a", blocks(5), tick(5, 0).timestamp),
        Stream("b", blocks(3), tick(9, 0).timestamp),
    ]
    with pytest.raises(OrderError, match=r"b: a row of .* stands far behind"):
        list(merged(early))


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 5), st.integers(0, 5))
def test_blocks_are_regrouped_without_loss(sizes, least, more):
    number = iter(range(1000))
    blocks = [[next(number) for _ in range(size)] for size in sizes]
    made = list(regrouped(iter(blocks), least, least + more))
    assert [row for block in made for row in block] == [row for block in blocks for row in block]
    assert all(0 < len(block) <= least + more for block in made)
    assert len(made) <= sum(sizes) // least + len(sizes) + 1


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(st.integers(0, 8), max_size=40))
def test_a_row_a_little_behind_is_put_right_and_one_far_behind_refused(data, times):
    rows = [tick(at, number) for number, at in enumerate(times)]
    bad, given_out = BadRows(), []
    with suppress(OrderError):
        for block in in_order(iter(data.draw(cuts(rows))), "x", bad):
            given_out += block
        assert given_out == sorted(rows, key=WHEN)
        assert (bad.moved > 0) == any(after < before for before, after in pairwise(times))
    assert given_out == sorted(given_out, key=WHEN)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=120))
def test_sorting_on_the_disk_is_a_stable_sort_at_any_depth(times):
    rows = [tick(at, number) for number, at in enumerate(times)]
    with pytest.MonkeyPatch.context() as small:
        small.setattr(sorting, "RUN", 3)
        small.setattr(sorting, "MOST_RUNS", 3)
        small.setattr(sorting, "_PIECE", 2)
        blocks = list(sorted_on_disk([rows[:50], [], rows[50:]]))
    assert [row for block in blocks for row in block] == sorted(rows, key=WHEN)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            MarketData,
            st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
            names,
            numbers,
            st.floats(0, allow_infinity=False),
            st.none() | numbers,
            st.none() | numbers,
            st.just({}) | bars_of,
            st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]), max_size=8),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from((".csv", ".csv.gz", ".parquet")),
)
def test_what_is_written_is_read_as_the_same(ticks, end):
    ticks.sort(key=WHEN)
    bars = any(tick.metadata for tick in ticks)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"x{end}"
        with whole_file(file, bars=bars) as writer:
            writer.write(ticks)
        data = open_files(file)
        assert list(data) == ticks
        assert data.bad.lines() == []
        again = Path(folder) / f"y{end}"
        convert(data, again)
        if end != ".parquet":
            assert again.read_bytes() == file.read_bytes()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 700), st.sampled_from("AB"), st.integers(1, 9).map(float)),
        max_size=60,
    )
)
def test_bars_of_files_are_those_that_a_strategy_is_shown(found):
    rows = [
        MarketData(NOON + timedelta(seconds=at), symbol, price, 1.0)
        for at, symbol, price in sorted(found)
    ]
    expected = {}
    for symbol in "AB":
        bars = Bars("5m")
        made = [bars.add(row) for row in rows if row.symbol == symbol]
        expected[symbol] = [bar for bar in [*made, bars.end()] if bar is not None]
    got = [bar for block in barred(regrouped(iter([rows]), 1, 7), "5m") for bar in block]
    assert [bar.timestamp for bar in got] == sorted(bar.timestamp for bar in got)
    for symbol in "AB":
        assert [bar for bar in got if bar.symbol == symbol] == expected[symbol]
    # Bars of bars are the bars of the ticks.
    minutes = [bar for block in barred([rows] if rows else [], "1m") for bar in block]
    coarse = [bar for block in barred([minutes] if minutes else [], "5m") for bar in block]
    assert [(b.timestamp, b.symbol, b.price, b.volume, b.metadata) for b in coarse] == [
        (b.timestamp, b.symbol, b.price, b.volume, b.metadata) for b in got
    ]
