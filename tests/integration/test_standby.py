"""A controller that is loaded while a command finds out whether it is wanted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOLD = """
import sys
from orchestrator.app.standby import Standby
from orchestrator.settings import find
with Standby(find([])):
    print("begun", flush=True)
    sys.stdin.read()
"""
BROKEN = "name: stood\nplugins:\n  strategies:\n    - {name: one, plugin: no_such_plugin}\n"


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "plugins.yaml").write_text(BROKEN)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NTP_")}
    return kept | {
        "NTP_RUNTIME": "process",
        "NTP_STATE": str(tmp_path / "state"),
        "NTP_CACHE": str(tmp_path / "cache"),
    }


def holding(folder, environment):
    """A program with a controller on standby. Its errors end when both of them have."""
    program = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=folder, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert program.stdout.readline() == b"begun\n"
    (child,) = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    return program, Path("/proc") / child


def test_who_is_not_sent_goes_with_the_block_and_has_touched_nothing(tmp_path, environment):
    program, controller = holding(tmp_path, environment)
    _, errors = program.communicate(timeout=60)  # its input ends, and with it the block
    assert (program.returncode, errors) == (0, b"")
    assert not controller.exists()
    assert not (tmp_path / "state").exists()


def test_it_goes_with_a_command_that_is_killed(tmp_path, environment):
    program, _ = holding(tmp_path, environment)
    program.kill()
    assert program.stderr.read() == b""  # both are gone
    program.communicate(timeout=60)
    assert not (tmp_path / "state").exists()


def test_files_with_a_problem_leave_no_controller_and_no_folder(tmp_path, environment):
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "apply", "--yes"],
        check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "no_such_plugin" in done.stderr
    assert done.returncode != 0
    assert not (tmp_path / "state").exists()
