"""Whoever is killed, the controller too: the ledger is that of an undisturbed run, row by row.

The project as a user has it: ntpctl, sandboxes, restarts by the controller. The campaign that kills a
thousand times, and cuts the power, is tests/integration/runner/test_runner_crash.py.
"""

import json
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from ntp.confine import shim_files
from tests.integration.runner.test_runner_crash import KILLS, QUERIES, SEED

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root here"),
    pytest.mark.timeout(600),
]

FILE = """
name: crash
plugins:
  data_sources:
    - {name: replay_data, config: {speed: 60}}
  strategies:
    - {name: momentum_strategy}
  executors:
    - {name: paper_executor, storage: 64MB}
"""
PLUGINS = ("replay_data", "momentum_strategy", "paper_executor")
CONTROLLER, BROKER = "controller", "broker"
A_SESSION = 8
LAST_S = 16.0
"""The recording lasts so long at this speed."""


def ledger(project) -> dict[str, list[tuple]]:
    (file,) = (project.folder / "state").rglob("ledger-momentum_strategy.sqlite")
    connection = sqlite3.connect(file)
    try:
        return {table: list(connection.execute(query)) for table, query in QUERIES.items()}
    finally:
        connection.close()


def through(seen: dict[str, dict]) -> bool:
    reasons = [[each["reason"] for each in one["conditions"]] for one in seen.values()]
    return all("Exhausted" in each for each in reasons)


def kill(project, victim: str) -> bool:
    state = project.folder / "state" / "crash"
    if victim == CONTROLLER:
        killed = _kill(int((state / "controller.lock").read_text()), "orchestrator")
        project.ntpctl("apply", "--no-wait")
        return killed
    if victim == BROKER:
        return _kill(int((state / "broker" / "server.pid").read_text()), "nats-server")
    one = json.loads((state / "run" / victim / "state.json").read_text())
    lives = shim_files.start_time(one["pid"]) == one["start_time"]
    return lives and _kill(innermost(one["pid"]), "ntp")


def innermost(pid: int) -> int:
    """Return the plugin's own process, which is the last one of a sandbox."""
    while True:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except FileNotFoundError:
            return pid
        if not children:
            return pid
        pid = int(children[-1])


def _kill(pid: int, word: str) -> bool:
    """Kill a process that has this word in its command; False: it is between two lives."""
    try:
        # By a handle: a number may be another process's by now.
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if word.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except (ProcessLookupError, FileNotFoundError):
        return False
    finally:
        os.close(handle)
    return True


def played(project, plan: list[tuple[float, str]]) -> dict[str, list[tuple]]:
    """Play the recording; `plan`: when to kill whom, seconds after it began."""
    project.declare(FILE)
    project.ntpctl("apply")
    began, killed = time.monotonic(), 0
    for moment, victim in plan:
        # A random moment is what is wanted: nothing is waited for here.
        time.sleep(max(0.0, began + moment - time.monotonic()))
        killed += kill(project, victim)
    assert killed >= len(plan) // 2
    project.until(through, within=200)
    project.ntpctl("down")
    return ledger(project)


@pytest.fixture(scope="module")
def undisturbed(project_in, tmp_path_factory) -> dict[str, list[tuple]]:
    project = project_in(tmp_path_factory.mktemp("undisturbed"))
    try:
        return played(project, [])
    finally:
        project.ntpctl("down", "--delete-data", "--yes", exit_code=None)


@pytest.mark.parametrize("number", range(max(1, KILLS // 100)))
def test_the_ledger_is_that_of_an_undisturbed_run(number, undisturbed, project):
    rng = random.Random(f"{SEED}/{number}")
    moments = sorted(rng.uniform(0.2, LAST_S) for _ in range(A_SESSION))
    victims = [CONTROLLER, *rng.choices([*PLUGINS, BROKER, CONTROLLER], k=A_SESSION - 1)]
    plan = list(zip(moments, victims, strict=True))
    found = played(project, plan)
    for table, rows in undisturbed.items():
        assert found[table] == rows, (table, plan)
    assert len(found["fills"]) > 90
