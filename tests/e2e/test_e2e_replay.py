"""A live session on recorded data, replayed: the same signals, fills and ledger, row by row."""

import json
import os
import re
import signal
import sqlite3
import tempfile
from pathlib import Path

import pytest

from tests.worlds.demo import Demo

pytestmark = pytest.mark.timeout(300)

STRATEGIES = ["bollinger_strategy", "momentum_strategy"]
FILE = """
name: replayed
plugins:
  data_sources:
    - name: replay_data
      config: {speed: 120}
  indicators:
    - name: rsi_indicator
  strategies:
    - name: bollinger_strategy
    - name: momentum_strategy
    - {name: held, source: held.py}
  executors:
    - {name: paper_executor, storage: 50MB}
"""
HELD = """
from ntp import StrategyPlugin, TradingSignal


class Held(StrategyPlugin):
    \"\"\"Buys where it holds nothing, else sells: so it matters when it learns of a fill.\"\"\"

    def analyze(self, data, history):
        if len(history) % 7:
            return None
        side = "SELL" if self.position(data.symbol) else "BUY"
        return TradingSignal(data.symbol, side, 1.0, data.price, size=0.01)
"""


def replayed(project, *arguments: str, exit_code: int = 0) -> dict[str, dict]:
    run = project.ntpctl("replay", *arguments, "-o", "json", exit_code=None)
    told = json.loads(run.stdout)
    assert run.returncode == exit_code, [
        (each["strategy"], each["differing"], each["differences"][:3]) for each in told["replays"]
    ]
    return {each["strategy"]: each for each in told["replays"]}


def ledger(project, strategy: str) -> Path:
    (folder,) = (project.folder / "state").glob("*/storage/paper_executor")
    return folder / f"ledger-{strategy}.sqlite"


def count(file: Path, table: str) -> int:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    finally:
        connection.close()


def equal(told: dict) -> bool:
    found = (told["differing"], told["missing"], told["unmade"], told["extras"], told["begins"])
    return found == ({}, 0, 0, 0, "")


def pid(project, name: str) -> int:
    (folder,) = (project.folder / "state").glob("*/run")
    try:
        return json.loads((folder / name / "state.json").read_text())["pid"]
    except (FileNotFoundError, ValueError):
        return 0  # between two lives


def kill(project, name: str) -> int:
    killed = pid(project, name)
    os.kill(killed, signal.SIGKILL)
    return killed


@pytest.fixture
def demo(cache, project_in):
    """The demo, when it is over: its project runs on, at no exchange."""
    with tempfile.TemporaryDirectory() as folder:
        played = Demo(cache, Path(folder), "--speed", "10", "--keep", "-o", "json")
        code, _ = played.end()
        assert code == 0, "".join(played.said)
        (place,) = Path(folder).glob("ntp-demo-*")
        project = project_in(place)
        try:
            yield project
        finally:
            project.ntpctl("down", "--project", "demo", "--delete-data", "--yes", exit_code=None)


def test_the_demo_replayed_is_the_demo_row_by_row(demo):
    told = replayed(demo, "--project", "demo")
    assert sorted(told) == STRATEGIES
    assert all(map(equal, told.values())), told
    assert all(each["signals"] > 10 and each["fills"] > 10 for each in told.values())

    # Whatever is not as it was is found: here one point of the curve, by a cent.
    demo.ntpctl("stop", "paper_executor", "--project", "demo")
    file = ledger(demo, "bollinger_strategy")
    one = told["bollinger_strategy"]
    assert count(file, "signals") == one["signals"]
    assert count(file, "fills") == one["fills"]
    assert one["rows"] > one["signals"] + 2 * one["fills"] + count(file, "equity")
    with sqlite3.connect(file) as sql:
        sql.execute("UPDATE equity SET equity = equity + 0.01 WHERE number = 7")
    run = demo.ntpctl("replay", "--project", "demo", exit_code=6)
    assert re.search(
        r"^  equity: 1 row differs\n    7: equity live \S+, replayed \S+$", run.stdout, re.MULTILINE
    )
    assert "momentum_strategy at paper_executor: equal, " in run.stdout


def session(project, *victims: str) -> None:
    """Play the recording, kill each of these on the way, and wait for the end."""
    project.declare(FILE)
    (project.folder / "held.py").write_text(HELD)
    project.ntpctl("apply")

    def fills(seen, least):
        report = seen["paper_executor"]["report"] or {}
        return report.get("momentum_strategy", {}).get("fills", 0) >= least

    for number, victim in enumerate(victims, 1):
        project.until(lambda seen, least=10 * number: fills(seen, least))
        before = kill(project, victim)
        project.until(lambda _, was=(victim, before): pid(project, was[0]) not in {0, was[1]})
    project.until(
        lambda seen: all(each["state"] == "Exhausted" for each in seen.values()), within=120
    )


@pytest.mark.long
def test_a_session_with_kills_replayed_is_what_its_ledger_says(project):
    session(project, "paper_executor", "bollinger_strategy", "broker", "paper_executor")
    told = replayed(project)
    assert sorted(told) == sorted([*STRATEGIES, "held"])
    assert all(map(equal, told.values())), told
    assert told["bollinger_strategy"]["fills"] > 90
    assert told["held"]["fills"] > 0


def test_a_killed_executor_replayed_is_itself_and_another_strategy_is_not(project):
    session(project, "paper_executor")
    told = replayed(project)
    assert sorted(told) == sorted([*STRATEGIES, "held"])
    assert all(map(equal, told.values())), told
    assert told["bollinger_strategy"]["fills"] > 90
    assert told["held"]["fills"] > 0

    # Another strategy over the same period, and over a part of it.
    other = replayed(project, "bollinger_strategy", "--with", "period=40")["bollinger_strategy"]
    assert other["ticks"] > 15_000
    assert 0 < other["signals"] != told["bollinger_strategy"]["signals"]
    part = replayed(project, "bollinger_strategy", "--to", "2024-08-08T23:57Z")[
        "bollinger_strategy"
    ]
    assert 0 < part["ticks"] < other["ticks"]
    recording = project.folder / "ticks.csv"
    recording.write_text("timestamp,symbol,price\n2024-08-09,BTCUSDT,1\n2024-08-09,BTCUSDT,2\n")
    few = replayed(project, "bollinger_strategy", "--data", "ticks.csv")["bollinger_strategy"]
    assert few["ticks"] == 2

    for arguments, code, words in (
        (["nobody"], 5, "there is no plugin 'nobody'; strategies that are executed: bollinger_"),
        (["replay_data"], 5, "replay_data is no strategy that an executor hears\n  fix: "),
        (["bollinger_strategy", "--with", "perod=3"], 5, "unknown key 'perod'"),
        (["--with", "period=3"], 5, "--with changes the config of one strategy\n  fix: name it"),
        (["--with", "period"], 2, "--with was 'period'\n  fix: write KEY=VALUE"),
        (["--from", "noon"], 2, "'noon' is no time\n  fix: "),
        (["--from", "2030-01-01"], 5, "no tick lies in that period\n  fix: "),
    ):
        assert words in project.ntpctl("replay", *arguments, exit_code=code).stderr
    recording.write_text("when,what\n")
    run = project.ntpctl("replay", "momentum_strategy", "--data", "ticks.csv", exit_code=5)
    assert "momentum_strategy: ticks.csv:1: no column is known to be the timestamp" in run.stderr
