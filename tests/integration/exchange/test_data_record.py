"""`ntp data record` as a person runs it: what it writes is played again as it was."""

import csv
import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ntp.contract.names import Kind
from ntp.exchange import recording as frames
from ntp.exchange.recording import SHIPPED
from ntp.runner.load import plugin_class
from ntp.testing import PluginTester

BUNDLED = Path(__file__).parents[3] / "plugin-images"
MINE = """
import asyncio
from datetime import UTC, datetime
from ntp import DataSourcePlugin, MarketData, PluginMetadata

class Mine(DataSourcePlugin):
    def get_metadata(self):
        return PluginMetadata("mine", "1", config_schema={"price": "float", "key": "str", "fail": "bool"})

    async def stream(self):
        print("what a source prints is talk")
        for number in range(3):
            yield MarketData(datetime(2026, 1, 2, 3, 4, number, 5, UTC), 'A,"B"', self.config.get("price", 1.5), 2, id=number)
        yield MarketData(datetime(2026, 1, 2, 3, 4, 1, 5, UTC), 'A,"B"', 9, 9)
        yield MarketData(datetime(2026, 1, 2, 3, 4, 9, 5, UTC), 'A,"B"', float("nan"), 9)
        if self.config.get("fail"):
            raise ValueError("broken off")
        await asyncio.sleep(3600)
"""


def command(*options):
    return [sys.executable, "-m", "ntp.cli", "data", "record", *map(str, options)]


def record(*options, **more):
    return subprocess.run(command(*options), capture_output=True, text=True, timeout=60, **more)


def begin(*options):
    return subprocess.Popen(
        command(*options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(look, deadline_s=30):
    end = time.monotonic() + deadline_s
    while not (found := look()):
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.02)
    return found


def rows(file):
    raw = file.read_bytes()
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
    return list(csv.DictReader(text.splitlines()))


def there(folder):
    return sorted(path.name for path in folder.iterdir())


def replayed(file):
    """Return what replay_data makes of a file in its storage."""
    folder = BUNDLED / "replay-data"
    plugin = plugin_class(folder, "replay_data:ReplayData", Kind.DATA_SOURCE)
    result = PluginTester(plugin, {"file": file.name}, storage=file.parent).run()
    assert result.report["bad_rows"] == 0
    return result.data


def sent(symbol):
    """Return the trades that the exchange plays: time, price and volume of each."""
    for frame in frames.read(SHIPPED).frames:
        if (frame.kind, frame.symbol) == ("trade", symbol):
            data = frame.data()
            at = datetime.fromtimestamp(data["T"] / 1000, UTC)
            yield f"{symbol}:{data['t']}", at, float(data["p"]), float(data["q"])


@pytest.mark.parametrize("name", ["two.csv", "two.csv.gz"])
def test_replay_data_plays_what_the_exchange_sent(start, tmp_path, name):
    exchange, out = start("--no-shift", "--speed", "20"), tmp_path / name
    done = record(
        "binance_data", "--symbols", "BTCUSDT,ETHUSDT", "--url", f"ws://{exchange.at}",
        "--count", 400, "--out", out, "--output", "json",
    )  # fmt: skip
    story = json.loads(done.stdout)
    assert (done.returncode, story["count"], story["complete"]) == (0, 400, True), done.stderr
    assert story["ended"] == "400 ticks are there"
    assert sum(story["symbols"].values()) == 400
    assert there(tmp_path) == [name]
    written, ticks = rows(out), replayed(out)
    assert len(written) == len(ticks) == 400
    assert any(tick.bid is not None and tick.ask is not None for tick in ticks)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        ids = [row["id"] for row in written if row["symbol"] == symbol]
        got = [(tick.timestamp, tick.price, tick.volume) for tick in ticks if tick.symbol == symbol]
        truth = list(sent(symbol))[: len(got)]
        assert ids == [each[0] for each in truth]
        assert got == [each[1:] for each in truth]
    for row, tick in zip(written, ticks, strict=True):
        assert (row["bid"], row["ask"]) == tuple(
            "" if value is None else repr(value) for value in (tick.bid, tick.ask)
        )


@pytest.mark.parametrize("path", ["/ws", "/stream"])
def test_the_exchange_plays_the_frames_that_it_sent(start, tmp_path, path):
    first, out = start("--no-shift", "--speed", "20"), tmp_path / "frames.txt.gz"
    source = ("binance_data", "--symbols", "BTCUSDT", "--url")
    done = record(
        *source, f"ws://{first.at}{path}", "--format", "frames", "--count", 600, "--out", out
    )
    assert done.returncode == 0, done.stderr
    kept = frames.read(out).frames
    assert len(kept) == 600
    assert {frame.kind for frame in kept} == {"trade", "bookTicker"}
    trades = [frame.data() for frame in kept if frame.kind == "trade"]

    second, again = (
        start("--recording", str(out), "--no-shift", "--speed", "20"),
        tmp_path / "a.csv",
    )
    done = record(*source, f"ws://{second.at}", "--count", len(trades), "--out", again)
    assert done.returncode == 0, done.stderr
    assert [(row["id"], float(row["price"]), float(row["volume"])) for row in rows(again)] == [
        (f"BTCUSDT:{each['t']}", float(each["p"]), float(each["q"])) for each in trades
    ]


def test_a_lost_connection_and_the_gap_behind_it_are_noted(start, tmp_path):
    exchange = start("--loop", "--speed", "10", "--fault", "close=1008@1s/once")
    out = tmp_path / "a.csv"
    process = begin(
        "binance_data", "--symbols", "BTCUSDT", "--url", f"ws://{exchange.at}", "--out", out,
        "--set", "reconnect_first_seconds=0.2", "--output", "json",
    )  # fmt: skip
    lines = []
    while "TradesMissed" not in "".join(lines):
        lines.append(process.stderr.readline())
        assert lines[-1], "it ended"
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=20)
    story = json.loads(text)
    assert (process.returncode, story["reconnects"], story["complete"]) == (0, 1, False)
    noted = " / ".join(note["what"] for note in story["notes"])
    assert "reconnected: closed by the exchange: 1008" in noted
    assert "trades of BTCUSDT were missed" in noted
    assert len(rows(out)) == story["count"] > 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_ended_by_a_signal_it_keeps_what_came(start, tmp_path, number, code):
    exchange, out = start("--loop", "--speed", "20"), tmp_path / "a.csv.gz"
    part = tmp_path / "a.csv.gz.part"
    options = ("binance_data", "-s", "BTCUSDT", "--url", f"ws://{exchange.at}", "--out", out)
    process = begin(*options)
    until(lambda: part.exists() and part.stat().st_size > 100)
    assert not out.exists()
    beside = record(*options)
    assert beside.returncode == 5
    assert "another recording is writing" in beside.stderr
    process.send_signal(number)
    text, errors = process.communicate(timeout=20)
    assert process.returncode == code, errors
    assert "interrupted" in text
    assert there(tmp_path) == ["a.csv.gz"]
    assert f"{out}: {len(rows(out))} ticks" in text.replace(",", "")


def test_what_a_killed_recording_left_is_whole_and_not_overwritten(start, tmp_path):
    exchange, out = start("--loop", "--speed", "20"), tmp_path / "a.csv"
    part = tmp_path / "a.csv.part"
    options = ("binance_data", "-s", "BTCUSDT", "--url", f"ws://{exchange.at}", "--out", out)
    process = begin(*options)
    until(lambda: part.exists() and part.stat().st_size > 1000)
    process.kill()
    process.communicate(timeout=20)
    left = part.read_bytes()
    assert left.endswith(b"\n")
    done = record(*options, "--count", 5)
    assert (done.returncode, part.read_bytes()) == (5, left)
    assert "what a recording that was cut off has left" in done.stderr
    assert "rename or remove it" in done.stderr
    assert record(*options, "--count", 5, "--force").returncode == 0
    assert (len(rows(out)), part.exists()) == (5, False)


@pytest.mark.parametrize("name", ["all.csv", "all.csv.gz"])
def test_a_disk_without_room_keeps_whole_rows(tmp_path, name):
    """A limit of the file's size is an end of the room that needs no disk of its own."""
    out, most = tmp_path / name, 48 * 1024
    done = record(
        "replay_data", "--out", out,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )  # fmt: skip
    assert done.returncode == 5
    assert "error: the disk is full; what came before it is in" in done.stderr
    assert there(tmp_path) == [name]
    assert out.stat().st_size <= most
    kept = rows(out)
    assert len(kept) > 500
    assert f"{len(kept):,} ticks" in done.stdout
    recorded = rows(BUNDLED / "replay-data" / "recording.csv.gz")
    assert [float(row["price"]) for row in kept] == [
        float(row["price"]) for row in recorded[: len(kept)]
    ]
    assert None not in kept[-1].values()


def test_a_lone_file_is_recorded_to_where_it_fails(tmp_path):
    source, out = tmp_path / "mine.py", tmp_path / "mine.csv"
    source.write_text(MINE)
    done = record(source, "--set", "fail=true", "--out", out)
    assert done.returncode == 5
    place = MINE[: MINE.index("raise")].count("\n") + 1
    assert f"the source raised ValueError: broken off (mine.py:{place})" in done.stderr
    assert "what a source prints is talk" in done.stderr
    assert "left out: 1 ticks older than the one of their symbol before them" in done.stdout
    assert 'refused 1, the last: price of A,"B" was nan' in done.stdout
    assert [(row["timestamp"], row["symbol"], row["id"]) for row in rows(out)] == [
        (f"2026-01-02T03:04:0{number}.000005Z", 'A,"B"', str(number)) for number in range(3)
    ]
    assert [tick.symbol for tick in replayed(out)] == ['A,"B"'] * 3


def test_the_time_is_over_though_nothing_comes_any_more(tmp_path):
    source, out = tmp_path / "mine.py", tmp_path / "mine.csv"
    source.write_text(MINE)
    done = record(source, "--for", "500ms", "--out", out)
    assert (done.returncode, len(rows(out))) == (0, 3)
    assert done.stdout.startswith(f"{out}: 3 ticks in ")
    assert "the time is over" in done.stdout


def test_where_nothing_comes_there_is_no_file_and_the_reason(tmp_path):
    done = record(
        "binance_data", "-s", "BTCUSDT", "--url", "ws://127.0.0.1:1", "--for", "300ms",
        "--out", tmp_path / "a.csv",
    )  # fmt: skip
    assert (done.returncode, there(tmp_path)) == (5, [])
    assert "nothing was recorded, the time is over" in done.stderr
    assert "connect failed" in done.stderr


def test_frames_of_another_exchange_are_refused(start, tmp_path):
    exchange = start("--loop")
    done = record(
        "polygon_data", "-s", "AAPL", "--set", "api_key=${KEY}", "--url", f"ws://{exchange.at}",
        "--format", "frames", "--for", "3s", "--out", tmp_path / "a.txt", env={**os.environ, "KEY": "k"},
    )  # fmt: skip
    assert (done.returncode, there(tmp_path)) == (5, [])
    assert "record others as csv" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["binance_dta"], "did you mean 'binance_data'?"),
        (["no_such.py"], "no_such.py was not found"),
        (["bollinger_strategy"], "only a data source has anything to record"),
        (["mine.py", "--for", "soon"], "write it as 500ms, 5s, 2m or 1h"),
        (["mine.py", "--for", "0s"], "give one above 0"),
        (["mine.py", "--url", "ws://x"], "has no field for a URL; write --set NAME=ws://x"),
        (["mine.py", "--set", "price"], "--set price: write NAME=VALUE"),
        (["mine.py", "--set", "key=${NO_SUCH_KEY}"], "the environment has no NO_SUCH_KEY"),
        (["mine.py", "--set", "key=3"], 'config.key: does not fit: type "string"'),
        (["polygon_data"], "error: config: 'api_key' is missing; write --set api_key=VALUE\n"),
        (["polygon_data", "--set", "api_key=${NO_KEY}"],
         "error: --set api_key: the environment has no NO_KEY; export it\n"),
        (["mine.py", "--set", "prize=3"], "'prize' was unexpected"),
        (["binance_data", "--set", 'channels=["bookTicker"]'], "channels needs exactly one of"),
        (["empty"], "empty has no plugin.yaml"),
        (["torn.py"], "torn.py:2: it is not Python"),
        (["needy.py"], "install no_such_module where ntp is installed"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_command_is_told_and_nothing_written(tmp_path, options, words):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "torn.py").write_text("\nclass (\n")
    (tmp_path / "needy.py").write_text("import no_such_module\n")
    (tmp_path / "empty").mkdir()
    before = there(tmp_path)
    done = record(*options, "--out", "out.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert words.count("\n") in (0, done.stderr.count("\n")), "nothing else is said"
    assert "Traceback" not in done.stderr
    assert there(tmp_path) == before


def test_a_file_that_is_there_stays_without_force(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    out = tmp_path / "out.csv"
    out.write_text("kept")
    done = record(tmp_path / "mine.py", "--count", 1, "--out", out)
    assert (done.returncode, out.read_text()) == (5, "kept")
    assert "say --force" in done.stderr
    assert record(tmp_path / "mine.py", "--count", 1, "--out", out, "--force").returncode == 0
    assert len(rows(out)) == 1
    done = record(tmp_path / "mine.py", "--out", tmp_path / "no" / "such.csv")
    assert done.returncode == 5
    assert "no such file or directory" in done.stderr
