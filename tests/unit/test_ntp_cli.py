"""The command line of authors as a whole."""

import subprocess
import sys

import click
import pytest

from ntp.cli import main


@pytest.mark.parametrize("group", [main, main.commands["plugin"]])
def test_each_command_is_where_its_name_says(group):
    assert len(group.commands) == 5
    for name, command in group.commands.items():
        assert isinstance(command, click.Command)
        assert command.name == name


def test_a_command_that_is_not_there_is_none():
    assert "tset" not in main.commands
    assert main.commands.get("tset") is None


def test_who_runs_one_command_does_not_wait_for_the_others():
    program = "import sys; from ntp.cli import main; main.commands['plugin'].commands['test']; print(*sys.modules)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # fmt: skip
    loaded = {name for name in done.stdout.split() if name.startswith("ntp.cli.")}
    assert "ntp.cli.test" in loaded
    assert not loaded & {"ntp.cli.data", "ntp.cli.marketplace", "ntp.cli.publish"}
