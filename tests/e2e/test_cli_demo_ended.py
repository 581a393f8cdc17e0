"""Whoever ends the demo in the middle leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.demo_run import next_command
from orchestrator.cli.temporary import own_name

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.long)]
)
def test_a_demo_that_is_ended_in_the_middle_cleans_up(number, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "demo"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        for line in demo.stderr:
            if " ready  " in line:
                break
        demo.send_signal(number)
        rest = demo.stderr.read()
        code = demo.wait(timeout=60)

    assert code == 130, rest
    assert list(tmp_path.glob("ntp-demo-*")) == []
    assert _processes_of(tmp_path) == []


def test_a_signal_while_it_cleans_up_waits_until_that_is_done(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "demo"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        for line in demo.stderr:
            if "/6 ready  " in line and not line.startswith("0/"):
                break
        demo.send_signal(signal.SIGTERM)
        (log,) = tmp_path.glob("ntp-demo-*/state/demo/controller.log")
        while '"reason": "Stopped"' not in log.read_text():
            assert demo.poll() is None, "it ended before it could be interrupted"
        demo.send_signal(signal.SIGTERM)
        rest = demo.stderr.read()
        code = demo.wait(timeout=60)

    assert code == 130, rest
    assert "cleaning up; once more ends it as it is" in rest
    assert list(tmp_path.glob("ntp-demo-*")) == []
    assert _processes_of(tmp_path) == []


def test_what_takes_long_is_loaded_when_a_signal_is_answered_already():
    told = (
        "import sys, orchestrator.cli.demo; print('orchestrator.app.demonstration' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=60)
    assert run.stdout == "False\n", run.stderr


def test_the_next_command_fits_where_one_stands(tmp_path):
    example = tmp_path / "config" / "plugins.yaml"
    example.parent.mkdir()
    example.touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    assert next_command(tmp_path, example).startswith("edit config/plugins.yaml, then  ")
    (elsewhere / "plugins.yaml").touch()
    assert next_command(elsewhere, example).endswith(" apply")


def test_the_next_command_makes_a_file_that_an_editor_completes(tmp_path):
    project = tmp_path / "mine"
    project.mkdir()
    *steps, last = next_command(project, ROOT / "config" / "plugins.yaml").split(" && ")
    assert last.endswith(" apply")
    ours = [step.replace(own_name(), f"{sys.executable} -m orchestrator") for step in steps]
    run = subprocess.run(
        ["/bin/sh", "-ec", " && ".join(ours)],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    file = next(
        project / each
        for each in ("config/plugins.yaml", "plugins.yaml")
        if (project / each).exists()
    )
    first = file.read_text().splitlines()[0]
    schema = file.parent / first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads(schema.read_text())["$schema"].endswith("2020-12/schema")


def _processes_of(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found
