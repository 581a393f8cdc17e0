"""kill -9 of the controller at any moment: nothing restarted, nothing doubled, nothing orphaned."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.integration.controller.conftest import NAMES, PLUGINS

ALL = NAMES | {"broker"}

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the process runtime needs Linux"),
    pytest.mark.timeout(300),
]


@pytest.mark.long
def test_killed_and_started_again_ten_times_it_adopts_everything(office):
    office.serve()
    office.apply()
    before = office.shims()
    assert set(before) == ALL
    chance = random.Random(7)
    for _ in range(10):
        time.sleep(chance.uniform(0, 0.4))
        office.kill()
        assert office.shims() == before
        office.serve(wait=chance.random() < 0.5)
    office.until(lambda: office.ask("wait", deadline=30)["ready"], "readiness")
    assert office.shims() == before
    assert {each["restarts"] for each in office.ask("status")["plugins"]} == {0}


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 8))]
)
def test_killed_while_it_applies_it_finishes_and_makes_no_doubles(office, seed):
    chance = random.Random(seed)
    office.serve()
    for number in range(5):
        office.begin_apply(PLUGINS.replace("period: 20", f"period: {20 + number}"))
        time.sleep(chance.uniform(0, 0.5))
        office.kill()
        assert all(len(pids) == 1 for pids in office.shims().values()), office.shims()
        office.serve()
    office.until(lambda: office.ask("wait", deadline=60)["ready"], "readiness")
    shims = office.shims()
    assert set(shims) == ALL
    assert all(len(pids) == 1 for pids in shims.values()), shims
    office.apply(PLUGINS.replace("period: 20", "period: 24"))
    assert office.shims() == shims, "the last apply was finished: nothing was left to do"


def test_killed_while_it_takes_everything_down_it_goes_on(office):
    office.serve()
    office.apply()
    asking = subprocess.Popen(
        [sys.executable, "-P", "-m", "orchestrator", "down", "--project", "office", "--yes"],
        cwd=office.folder,
        env=office.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    office.until(lambda: len(office.shims()) < len(ALL), "first stop")
    office.kill()
    asking.wait(timeout=30)
    office.serve(wait=False).wait(timeout=60)
    office.process = None
    assert office.shims() == {}
    assert not any((office.state / "run").glob("*/*"))


def test_without_a_controller_the_plugins_go_on_and_a_dead_one_is_restarted_by_the_next(office):
    office.serve()
    office.apply()
    before = office.shims()
    office.kill()
    os.kill(office.plugin("bollinger_strategy"), signal.SIGKILL)
    office.until(lambda: "bollinger_strategy" not in office.shims(), "end of the victim")
    office.serve()
    office.until(lambda: office.ask("wait", deadline=60)["ready"], "readiness")
    after = office.shims()
    assert {n: p for n, p in after.items() if n != "bollinger_strategy"} == {
        n: p for n, p in before.items() if n != "bollinger_strategy"
    }
    assert len(after["bollinger_strategy"]) == 1


def test_a_killed_broker_is_repaired_and_restarts_nobody(office):
    office.serve()
    office.apply()
    before = office.shims()
    (broker,) = before["broker"]
    os.kill(broker, signal.SIGKILL)
    office.until(
        lambda: office.shims().get("broker", before["broker"]) != before["broker"], "broker"
    )
    office.until(lambda: office.ask("wait", deadline=60)["ready"], "readiness")
    after = office.shims()
    assert {n: p for n, p in after.items() if n != "broker"} == {
        n: p for n, p in before.items() if n != "broker"
    }
    assert {each["restarts"] for each in office.ask("status")["plugins"]} == {0}


def test_two_controllers_never_act_at_once(office):
    office.serve()
    epoch = office.ask("info")["epoch"]
    second = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator", "serve", "--project", "office"],
        cwd=office.folder,
        env=office.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 4, second.stderr
    assert "another controller (pid" in second.stderr
    assert office.ask("info")["epoch"] == epoch
