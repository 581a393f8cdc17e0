"""The quick way of reading and the exact one say the same of any text."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ntp.layouts import BadRow, Layout, LayoutError, open_files
from ntp.layouts.exact import Exact
from ntp.layouts.quick import Quick

OURS = "timestamp,symbol,price,volume,bid,ask"
HEADS = (
    (OURS, ("2024-08-08T23:54:15.342Z", "BTC", "1.5", "2", "1.4", "1.6")),
    (f"{OURS},id", ("2024-08-08T23:54:15.342Z", "BTC", "1.5", "2", "1.4", "1.6", "7")),
    ("timestamp,symbol,price", ("2024-08-08T23:54:15Z", "BTC", "1.5")),
    ("Date,Open,High,Low,Close,Adj Close,Volume", ("2024-01-02", "1", "3", "0.5", "2", "2", "10")),
    ("time,open,high,low,close,volume,trades", ("1704067200", "1", "3", "0.5", "2", "10", "5")),
    ("ts;bid;ask", ("1704067200123", "1.5", "1.6")),
    ("<DATE>\t<TIME>\t<CLOSE>\t<VOL>", ("2024.01.02", "00:01:00", "1.5", "2")),
    ("when,ticker,price", ("20240102 030405123", "A", "1.5")),
    (
        "timestamp,symbol,price,volume,bid,ask,id,open,high,low,count,bars",
        ("2024-08-08T23:54:15.342Z", "BTC", "1.5", "2", "", "", "7", "1", "3", "0.5", "5", "1m"),
    ),
)
HOSTILE = (
    "", " ", "nan", "NaN", "inf", "-Infinity", "1e400", "-1", "-0", "0", "+1", ".5", "1.", "1_0", " 1",
    "01", "0x1", "null", "NULL", "none", "true", '"', '""', '"x"', '"1', "'", "\\", "\\n", "\0", "\r",
    "\t", "\u0661", "\u00e9", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "x" * 65, "y" * 129, "1" * 400, "9" * 20, "noon", "2024-08-08", "2024-08-08T23:54:15",
    "2024-08-08T23:54:15+02:00", "2024-08-08 23:54", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z",
    "2024-02-30T00:00:00Z", "2024-08-08T23:54:60Z", "2024-08-08T23:54:15.123456789Z", "1704067200",
    "1704067200.5", "1704067200123.0", "-5", "1e9", "a,b", "[1]", "{}", "A\u00a0", "\u2028",
)  # fmt: skip
CELLS = st.one_of(
    st.sampled_from(HOSTILE),
    st.floats().map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    st.text(max_size=8),
)


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, tuple[str, ...], bytes]:
    header, good = draw(st.sampled_from(HEADS))
    sign = delimiter(header)
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        row = list(good)
        for _ in range(draw(st.integers(0, 2))):
            row[draw(st.integers(0, len(row) - 1))] = draw(CELLS)
        if draw(st.integers(0, 9)) == 0:
            row = row[:-1] if draw(st.booleans()) else [*row, draw(CELLS)]
        quoted = draw(st.sampled_from(("raw", "raw", "all", "minimal")))
        if quoted == "raw":
            lines.append(sign.join(row))
        else:
            way = csv.QUOTE_ALL if quoted == "all" else csv.QUOTE_MINIMAL
            out = io.StringIO()
            csv.writer(out, delimiter=sign, quoting=way, lineterminator="").writerow(row)
            lines.append(out.getvalue())
        lines.extend([""] * draw(st.sampled_from((0, 0, 0, 1))))
    end = draw(st.sampled_from(("\n", "\r\n")))
    body = (end.join(lines) + end).encode("utf-8", "surrogatepass")
    return header, good, body


def layout_of(header: str, good: tuple[str, ...]) -> Layout:
    sign = delimiter(header)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "x.csv"
        file.write_text("\n".join([header, *[sign.join(good)] * 3, ""]), encoding="utf-8")
        mapping = {"timestamp": "when"} if "when" in header else None
        return open_files(file, mapping=mapping).files[0].mapping


def delimiter(header: str) -> str:
    return next(sign for sign in ";\t," if sign in header)


def same(layout: Layout, body: bytes, *known: str) -> int:
    """Compare the two ways; return how many ticks they found. `known`: rows that were read before."""
    bad_quick: list[BadRow] = []
    bad_exact: list[BadRow] = []
    reader = Quick(layout, bad_quick.append)
    for row in known:
        reader.block(1, f"{row}\n".encode())
    quick = reader.block(7, body)
    exact = list(Exact(layout, bad_exact.append).block(7, body))
    assert quick == exact
    assert bad_quick == bad_exact
    assert quick.times == [tick.timestamp for tick in exact]
    assert quick.symbol == (exact[0].symbol if len({tick.symbol for tick in exact}) == 1 else None)
    assert quick.nameless == (not any(tick.id for tick in exact))
    for tick in quick:
        assert type(tick.price) is float
        assert type(tick.volume) is float
        assert tick.timestamp.tzinfo is UTC
    assert len({id(tick.metadata) for tick in quick}) == len(quick)
    return len(quick)


@pytest.mark.parametrize(("header", "good"), HEADS, ids=[header for header, _ in HEADS])
def test_each_hostile_cell_in_each_column(header: str, good: tuple[str, ...]):
    layout, sign = layout_of(header, good), delimiter(header)
    assert same(layout, f"{sign.join(good)}\n".encode()) == 1
    for at in range(len(good)):
        for cell in HOSTILE:
            row = sign.join([*good[:at], cell, *good[at + 1 :]])
            same(layout, f"{row}\n".encode())
            same(layout, f"{row}\n".encode(), sign.join(good))


@pytest.mark.parametrize(("header", "good"), HEADS, ids=[header for header, _ in HEADS])
def test_a_good_block_needs_no_exact_reading(
    header: str, good: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    layout, sign = layout_of(header, good), delimiter(header)
    monkeypatch.delattr(Exact, "block")
    row = f"{sign.join(good)}\r\n"
    quoted = sign.join(f'"{cell}"' for cell in good) + "\n"
    assert len(Quick(layout, lambda _: None).block(1, f"{row}{row}{quoted}".encode())) == 3


@pytest.mark.parametrize("quotes", ["1.4,1.6", ","])
@pytest.mark.parametrize("symbol", ["BTC", "BTC-USD", "XTZ", "7"])
def test_rows_of_known_symbols_go_the_shortest_way(
    symbol: str, quotes: str, monkeypatch: pytest.MonkeyPatch
):
    layout = layout_of(*HEADS[0])
    row = f"2024-08-08T23:54:15.342Z,{symbol},1.5,2,{quotes}\n"
    quick = Quick(layout, lambda _: None)
    assert len(quick.block(1, row.encode())) == 1
    monkeypatch.delattr(Quick, "_typed")
    assert len(quick.block(2, (3 * row).encode())) == 3


def many(rows: int, *, blank: bool = True) -> list[str]:
    quotes = "," if blank else "1.4,1.6"
    start = datetime(2024, 12, 31, 20, tzinfo=UTC)
    times = (start + timedelta(seconds=second) for second in range(rows))
    return [f"{at:%Y-%m-%dT%H:%M:%S}Z,BTC,1.5,2,{quotes}\n" for at in times]


@pytest.mark.parametrize("blank", [True, False])
def test_a_good_block_of_several_pieces_needs_no_exact_reading(
    blank: bool,
    monkeypatch: pytest.MonkeyPatch,
):
    layout, rows = layout_of(*HEADS[0]), many(2_000, blank=blank)
    quick = Quick(layout, lambda _: None)
    quick.block(1, rows[0].encode())
    monkeypatch.delattr(Exact, "block")
    ticks = quick.block(2, "".join(rows).encode())
    assert [f"{tick.timestamp:%Y-%m-%dT%H:%M:%S}Z" for tick in ticks] == [row[:20] for row in rows]


@pytest.mark.parametrize(
    "other",
    [
        "2024-12-31T20:10:00+00:00,BTC,1.5,2,,\n",
        "2024-12-31T20:10:00+02:00,BTC,1.5,2,,\n",
        "2024-12-31T20:10:00,BTC,1.5,2,,\n",
        "2024-12-31T20:10:00Z,ETH,1.5,2,,\n",
        "2024-12-31T20:10:00Z,BTC,1.5,2,1,\n",
        "2024-12-31T20:10:00Z,BTC,1.5,2,1,2\n",
        "2024-12-31T20:10:00Z,BTC,1.5,-2,,\n",
        "2024-12-31T20:10:00Z,BTC,Z,BTC,1.5,2\n",
        "Z,BTC,1.5,2,,\n",
        ",,\n",
        "x" * 30_000 + "\n",
    ],
)
@pytest.mark.parametrize("at", [0, 1, 600, 1_999])
def test_one_other_row_of_a_block_of_several_pieces(other: str, at: int):
    rows = many(2_000)
    same(layout_of(*HEADS[0]), "".join([*rows[:at], other, *rows[at:]]).encode(), rows[0].strip())


def test_a_block_in_which_a_year_begins():
    rows = many(5 * 3_600)[-4_000:]
    assert same(layout_of(*HEADS[0]), "".join(rows).encode(), rows[0].strip()) == 4_000


def test_who_meets_ever_another_symbol_stops_looking_for_it():
    layout = layout_of(*HEADS[0])
    quick = Quick(layout, lambda _: None)
    for number in range(9):
        row = f"2024-08-08T23:54:15.342Z,S{number},1.5,2,,\n"
        assert [tick.symbol for tick in quick.block(1, row.encode())] == [f"S{number}"]
    assert quick._bare is None


@settings(max_examples=150, deadline=None)
@given(texts())
@example((OURS, HEADS[0][1], b"2024-08-08T23:54:15.342Z,BTC,1.5,2,1.4\n"))
@example((OURS, HEADS[0][1], b'2024-08-08T23:54:15.342Z,"BTC,1.5",2,1.4,1.6\n'))
@example((OURS, HEADS[0][1], b'2024-08-08T23:54:15.342Z,",",1.5,2,1.4,1.6\n'))
@example((*HEADS[2], b'2024-08-08T23:54:15Z,a","b,1.5\n'))
@example(
    (
        *HEADS[0],
        b"2024-08-08T23:54:15Z,BTC,1.5,2,1.4\n2024-08-08T23:54:15Z,BTC,1,2,3,4,5\n",
    )
)
@example(
    (OURS, HEADS[0][1], b"2024-08-08T23:54:15Z,BTC,1.5,2,,\n2024-08-08T23:54:15Z,BTC,1,2,3,,\n")
)
@example((OURS, HEADS[0][1], b"2024-08-08T23:54:15Z,BTC,1.5,2,1.4,\n5,,\n"))
@example((OURS, HEADS[0][1], b"2024-08-08T23:54:15Z,BTC,1.5,\n2,,\n"))
@example(
    (OURS, HEADS[0][1], b"2024-08-08T23:54:15Z,BTC,1,2,3,4,{}\n2024-08-08T23:54:15Z,BTC,1,2,3\n")
)
@example(
    (OURS, HEADS[0][1], b"2024-08-08T23:54:15Z,BTC,1,2,3,4,{},5\n2024-08-08T23:54:15Z,BTC,1,2\n")
)
@example((OURS, HEADS[0][1], b"2024-08-08T23:54:15+02:00,Z,1,2,,\n2024-08-08T23:54:15Z,Z,1,2,,\n"))
@example(
    (OURS, HEADS[0][1], b"2024-08-08T23:54:15Z,BTC,1,-2,,\n2024-08-08T23:54:15Z,BTC,1e-3,2,,\n")
)
@example((OURS, HEADS[0][1], b"2024-08-08T23:54:15Z,BTC,1,2,,\n\n2024-08-08T23:54:15Z,BTC,1,2,,\n"))
def test_both_ways_say_the_same(case: tuple[str, tuple[str, ...], bytes]):
    header, good, body = case
    layout = layout_of(header, good)
    same(layout, body)
    same(layout, body, delimiter(header).join(good))
    if header == OURS:
        for name in ("Z", "B-T", "5"):
            same(layout, body, ",".join([good[0], name, *good[2:]]))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(("", OURS + "\n", "Date,Close\n", "1,2,3\n")))
@example(b"\xef\xbb\xbf", "")
def test_any_bytes_are_read_or_refused_in_words(noise: bytes, head: str):
    with TemporaryDirectory() as folder:
        file = Path(folder) / "x.csv"
        file.write_bytes(head.encode() + noise)
        refused, times = "", []
        try:
            times = [tick.timestamp for tick in open_files(file)]
        except LayoutError as error:
            refused = str(error)
        assert times == sorted(times)
        assert not refused or "\n  fix: " in refused
