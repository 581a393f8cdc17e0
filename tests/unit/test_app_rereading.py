"""What a controller reads for a command, and when it leaves that to the command."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

import orchestrator
from orchestrator.app.declaration import declare
from orchestrator.app.rereading import ROOTS, Rereading
from orchestrator.ports import Asked

TEXT = "name: desk\nplugins:\n  strategies:\n    - {name: mine, config: {key: '${DESK_KEY}'}}\n"


def identity(path):
    found = Path(path).stat()
    return found.st_dev, found.st_ino


@pytest.fixture
def asked(tmp_path, monkeypatch):
    (tmp_path / "plugins.yaml").write_text(TEXT)
    environment = {"NTP_STATE": str(tmp_path / "state"), "DESK_KEY": "a value"}
    for name in list(os.environ):
        if name.startswith(("NTP_", "PLUGIN_")):
            monkeypatch.delenv(name)
    environment |= {k: v for k, v in os.environ.items() if k not in environment}
    seen = tuple(map(identity, (*ROOTS, tmp_path / "plugins.yaml")))
    program = Path(orchestrator.__file__).stat()
    same = (program.st_dev, program.st_ino, program.st_mtime_ns)
    return Asked(same, (), str(tmp_path), seen, environment)


@pytest.fixture
def reread(tmp_path):
    return Rereading(tmp_path / "state" / "desk")


def test_it_is_what_the_command_reads(asked, reread, tmp_path, monkeypatch):
    edit = reread(asked)
    monkeypatch.chdir(tmp_path)
    for name, value in asked.environment.items():
        monkeypatch.setenv(name, value)
    declared = declare()
    assert (edit.sources, edit.settings, edit.secrets) == (
        declared.sources, declared.decisive, declared.secrets,
    )  # fmt: skip
    assert edit.secrets == {"DESK_KEY": "a value"}


def test_files_are_found_from_where_the_command_stands(asked, reread, tmp_path):
    (tmp_path / "below").mkdir()
    found = reread(replace(asked, files=("../plugins.yaml",), folder=str(tmp_path / "below")))
    assert found.settings["folder"] == str(tmp_path)


def test_a_relative_state_folder_is_relative_to_where_the_command_stands(asked, reread, tmp_path):
    def within(folder):
        named = {**asked.environment, "NTP_STATE": "state"}
        seen = (*asked.seen[:-1], identity(folder / "plugins.yaml"))
        return reread(replace(asked, folder=str(folder), environment=named, seen=seen))

    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "plugins.yaml").write_text(TEXT)
    assert within(tmp_path) is not None
    assert within(tmp_path / "below") is None


@pytest.mark.parametrize(
    "change",
    [
        {"program": (0, 0, 0)},
        {"seen": ()},
        {"seen": ((0, 0), (0, 0), (0, 0))},
        {"folder": "/nowhere"},
        {"files": ("/dev/null",)},
    ],
)
def test_who_may_see_something_else_reads_it_himself(asked, reread, change):
    assert reread(replace(asked, **change)) is None


@pytest.mark.parametrize(
    "variable",
    ["NTP_STATE=/elsewhere", "NTP_CONTEXT=a-cluster", "PLUGIN_SANDBOX=no", "PLUGIN_CONFIG=missing.yaml",
     "HOME=/elsewhere", "XDG_STATE_HOME=/elsewhere", "NTP_NATS=what", "NTP_RUNTIME=kubernetes"],
)  # fmt: skip
def test_what_concerns_another_or_has_to_be_said_is_left_to_the_command(asked, reread, variable):
    name, _, value = variable.partition("=")
    assert reread(replace(asked, environment={**asked.environment, name: value})) is None


@pytest.mark.parametrize(
    "line", ["NTP_STATE=/elsewhere", "NTP_CONTEXT=a-cluster", "PLUGIN_SANDBOX=no", "no assignment"]
)
def test_so_it_is_where_dotenv_says_it(asked, reread, tmp_path, line):
    environment = {k: v for k, v in asked.environment.items() if k != line.partition("=")[0]}
    (tmp_path / ".env").write_text(f"{line}\n")
    assert reread(replace(asked, environment=environment)) is None


def test_a_file_that_is_another_one_to_the_command_is_not_read(asked, reread, tmp_path):
    (tmp_path / "other.yaml").write_text(TEXT)
    seen = (*asked.seen[:-1], identity(tmp_path / "other.yaml"))
    assert reread(replace(asked, files=("other.yaml",), seen=seen)) is not None
    for files in ((), ("plugins.yaml",)):
        assert reread(replace(asked, files=files, seen=seen)) is None
