"""Bad rows are named by file, line, column and value; the others are read; nothing grows."""

import gzip
import tracemalloc
from datetime import UTC, datetime

import pytest

from ntp.layouts import BLOCK, LayoutError, OrderError, open_files
from ntp.layouts.lines import CHUNK, LONGEST

HEAD = "timestamp,symbol,price,volume,bid,ask\n"
GOOD = "2024-01-02T00:00:00Z,A,1,1,,\n"


def opened(folder, text, name="x.csv"):
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_files(file)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("2024-01-02T00:00:00Z,A,dear,1,,", "24: price was 'dear', which is no number"),
        ("2024-01-02T00:00:00Z,A,,1,,", "24: price was empty"),
        ("noon,A,1,1,,", "1: timestamp was 'noon', which is no time (ISO 8601 with its zone)"),
        ("9999-12-31T00:00:00Z,A,1,1,,", "1: timestamp was 9999-12-31T00:00:00+00:00; that is no time of a market"),
        ("2024-01-02T00:00:00Z,A,nan,1,,", "24: price was 'nan'; it must be finite"),
        ("2024-01-02T00:00:00Z,A,1,-1,,", "26: volume was -1.0; it must not be negative"),
        ("2024-01-02T00:00:00Z,A,1,1,x,", "28: bid was 'x', which is no number"),
        ("2024-01-02T00:00:00Z,A,1,1,,1e999", "29: ask was '1e999'; it must be finite"),
        ("2024-01-02T00:00:00Z,A,1", "1: 3 cells where there should be 6"),
        ("2024-01-02T00:00:00Z,A,1,1,,,", "1: 7 cells where there should be 6"),
        ("2024-01-02T00:00:00Z,,1,1,,", "22: symbol was ''; give 1 to 64 characters"),
        ('2024-01-02T00:00:00Z,"A,1,1,,', "1: quotes do not match, unexpected end of data"),
        ("2024-01-02T00:00:00Z,A\0,1,1,,", "1: NUL bytes in the line"),
        ('"2024-01-02T00:00:00Z","A",x,1,,', "28: price was 'x', which is no number"),
        ("9" * (LONGEST + 1), f"1: the line that begins with '{'9' * 40}' is longer than 65,536 bytes"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("last", [False, True])
def test_a_bad_row_is_named_and_left_out(tmp_path, row, told, last):
    data = opened(tmp_path, f"{HEAD}{GOOD}\n{row}" + ("" if last else f"\n{GOOD}"))
    assert len([*data]) == (1 if last else 2)
    assert data.bad.lines() == [f"x.csv:4:{told}; the row is left out"]
    with pytest.raises(LayoutError, match=r"x.csv:4:"):
        list(data.strictly())


def test_a_cell_that_is_no_utf_8_is_one_bad_row(tmp_path):
    data = opened(tmp_path, HEAD.encode() + GOOD.encode() + GOOD.encode().replace(b"A", b"\xff"))
    assert len([*data]) == 1
    assert str(data.bad) == "x.csv:3:1: byte 22 is no UTF-8; the row is left out"


@pytest.mark.parametrize(
    "bad", ["20240102 000500;1,5;3;0.5;2;0", "20240102 000500;1", "noon;1;3;0.5;2;0"]
)
@pytest.mark.parametrize("at", [0, 1, 4])
def test_a_bad_row_among_the_first_hides_no_layout(tmp_path, bad, at):
    rows = [f"20240102 000{m}00;1;3;0.5;2;0" for m in range(5)]
    rows.insert(at, bad)
    data = opened(tmp_path, "\n".join(rows))
    assert len([*data]) == 5
    assert data.files[0].mapping.kind == "HistData bars"
    assert [row.line for row in data.bad.first] == [at + 1]


def test_a_line_that_is_too_long_may_be_the_first(tmp_path):
    data = opened(tmp_path, "x" * (3 * CHUNK) + f"\n{HEAD}{GOOD}y\n")
    assert len([*data]) == 1
    assert [row.line for row in data.bad.first] == [4]


def test_nothing_of_a_file_reaches_a_terminal_as_a_command(tmp_path):
    text = (
        "timestamp,symbol,price,\x1b[2J,\x07\n2024-01-02,A,1,2,3\n2024-01-02,\x1b[2J,\x1b[2J,2,3\n"
    )
    data = opened(tmp_path, text)
    list(data)
    assert data.bad.count == 1
    assert f"{data}\n{data.bad}".replace("\n", "").isprintable()
    with pytest.raises(LayoutError) as caught:
        opened(tmp_path, "\x1b[2J,\x07\n1,2\n")
    assert str(caught.value).replace("\n", "").isprintable()
    with pytest.raises(LayoutError, match=r"symbol was 'A\\x1b'; it must not hold control"):
        open_files(opened(tmp_path, "time,price\n2024-01-02,1\n").files[0].path, symbol="A\x1b")


def test_of_very_many_columns_the_first_are_shown(tmp_path):
    names = ",".join(f"c{i}" for i in range(5000))
    data = opened(tmp_path, f"time,price,{names}\n2024-01-02,1{',1' * 5000}\n")
    assert len([*data]) == 1
    assert len(str(data)) < 600
    assert ", … 5,000 in all" in str(data)


def test_many_are_counted_and_the_first_are_kept(tmp_path):
    data = opened(tmp_path, HEAD + (GOOD + GOOD.replace("A,1", "A,x")) * 5000)
    assert len([*data]) == 5000
    assert data.bad.count == 5000
    assert [row.line for row in data.bad.first] == list(range(3, 43, 2))
    assert data.bad.lines()[-1] == "… 5,000 bad rows in all: x.csv 5,000"
    list(data)
    assert data.bad.count == 5000


def test_lines_are_numbered_across_blocks(tmp_path):
    rows = 3 * CHUNK // len(GOOD)
    data = opened(tmp_path, HEAD + GOOD * rows + "x\n" + "y" * (2 * CHUNK) + "\n" + GOOD + "z\n")
    assert len([*data]) == rows + 1
    assert [row.line for row in data.bad.first] == [rows + 2, rows + 3, rows + 5]


def test_a_compressed_file_that_is_cut_off_is_read_to_there(tmp_path):
    rows = [
        f"2024-01-02T00:{i // 60:02}:{i % 60:02}Z,A,{i * 7919 % 10007},1,,\n" for i in range(3000)
    ]
    packed = gzip.compress((HEAD + "".join(rows)).encode())
    data = opened(tmp_path, packed[: len(packed) // 2], "x.csv.gz")
    assert 0 < len([*data]) < 3000
    assert "the file is cut off or damaged in its compression" in str(data.bad)
    assert str(data.bad).endswith("what comes after is not read")


def test_a_row_behind_its_time_is_put_there_and_told(tmp_path):
    rows = [GOOD.replace(":00Z", f":{i:02}Z") for i in (0, 2, 1, 3)]
    data = opened(tmp_path, HEAD + "".join(rows))
    assert [tick.timestamp.second for tick in data] == [0, 1, 2, 3]
    assert data.bad.lines() == ["1 row stood behind a later one; put in order of time"]


def test_a_row_far_behind_its_time_says_to_sort_and_sorted_it_is_read(tmp_path):
    later = GOOD.replace("01-02", "01-03") * (4 * CHUNK // len(GOOD))
    data = opened(tmp_path, HEAD + later + GOOD)
    with pytest.raises(
        OrderError, match=r"stands far behind one of .*\n  fix: sort it: ntp data conv"
    ):
        list(data)
    ticks = [*open_files(tmp_path / "x.csv", sort=True)]
    assert ticks[0].timestamp == datetime(2024, 1, 2, tzinfo=UTC)
    assert len(ticks) == later.count("\n") + 1


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("2024-01-03,A,1\n2024-01-02,A,2\n2024-01-01,A,3\n", "the newest row is first"),
        ("2024-01-01,A,3\n2024-01-02,A,2\n2024-01-01,B,3\n2024-01-02,B,2\n", "rows are grouped by symbol"),
    ],
)  # fmt: skip
def test_files_of_another_order_are_sorted_first(tmp_path, rows, why):
    data = opened(tmp_path, f"date,ticker,price\n{rows}")
    assert f"order      {why}; sorted on the disk first" in str(data)
    ticks = [*data]
    assert [tick.timestamp for tick in ticks] == sorted(tick.timestamp for tick in ticks)
    assert len(ticks) == rows.count("\n")
    assert data.bad.moved == 0


def test_a_header_alone_gives_nothing(tmp_path):
    data = opened(tmp_path, HEAD)
    assert list(data.blocks()) == []
    assert data.bad.lines() == []


def test_memory_does_not_grow_with_the_file(tmp_path):
    def peak(rows):
        data = opened(tmp_path, HEAD + (GOOD + GOOD.replace("A", "B")) * (rows // 2))
        tracemalloc.start()
        assert sum(map(len, data.blocks())) == rows
        assert max(map(len, data.blocks())) <= BLOCK
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(60_000) < 1.2 * peak(12_000)
