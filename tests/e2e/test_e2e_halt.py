"""`ntpctl halt` and `resume`: from the command to the ledger, over an apply and a restart; and `risk`."""

import json
import os
import shutil
import sqlite3

import pytest

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root here"),
    pytest.mark.timeout(240),
]

FILE = """
name: halted
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: ["BTCUSDT"], speed: 50, loop: true}
  strategies:
    - name: momentum_strategy
      config: {lookback: 14, threshold: 0.1}
      short: true
  executors:
    - name: paper_executor
"""


def book(status) -> dict:
    return status["paper_executor"]["report"].get("momentum_strategy", {})


def outcomes(project) -> list[str]:
    """Return what became of the signals, oldest first, of a copy of the ledger."""
    (ledger,) = (project.folder / "state").rglob("ledger-momentum_strategy.sqlite")
    copy = project.folder / "copy"
    copy.mkdir(exist_ok=True)
    for file in ledger.parent.glob(f"{ledger.name}*"):
        shutil.copy(file, copy)
    connection = sqlite3.connect(copy / ledger.name)
    try:
        return [row[0] for row in connection.execute("SELECT outcome FROM signals ORDER BY number")]
    finally:
        connection.close()


def test_the_kill_switch_closes_what_is_held_and_holds_until_resume(project):
    project.declare(FILE)
    project.ntpctl("apply")
    project.until(lambda status: book(status).get("fills", 0) > 0)

    halted = project.ntpctl("halt", "--flatten")
    assert "halted: all; paper_executor obeys" in halted.stderr
    seen = project.until(
        lambda status: not book(status)["positions"] and book(status)["refused"] > 3
    )
    assert "halted by hand" in seen["momentum_strategy"]["message"]
    assert seen["momentum_strategy"]["ready"]
    plan = project.ntpctl("plan").stdout
    assert "halted by hand, what is held is closed; `ntpctl resume` clears it" in " ".join(
        plan.split()
    )

    project.ntpctl("restart", "paper_executor")
    seen = project.until(lambda status: book(status).get("refused", 0) > 3)
    assert not book(seen)["positions"]
    assert "refused: halted by hand" in outcomes(project)

    project.ntpctl("resume")
    fills = book(seen)["fills"]
    project.until(lambda status: book(status).get("fills", 0) > fills)
    told = json.loads(project.ntpctl("events", "-o", "json").stdout)["events"]
    assert [each["reason"] for each in told if each["reason"] in ("Halted", "Resumed")] == [
        "Halted",
        "Resumed",
    ]


def test_a_limit_is_pushed_obeyed_and_told(project):
    project.declare(FILE)
    project.ntpctl("apply")
    project.until(lambda status: book(status).get("fills", 0) > 0)
    project.declare(FILE.replace("short: true", "short: true\n      risk: {max_position: 1}"))
    plan = project.ntpctl("plan", exit_code=6).stdout
    assert plan.split()[:3] == ["~", "push", "paper_executor"]
    project.ntpctl("apply")
    seen = project.until(lambda status: book(status).get("refused", 0) > 0)
    assert (
        "RiskLimit: momentum_strategy: max_position is 1 and " in seen["paper_executor"]["message"]
    )
    assert seen["paper_executor"]["restarts"] == 0
    assert any(
        each.startswith("ordered what closes; refused: max_position is 1")
        for each in outcomes(project)
    )
