"""`ntp data convert`: what it prints, how it ends, and that it leaves a whole file or none."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from ntp.cli import main
from ntp.layouts import open_files

YAHOO = "Date,Open,High,Low,Close,Volume\n2024-01-02,1,3,0.5,2,10\n2024-01-03,1,3,0.5,2,10\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "SPY.csv").write_text(YAHOO)
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["data", "convert", *arguments])
    assert result.exit_code == code, result.output
    return result


def test_it_says_what_it_found_and_wrote(folder):
    result = run("SPY.csv", "-o", "spy.csv.gz")
    assert "price      Close (column 5)" in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("spy.csv.gz: 2 rows of 2 read in ")
    assert lines[1:] == [
        "  symbols: SPY 2",
        "  from 2024-01-02T23:59:59.999999+00:00 to 2024-01-03T23:59:59.999999+00:00",
    ]
    assert list(open_files("spy.csv.gz")) == list(open_files("SPY.csv"))
    assert oct((folder / "spy.csv.gz").stat().st_mode & 0o777) == oct(0o666 & ~_umask())


def test_json_is_the_whole_story(folder):
    (folder / "bad.csv").write_text(
        "timestamp,price\n2024-01-02,1\n2024-01-03,dear\n2024-01-04,2\n"
    )
    told = json.loads(run("bad.csv", "-o", "x.csv", "--symbol", "DAX", "--output", "json").stdout)
    assert (told["rows"], told["read"], told["bad"], told["symbols"]) == (2, 2, 1, {"DAX": 2})
    assert told["bad_rows"] == [
        {
            "file": "bad.csv", "line": 3, "column": 12, "name": "", "value": "dear",
            "why": "price was 'dear', which is no number", "done": "the row is left out",
        }
    ]  # fmt: skip
    (found,) = told["files"]
    assert (found["symbol"], found["symbol_from"], found["zone"]) == (
        "DAX",
        "--symbol",
        "UTC assumed",
    )


def test_bad_rows_are_told_and_strictly_refused(folder):
    (folder / "bad.csv").write_text("timestamp,price\n2024-01-02,1\n2024-01-03,dear\n")
    assert "bad.csv:3:12: price was 'dear'" in run("bad.csv", "-o", "x.csv").stderr
    strict = run("bad.csv", "-o", "y.csv", "--strict", code=2)
    assert "error: bad.csv:3:12: price was 'dear', which is no number\n  fix: " in strict.stderr
    assert not (folder / "y.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["SPY.csv", "-o", "SPY.csv"], 2, "SPY.csv is there already\n  fix: "),
        (["SPY.csv", "-o", "x.xlsx"], 2, "the name says no layout\n  fix: let it end in .csv"),
        (["SPY.csv", "-o", "none/x.csv"], 5, "error: none/x.csv: no such file or directory; nothing was"),
        (["SPY.csv", "-o", "x.csv", "--bars", "7m"], 2, "use a length that divides one day"),
        (["SPY.csv", "-o", "x.csv", "--map", "price"], 2, "'price' is no ROLE=COLUMN\n  fix: "),
        (["SPY.csv", "-o", "x.csv", "--zone", "Mars"], 2, "there is no zone 'Mars' here\n  fix: "),
        (["none.csv", "-o", "x.csv"], 2, "error: none.csv: no such file or directory\n  fix: "),
        (["empty.csv", "-o", "x.csv"], 2, "error: empty.csv: there is no row\n  fix: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_left(folder, arguments, code, words):
    (folder / "empty.csv").write_text("timestamp,symbol,price\n")
    before = sorted(folder.iterdir())
    assert words in run(*arguments, code=code).stderr
    assert sorted(folder.iterdir()) == before


def test_a_file_that_is_far_out_of_order_is_sorted(folder):
    later = "2024-01-03,A,1\n" * 20_000
    (folder / "x.csv").write_text(f"date,ticker,price\n{later}2024-01-02,A,2\n")
    assert "stands far behind" in run("x.csv", "-o", "y.csv").stderr
    first = next(iter(open_files("y.csv")))
    assert first.price == 2.0
    assert open_files("y.csv").bad.moved == 0


def test_bars_of_several_files_are_in_order_of_time(folder):
    for symbol in ("A", "B"):
        rows = "".join(f"2024-01-02T00:{m:02}:00Z,{symbol},{m},1\n" for m in range(12))
        (folder / f"{symbol}.csv").write_text(f"timestamp,symbol,price,volume\n{rows}")
    run("A.csv", "B.csv", "-o", "bars.parquet", "--bars", "5m")
    bars = list(open_files("bars.parquet"))
    assert [(bar.symbol, bar.timestamp.minute, bar.price, bar.metadata["high"]) for bar in bars] == [
        ("A", 5, 4.0, 4.0), ("B", 5, 4.0, 4.0), ("A", 10, 9.0, 9.0), ("B", 10, 9.0, 9.0),
        ("A", 15, 11.0, 11.0), ("B", 15, 11.0, 11.0),
    ]  # fmt: skip


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_whoever_ends_it_finds_nothing_left(folder, number, code):
    (folder / "big.csv").write_text("date,ticker,price\n" + "2024-01-02,A,1\n" * 600_000)
    before = sorted(folder.iterdir())
    command = [sys.executable, "-m", "ntp.cli", "data", "convert", "big.csv", "-o", "out.csv.gz"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob(".out.csv.gz.*")):
            assert process.poll() is None
            assert time.monotonic() < deadline
        process.send_signal(number)
        _, talk = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in talk
    assert sorted(folder.iterdir()) == before


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
