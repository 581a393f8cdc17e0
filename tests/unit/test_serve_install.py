"""The systemd unit that `serve --install` writes, checked by systemd itself where it is here."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.app import unit
from orchestrator.errors import ActionError
from orchestrator.settings import find

SYSTEMD = shutil.which("systemd-analyze")


@pytest.fixture
def desk(tmp_path):
    """A folder whose name has all that systemd gives a meaning to."""
    folder = tmp_path / 'my $HOME 100%d "desk"'
    folder.mkdir()
    (folder / "plugins.yaml").write_text("plugins: {}\n")
    return find(
        project="desk",
        cwd=folder,
        environment={"NTP_STATE": str(tmp_path / "a state"), "NTP_CACHE": str(tmp_path / "cache")},
    )


def parsed(text):
    """Return the last value of each key, by systemd.syntax(7): one assignment a line."""
    lines = [line for line in text.splitlines() if line and line[0] not in "#;["]
    assert all("=" in line for line in lines), text
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("system", [True, False])
def test_it_starts_just_this_project_and_ends_no_plugin(desk, system):
    made = unit.unit(desk, watch=True, system=system)
    found = parsed(made.text)
    assert found["KillMode"] == "process"
    assert found["Restart"] == "always"
    assert found["Delegate"] == "yes"
    command = [each.replace("%%", "%").replace("$$", "$") for each in shlex.split(found["ExecStart"])]  # fmt: skip
    assert command[0] == sys.executable
    assert command[1:] == [
        *("-P", "-m", "orchestrator", "serve", "--watch", "--project", "desk"),
        f"--file={desk.files[0]}",
    ]
    assert "my $$HOME 100%%d" in found["ExecStart"], "neither a variable nor a specifier"
    assert found["WorkingDirectory"].replace("%%", "%") == str(desk.folder)
    assert f'"NTP_STATE={desk.state.parent}"' in made.text
    assert found["WantedBy"] == ("multi-user.target" if system else "default.target")


@pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("system", [True, False])
def test_systemd_finds_nothing_to_complain_of(desk, tmp_path, system):
    made = replace(unit.unit(desk, watch=False, system=system), path=tmp_path / "ntp-desk.service")
    unit.write(made, force=False)
    run = subprocess.run(
        [SYSTEMD, "verify", "--man=no", "--recursive-errors=no", str(made.path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = [line for line in run.stderr.splitlines() if "ntp-desk" in line]
    assert (run.returncode, said) == (0, []), run.stderr


def test_a_changed_unit_is_overwritten_only_by_force(desk, tmp_path):
    made = replace(unit.unit(desk, watch=False, system=False), path=tmp_path / "sub" / "x.service")
    assert unit.write(made, force=False)
    assert not unit.write(made, force=False)
    made.path.write_text(made.text + "Nice=5\n")
    with pytest.raises(ActionError, match="--force"):
        unit.write(made, force=False)
    assert made.path.read_text().endswith("Nice=5\n")
    assert unit.write(made, force=True)
    assert made.path.read_text() == made.text
    assert list(made.path.parent.iterdir()) == [made.path]


def ntpctl(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", "serve", *arguments],
        cwd=folder,
        env={**os.environ, "NTP_STATE": str(folder / "state"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def test_a_dry_run_prints_the_unit_and_what_systemd_would_not_see(tmp_path):
    (tmp_path / ".env").write_text("PLUGIN_TIMEOUT=5\n")
    run = ntpctl(tmp_path, "--install", "--dry-run", "--project", "never-written",
                 PLUGIN_DIR="mine", PLUGIN_TIMEOUT="5")  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "--project never-written" in parsed(run.stdout)["ExecStart"]
    assert "PLUGIN_DIR is set in this shell only" in run.stderr
    assert "PLUGIN_TIMEOUT" not in run.stderr
    assert "enable --now ntp-never-written.service" in run.stderr
    path = Path(run.stderr.partition("would write ")[2].splitlines()[0])
    assert not path.exists()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("arguments", [["--force"], ["--dry-run"], ["--install", "-f", "-"]])
def test_words_that_mean_nothing_alone_are_wrong_usage(tmp_path, arguments):
    assert ntpctl(tmp_path, *arguments).returncode == 2
