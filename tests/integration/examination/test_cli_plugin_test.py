"""`ntp plugin test`, typed as people type it."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path

import pytest

PLUGIN = """
from ntp import StrategyPlugin, TradingSignal

class Mean(StrategyPlugin):
    def analyze(self, data, history):
        period = self.config.get("period", 20)
        if len(history) < period:
            return None
        middle = sum(history.prices[-period:]) / period
        away = self.config.get("away", 0.5)
        if abs(data.price - middle) > away:
            return TradingSignal(data.symbol, "BUY" if data.price < middle else "SELL", 1.0, data.price)
"""
MANIFEST = """
name: my_strategy
version: 0.1.0
kind: strategy
entrypoint: my_strategy:Mean
config_schema: {period: int, away: float}
"""


@pytest.fixture
def folder(tmp_path):
    plugin = tmp_path / "my_strategy"
    plugin.mkdir()
    (plugin / "my_strategy.py").write_text(PLUGIN)
    (plugin / "plugin.yaml").write_text(MANIFEST)
    start = datetime(2024, 8, 8, tzinfo=UTC)
    lines = ["timestamp,symbol,price,volume"]
    for i in range(600):
        at = (start + timedelta(minutes=i)).isoformat()
        lines.append(f"{at},BTC,{100 + sin(i / 9) * 2:.4f},1")
    lines.insert(300, "2024-08-08T04:58:30Z,BTC,nothing,1")
    (plugin / "sample_data.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def ntp(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "ntp.cli", *words],
        cwd=folder, capture_output=True, text=True, timeout=100,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def test_the_command_of_the_readme_works_as_it_stands(folder):
    done = ntp(folder, "plugin", "test", "my_strategy", "--data", "sample_data.csv",
               "--json", "last.json", "--html", "report.html")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "my_strategy 0.1.0, strategy" in done.stdout
    assert "isolated by" in done.stdout
    assert "sample_data.csv:301:" in done.stdout
    assert "600 ticks" in done.stdout
    assert "Sharpe ratio" in done.stdout
    for check in ("look-ahead", "determinism", "warm-up", "hostile data"):
        assert f"ok {check}" in done.stdout
    page = (folder / "report.html").read_text()
    assert "Test of my_strategy 0.1.0" in page
    assert "hostile data" in page
    assert "600 ticks, " in page, "all of them, not those that are drawn"
    last = json.loads((folder / "last.json").read_text())
    assert last["passed"] is True
    assert last["data"]["bad_rows"] == 1
    assert {check["name"] for check in last["checks"]} == {"look-ahead", "determinism", "warm-up", "hostile data"}  # fmt: skip
    again = ntp(folder, "plugin", "test", "my_strategy", "--data", "sample_data.csv", "--quick",
                "--config", "period=30", "--fee", "0.002", "--against", "last.json")  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "Fees" in again.stdout.partition("since 20")[2]


def test_a_report_says_with_what_it_was_run_and_is_run_again_with_that(folder):
    given = ["--config", "period=30", "--bars", "5m", "--history", "77", "--capital", "5000", "--short", "--pyramid", "2",
             "--fee", "0.002", "--slippage", "0.001", "--half-spread", "0", "--latency", "1.5", "--volume-share", "0.5"]  # fmt: skip
    test = ["plugin", "test", "my_strategy", "-d", "sample_data.csv", "--quick", "--json"]
    done = ntp(folder, *test, "last.json", *given)
    assert done.returncode == 0, done.stderr
    last = json.loads((folder / "last.json").read_text())
    assert last["settings"] == {
        "bars": "5m", "history": 77, "capital": "5000", "short": True, "pyramid": 2, "risk": {},
        "costs": {"fee_rate": "0.002", "slippage": "0.001", "slippage_fixed": "0", "half_spread": "0",
                  "latency_s": "1.5", "volume_share": "0.5"},
        "indicators": [], "indicator_configs": {},
    }  # fmt: skip
    done = ntp(folder, *test, "again.json", "--like", "last.json", "--against", "last.json")
    assert "no figure moved" in done.stdout
    again = json.loads((folder / "again.json").read_text())
    assert (again["settings"], again["plugin"]) == (last["settings"], last["plugin"])
    ntp(folder, *test, "other.json", "--like", "last.json", "--fee", "0.003", "-c", "away=0.4")
    other = json.loads((folder / "other.json").read_text())
    assert other["settings"]["costs"] == {**last["settings"]["costs"], "fee_rate": "0.003"}
    assert other["plugin"]["config"] == {"period": 30, "away": 0.4}


def test_what_a_report_says_is_held_to_the_same_rules_as_what_is_typed(folder):
    done = ntp(folder, "plugin", "test", "my_strategy", "-d", "sample_data.csv", "--quick", "--json", "last.json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    last = json.loads((folder / "last.json").read_text())
    last["settings"] |= {"bars": "7m", "capital": "-1", "indicators": ["fast"]}
    last["settings"]["costs"]["fee_rate"] = "much"
    (folder / "bent.json").write_text(json.dumps(last))
    last["settings"]["history"] = 10**9
    (folder / "long.json").write_text(json.dumps(last))
    (folder / "none.json").write_text('{"signals": 12}')
    for name, words in (
        ("bent.json", ["--bars: ", "--capital: ", "--fee: ", "fix: --indicator fast=PATH"]),
        ("long.json", ["1000000000 is not in the range"]),
        ("none.json", ["is no report of `ntp plugin test`", "fix: name a file that --json wrote"]),
    ):
        done = ntp(folder, "plugin", "test", "my_strategy", "-d", "sample_data.csv", "--like", name)
        assert done.returncode == 2, done.stderr
        assert all(word in done.stderr for word in words), done.stderr
        assert "Traceback" not in done.stderr


METER = """
from ntp import IndicatorPlugin

class Meter(IndicatorPlugin):
    def update(self, data):
        return float(self.config["level"])
"""
HEEDING = """
from ntp import StrategyPlugin, TradingSignal

class Mean(StrategyPlugin):
    def analyze(self, data, history):
        if data.metadata["indicators"]["fast-one"] > data.price:
            return TradingSignal(data.symbol, "BUY", 1.0, data.price)
"""


@pytest.fixture
def heeding(folder):
    """A strategy that heeds an indicator."""
    (folder / "my_strategy" / "my_strategy.py").write_text(HEEDING)
    meter = folder / "meter"
    meter.mkdir()
    (meter / "meter.py").write_text(METER)
    (meter / "plugin.yaml").write_text(
        "name: meter\nversion: 0.1.0\nkind: indicator\nentrypoint: meter:Meter\n"
        "config_schema: {type: object, properties: {level: {type: number}}, required: [level], additionalProperties: false}\n"
    )
    return folder


def test_a_grid_tries_configs_of_indicators_too(heeding):
    test = ("plugin", "test", "my_strategy", "--quick", "--indicator", "fast-one=meter", "--grid", "period=3,4")  # fmt: skip
    done = ntp(heeding, *test, "fast-one.level=0.5,1000", "--json", "grid.json")
    assert done.returncode == 0, done.stderr
    made = json.loads((heeding / "grid.json").read_text())
    fills = {tuple(one["config"].values()): one["fills"] for one in made["grid"]["tried"]}
    assert fills == {(3, 0.5): 0, (3, 1000): 1, (4, 0.5): 0, (4, 1000): 1}
    best = made["grid"]["best"]["config"]
    assert best == {"period": 3, "fast-one.level": 1000}
    assert made["settings"]["indicator_configs"] == {"fast-one": {"level": 1000}}
    assert made["plugin"]["config"] == {"period": 3}

    for words, said in (
        (("fast-one.level=0.5,x",), "fast-one.level: 'x' is not of type 'number'"),
        (("slow.level=1,2",), "which is not named\n  fix: --indicator slow=PATH"),
        ((".level=1,2",), "'.level=1,2' is no range"),
    ):
        done = ntp(heeding, *test, *words)
        assert done.returncode == 2
        assert said in done.stderr


def test_an_indicator_is_given_a_config_under_the_name_that_it_is_found_by(heeding):
    folder = heeding
    test = ("plugin", "test", "my_strategy", "--quick", "--indicator", "fast-one=meter")

    def tested(name, *words):
        done = ntp(folder, *test, "--json", name, *words)
        assert done.returncode == 0, done.stderr
        made = json.loads((folder / name).read_text())
        return made, made["run"]["signals"]

    low, none = tested("low.json", "--config", "fast-one.level=0.5")
    _, every = tested("high.json", "--config", "fast-one.level=1000", "--config", "period=3")
    assert (none, every) == (0, 600)
    assert low["settings"]["indicator_configs"] == {"fast-one": {"level": 0.5}}
    again, none = tested("again.json", "--like", "low.json")
    assert (again["settings"], none) == (low["settings"], 0)
    assert tested("other.json", "--like", "low.json", "-c", "fast-one.level=1000")[1] == 600

    for words, said in (
        ((), "fast-one: 'level' is a required property\n  fix: give it: --config fast-one.NAME=VALUE"),
        (("-c", "fast-one.level=x"), "fast-one.level: 'x' is not of type 'number'"),
        (("-c", "slow.level=1"), "'slow.level' is of an indicator that is not named\n  fix: --indicator slow=PATH"),
    ):  # fmt: skip
        done = ntp(folder, *test, *words)
        assert done.returncode == 2
        assert said in done.stderr


@pytest.mark.parametrize("path", [".", "../my_strategy/", "../my_strategy"])
def test_a_plugin_is_tested_from_inside_its_folder(folder, path):
    done = ntp(folder / "my_strategy", "plugin", "test", path, "-d", "sample_data.csv", "--quick")
    assert done.returncode == 0, done.stderr
    assert "my_strategy 0.1.0" in done.stdout


def test_a_lone_file_is_found_without_its_ending(folder):
    (folder / "alone.py").write_text(PLUGIN)
    done = ntp(folder, "plugin", "test", "alone", "-d", "my_strategy/sample_data.csv", "--quick", "--output", "json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["plugin"]["name"] == "alone"


def test_everything_that_is_wrong_is_said_at_once(folder):
    done = ntp(folder, "plugin", "test", "my_strategy", "--bars", "7m", "--fee", "x", "--memory", "1k",
               "--map", "price", "--capital", "-1", "--config", "nowhere.yaml")  # fmt: skip
    assert done.returncode == 2
    for option in ("--bars", "--fee", "--memory", "--map", "--capital", "--config"):
        assert f"{option}: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--data", "x.csv"], "nowhere: was not found"),
        (["bare"], "fix: --data prices.csv"),
        (["my_strategy", "--data", "x.csv"], "x.csv: was not found, here or in my_strategy"),
        (["my_strategy", "-d", "sample_data.csv", "-c", "periode=3"], "it has period, away"),
        (["my_strategy", "-d", "sample_data.csv", "-c", "period=x"], "--config: period"),
        (["my_strategy", "-d", "sample_data.csv", "period=3:4:1"], "ranges follow --grid"),
        (["my_strategy", "-d", "plugin.yaml"], "fix:"),
        (["my_strategy", "-d", "head.csv"], "no row that could be taken"),
        (["refuses.py", "-d", "sample_data.csv"], "it was not run: its constructor raised"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(folder, words, said):
    (folder / "head.csv").write_text("timestamp,symbol,price\n")
    (folder / "refuses.py").write_text(
        PLUGIN.replace(
            "    def analyze",
            "    def __init__(self, config):\n        raise ValueError(0)\n\n    def analyze",
        )
    )
    (folder / "sample_data.csv").write_bytes(
        (folder / "my_strategy" / "sample_data.csv").read_bytes()
    )
    shutil.copytree(folder / "my_strategy", folder / "bare")
    (folder / "bare" / "sample_data.csv").rename(folder / "bare" / "prices.csv")
    done = ntp(folder, "plugin", "test", *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_grid_says_how_many_were_tried_and_what_was_held_out(folder):
    done = ntp(folder, "plugin", "test", "my_strategy", "--data", "sample_data.csv", "--quick",
               "--grid", "period=10:20:10", "away=0.3,0.6", "--json", "grid.json", "--html", "grid.html")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "4 variants tried" in done.stdout
    assert "held out" in done.stdout
    page = (folder / "grid.html").read_text()
    heat = page.partition("Sharpe ratio by variant")[2].partition("</table>")[0]
    assert re.search(r'class="number (won|lost)6"', heat), "the farthest from 0 has the full colour"
    grid = json.loads((folder / "grid.json").read_text())["grid"]
    assert grid["variants"] == len(grid["tried"]) == 4
    assert grid["first"] < grid["held_out_from"] < grid["last"]
    rated = [one["sharpe"] for one in grid["tried"] if one["sharpe"] is not None]
    assert grid["best"]["sharpe"] == max(rated)
    assert [step["config"] for step in grid["walk_forward"]]


@pytest.mark.parametrize(
    ("ended", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_what_is_ended_leaves_nothing_behind(folder, ended, code):
    (folder / "my_strategy" / "my_strategy.py").write_text(
        PLUGIN.replace("        period =", "        while True: pass\n        period =")
    )
    place = folder / "temporary"
    place.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "ntp.cli", "plugin", "test", "my_strategy", "-d", "sample_data.csv"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(place)},
    )  # fmt: skip
    try:
        while not list(place.glob("ntp-test-*/run-*/order.json")):
            assert running.poll() is None, running.stderr.read()
        running.send_signal(ended)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == code
    assert ("interrupted" in said) == (ended is signal.SIGINT)
    assert "Traceback" not in said
    assert list(place.iterdir()) == []
    assert Path(tempfile.gettempdir()) != place


def test_what_is_killed_takes_its_plugin_along(folder):
    (folder / "my_strategy" / "my_strategy.py").write_text(
        PLUGIN.replace("        period =", "        while True: pass\n        period =")
    )
    place = folder / "temporary"
    place.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "ntp.cli", "plugin", "test", "my_strategy", "-d", "sample_data.csv"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(place)},
    )  # fmt: skip
    try:
        while not list(place.glob("ntp-test-*/run-*/order.json")):
            assert running.poll() is None, running.stderr.read()
        children = []
        while not children:
            tasks = Path(f"/proc/{running.pid}/task").glob("*/children")
            children = [pid for task in tasks for pid in task.read_text().split()]
        ends = [os.pidfd_open(int(pid)) for pid in children]
    finally:
        running.kill()
        running.communicate()
    try:
        for end in ends:
            assert select.select([end], [], [], 30)[0], "it lives on"
    finally:
        for end in ends:
            os.close(end)
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)
