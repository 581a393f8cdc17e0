"""The frame of the command line: every command has help, mistakes have words and exit code 2."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli import COMMANDS, group
from orchestrator.cli.words import age, bytes_of


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_shows_how_it_is_used(name):
    result = CliRunner().invoke(group, [name, "--help"])

    assert result.exit_code == 0, result.output
    assert f"ntpctl {name}" in result.output, "no example"


def test_the_group_says_of_each_command_what_the_command_says_itself():
    for name, (_, about) in COMMANDS.items():
        command = group.get_command(click.Context(group), name)
        assert command is not None
        said = " ".join(command.help.partition("\n\n")[0].split())
        assert said.split(". ")[0].rstrip(".") + "." == about


def test_an_unknown_command_gets_a_proposal_and_exit_code_2():
    run = subprocess.run(
        [sys.executable, "-m", "orchestrator", "statsu"], capture_output=True, text=True, timeout=30
    )

    assert run.returncode == 2
    assert run.stderr.splitlines()[:2] == [
        "ntpctl: unknown command 'statsu'",
        "  fix: did you mean 'status'?",
    ]


def test_help_imports_neither_an_engine_nor_a_bus_nor_pydantic():
    probe = (
        "import sys, orchestrator.cli as cli\n"
        "try: cli.group(['--help'], standalone_mode=False)\n"
        "finally: print(sorted({'docker', 'kubernetes', 'nats', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=30)

    assert run.stdout.splitlines()[-1] == "[]", run.stderr


def test_sizes_and_ages_in_the_largest_fitting_unit():
    assert [bytes_of(n) for n in (2048, 512 << 20, 3 << 29)] == ["2 KiB", "512 MiB", "1.5 GiB"]
    assert age("2024-08-08T00:00:00+00:00", "2024-08-08T00:00:59+00:00") == "59s"
    assert age("2024-08-08T00:00:00+00:00", "2024-08-10T00:00:00+00:00") == "2d"
    assert age(None, "2024-08-10T00:00:00+00:00") == ""
