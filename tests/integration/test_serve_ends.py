"""What `serve` leaves of a project to which nothing was applied: nothing, and no other claim."""

import os
import signal
import subprocess
import sys
import time

import pytest

from orchestrator.control import client
from tests.worlds.users import plain


class Fresh:
    def __init__(self, folder):
        self.folder = folder / "fresh"
        self.folder.mkdir()
        self.state = folder / "state" / "fresh"
        self.environment = {
            **plain(),
            "NTP_STATE": str(folder / "state"),
            "NTP_CACHE": str(folder / "cache"),
        }

    def ntpctl(self, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    def serve(self):
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "serve"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        ends = time.monotonic() + 30
        while not client.answers(self.state / "controller.sock"):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < ends
            time.sleep(0.02)
        return process


@pytest.fixture
def fresh(tmp_path):
    made = Fresh(tmp_path)
    yield made
    made.ntpctl("down", "--delete-data", "--yes")  # should something run, against what is claimed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_stays_where_nothing_was_applied(fresh, number):
    process = fresh.serve()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert not fresh.state.parent.exists()
    status = fresh.ntpctl("status")
    assert status.returncode == 3
    assert "nothing of project 'fresh' was applied here" in status.stderr


def test_a_killed_one_leaves_files_but_no_claim_that_something_runs(fresh):
    process = fresh.serve()
    process.kill()
    process.communicate(timeout=30)
    assert (fresh.state / "state.db").exists()
    assert "nothing of project 'fresh' was applied here" in fresh.ntpctl("status").stderr
    assert "nothing of project 'fresh' runs here" in fresh.ntpctl("down").stderr


def test_the_storage_of_a_project_that_is_down_stays(fresh):
    ledger = fresh.state / "storage" / "paper_executor" / "ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.write_text("fills")
    process = fresh.serve()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert [path.name for path in fresh.state.iterdir()] == ["storage"], "its parent was there"
    assert ledger.read_text() == "fills"


def test_down_ends_a_controller_to_which_nothing_was_applied(fresh):
    process = fresh.serve()
    down = fresh.ntpctl("down")
    assert down.returncode == 0, down.stderr
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not fresh.state.exists()


def test_what_runs_beside_a_lost_store_is_left_for_its_next_controller(fresh):
    run = fresh.state / "run" / "replay_data"
    run.mkdir(parents=True)
    process = fresh.serve()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert (fresh.state / "controller.epoch").exists()


def test_ctrl_c_while_a_command_starts_a_controller_ends_that_too(fresh):
    (fresh.folder / "plugins.yaml").write_text("plugins:\n  data_sources: [{name: replay_data}]\n")
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "apply"],
        cwd=fresh.folder,
        env=fresh.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        ends = time.monotonic() + 60
        lock = fresh.state / "controller.lock"
        while not (lock.exists() and lock.read_text().strip()):
            assert time.monotonic() < ends
            time.sleep(0.005)
        # It holds the project, and does not answer yet.
        controller = int(lock.read_text())
        command.send_signal(signal.SIGINT)
        said = command.stderr.read()
        assert command.wait(timeout=60) == 130, said

    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(controller, 0)


def test_a_folder_of_all_projects_that_was_there_stays(fresh):
    fresh.state.parent.mkdir()
    process = fresh.serve()
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert list(fresh.state.parent.iterdir()) == []


def test_one_whose_folder_was_taken_away_leaves_its_successors_alone(fresh):
    lost = fresh.serve()
    lost.send_signal(signal.SIGSTOP)  # it notices when the other is there
    fresh.state.rename(fresh.folder / "lost")
    successor = fresh.serve()
    lost.send_signal(signal.SIGCONT)
    lost.communicate(timeout=30)
    try:
        assert (fresh.state / "controller.lock").read_text().strip() == str(successor.pid)
        assert client.answers(fresh.state / "controller.sock")
    finally:
        successor.terminate()
        successor.communicate(timeout=30)
