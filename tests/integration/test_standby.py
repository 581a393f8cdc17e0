"""A controller that is loaded while a command finds out whether it is wanted."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worlds.users import plain

HOLD = """
import sys
from orchestrator.app.standby import Standby
from orchestrator.settings import find
with Standby(find([])):
    print("begun", flush=True)
    sys.stdin.read()
"""
WITHOUT_PYTHON = """
import os, sys
from orchestrator import app
from orchestrator.errors import UnreachableError
from orchestrator.settings import find
settings = find([])
os.environ["PYTHONHOME"] = "/nowhere"  # it fails long before our first line
try:
    if sys.argv[1] == "loaded":
        with app.loaded_controller(settings) as standby:
            app.ensure_controller(settings, standby)
    else:
        app.ensure_controller(settings)
except UnreachableError as error:
    print(error)
"""
ANOTHER_SERVES = """
from pathlib import Path
from orchestrator import app
from orchestrator.settings import find
settings = find([])
children = Path("/proc/thread-self/children")
with app.loaded_controller(settings) as standby:
    app.ensure_controller(settings)
    print(len(children.read_text().split()))
    print(app.ensure_controller(settings, standby))
    serves = (settings.state / "controller.lock").read_text().split()
    print(children.read_text().split() == serves)
"""
BROKEN = "name: stood\nplugins:\n  strategies:\n    - {name: one, plugin: no_such_plugin}\n"
WHOLE = "name: stood\nplugins:\n  data_sources: [{name: replay_data}]\n"


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "plugins.yaml").write_text(BROKEN)
    return plain() | {
        "NTP_RUNTIME": "process",
        "NTP_STATE": str(tmp_path / "state"),
        "NTP_CACHE": str(tmp_path / "cache"),
    }


def run(folder, environment, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def controllers(folder):
    """Those that were started in `folder`. What has ended has no command line any more."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"\0orchestrator\0serve\0" in command and (process / "cwd").samefile(folder):
                found.append(int(process.name))
    return found


@contextlib.contextmanager
def holding(folder, environment):
    """A program with a controller on standby, and what is readable when that controller has ended."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=folder, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as program:  # fmt: skip
        try:
            assert select.select([program.stdout], [], [], 60)[0]
            assert program.stdout.readline() == b"begun\n"
            children = Path(f"/proc/{program.pid}/task/{program.pid}/children")
            (child,) = children.read_text().split()
            ended = os.pidfd_open(int(child))
            try:
                yield program, ended
            finally:
                os.close(ended)
        finally:
            program.kill()


def test_who_is_not_sent_goes_with_the_block_and_has_touched_nothing(tmp_path, environment):
    with holding(tmp_path, environment) as (program, ended):
        _, errors = program.communicate(timeout=60)  # its input ends, and with it the block
        assert (program.returncode, errors) == (0, b"")
        assert select.select([ended], [], [], 0)[0]
    assert not (tmp_path / "state").exists()


def test_it_goes_with_a_command_that_is_killed(tmp_path, environment):
    with holding(tmp_path, environment) as (program, ended):
        program.kill()
        assert program.communicate(timeout=60) == (b"", b"")
        assert select.select([ended], [], [], 60)[0]
    assert not (tmp_path / "state").exists()


def test_files_with_a_problem_leave_no_controller_and_no_folder(tmp_path, environment):
    done = run(tmp_path, environment, "-m", "orchestrator", "apply", "--yes")
    assert "no_such_plugin" in done.stderr
    assert done.returncode != 0
    assert controllers(tmp_path) == []
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("how", ["loaded", "started"])
def test_why_it_could_not_be_loaded_is_in_its_log_and_in_the_error(tmp_path, environment, how):
    done = run(tmp_path, environment, "-c", WITHOUT_PYTHON, how)
    assert done.stderr == "", "a terminal's line may be live"
    assert "the controller ended at once:\n" in done.stdout
    assert "No module named 'encodings'" in done.stdout
    (log,) = (tmp_path / "state").glob("*/controller.log")
    assert "No module named 'encodings'" in log.read_text()


def test_what_it_warns_of_while_it_is_loaded_is_in_its_log_alone(tmp_path, environment):
    (tmp_path / "plugins.yaml").write_text(WHOLE)
    applied = run(tmp_path, environment, "-m", "orchestrator", "apply", "--yes", "--no-sandbox")
    try:
        assert applied.returncode == 0, applied.stderr
        (served,) = controllers(tmp_path)
        ended = os.pidfd_open(served)
        os.kill(served, signal.SIGTERM)
        assert select.select([ended], [], [], 60)[0]
        os.close(ended)
        (tmp_path / ".env").write_text("no assignment\n")
        again = run(tmp_path, environment, "-m", "orchestrator", "rollback", "1", "--yes")
        assert again.stderr.count("warning: ") == 1, again.stderr
        (log,) = (tmp_path / "state").glob("*/controller.log")
        assert log.read_text().count("warning: ") == 1
    finally:
        down = run(tmp_path, environment, "-m", "orchestrator", "down", "--delete-data", "--yes")
    assert down.returncode == 0, down.stderr


def test_one_is_not_kept_where_another_serves_by_now(tmp_path, environment):
    try:
        done = run(tmp_path, environment, "-c", ANOTHER_SERVES)
        assert done.stdout.split() == ["2", "False", "True"], done.stderr
    finally:
        down = run(tmp_path, environment, "-m", "orchestrator", "down")
    assert down.returncode == 0, down.stderr
