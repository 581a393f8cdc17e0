"""What plugins use and do, as `top` reads it from the kernel and from their beats."""

import json
import os
import sys

import pytest

from tests.worlds.terminal import Terminal

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root here"),
    pytest.mark.timeout(240),
]

FILE = """
name: watched
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: ["BTCUSDT"], speed: 50, loop: true}
  strategies:
    - name: bollinger_strategy
      resources: {memory: 300MB}
  executors:
    - name: paper_executor
"""
NAMES = ["bollinger_strategy", "paper_executor", "replay_data"]


def test_top_shows_what_really_runs(project):
    project.declare(FILE)
    project.ntpctl("apply")
    project.until(
        lambda seen: (
            seen["bollinger_strategy"]["signal"]
            and all(seen[name]["cpu_share"] for name in NAMES)
            and seen["paper_executor"]["flow"]["received_per_s"]
        )
    )
    told = json.loads(project.ntpctl("top", "--once", "--sort", "name", "-o", "json").stdout)
    rows = {each["name"]: each for each in told["plugins"]}

    assert [*rows] == NAMES
    for row in rows.values():
        usage = row["usage"]
        assert 1 << 20 < usage["memory"] <= usage["memory_peak"] < usage["memory_limit"]
        assert usage["pids"] >= 1
        assert 0 < row["cpu_share"] < os.cpu_count()
    assert rows["bollinger_strategy"]["usage"]["memory_limit"] == 300 << 20
    assert rows["bollinger_strategy"]["signal"]["symbol"] == "BTCUSDT"
    assert rows["replay_data"]["signal"] is None

    command = [sys.executable, "-m", "orchestrator", "top", "--interval", "0.5"]
    with Terminal(command, 80, 24, environment=project.environment, folder=project.folder) as at:
        at.until(lambda: "3/3 ready" in at.line(0) and "paper_executor" in "".join(at.picture))
        first = next(line for line in at.picture if line.startswith("bollinger_strategy"))
        assert "M/300M" in first
        assert " BTCUSDT" in first
        project.ntpctl("stop", "paper_executor")
        at.until(lambda: "2/3 ready" in at.line(0))
        at.until(lambda: "by hand" in "".join(at.picture))
        at.press(b"q")
        assert at.ended() == 0
        assert at.is_as_before()
