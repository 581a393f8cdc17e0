"""The references in docs/ are made from the code, and a stale one is told."""

import shutil
from pathlib import Path

import click
import pytest

from docs.generator.__main__ import main
from docs.generator.commands import parts
from docs.generator.regions import RegionError, filled
from orchestrator.cli import group

ROOT = Path(__file__).parents[2]


@pytest.fixture
def docs(tmp_path) -> Path:
    shutil.copytree(ROOT / "docs" / "reference", tmp_path / "reference")
    shutil.copy(ROOT / "docs" / "kubernetes.md", tmp_path)
    return tmp_path


def test_a_stale_reference_is_told_and_made_anew(docs, capsys):
    page = docs / "reference" / "plugins-yaml.md"
    committed = page.read_text()
    stale = committed.replace("8 to 32,768", "8 to 100")
    assert stale != committed
    page.write_text(stale)

    assert main(["--check"], docs) == 6
    assert capsys.readouterr().err == (
        "docs/reference/plugins-yaml.md: differs from the code\n  fix: make docs\n"
    )
    assert page.read_text() == stale
    assert main([], docs) == 0
    assert page.read_text() == committed
    assert main(["--check"], docs) == 0


def test_what_is_written_by_hand_stays():
    page = "by hand\n<!-- generated: a -->\nold\n<!-- end -->\nby hand too\n"
    fresh = filled(page, {"a": "new\n"})
    assert fresh == "by hand\n<!-- generated: a -->\n\nnew\n\n<!-- end -->\nby hand too\n"
    assert filled(fresh, {"a": "new\n"}) == fresh


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("<!-- generated: a -->\n", "has no end"),
        ("no mark\n", "do not match: a"),
        ("<!-- generated: a -->\n<!-- end -->\n<!-- generated: b -->\n<!-- end -->\n", "match: b"),
        ("<!-- generated: a -->\n<!-- end -->\n" * 2, "there twice"),
    ],
)
def test_parts_and_marks_belong_together(page, words):
    with pytest.raises(RegionError, match=words):
        filled(page, {"a": "new\n"})


def test_every_command_and_option_is_in_the_reference():
    page = parts()["ntpctl"]
    with click.Context(group) as context:
        commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
        for name, outer in list(commands.items()):
            if isinstance(outer, click.Group):
                del commands[name]
                commands |= {f"{name} {inner}": each for inner, each in outer.commands.items()}
        assert "images build" in commands
        for name, command in commands.items():
            _, _, section = page.partition(f"### ntpctl {name}\n")
            section = section.partition("\n### ")[0]
            assert "Example" in section, name
            for parameter in command.params:
                if isinstance(parameter, click.Option) and not parameter.hidden:
                    assert parameter.opts[-1] in section, (name, parameter.opts)


def test_commands_of_a_group_within_a_group_are_in_the_reference():
    assert "### ntp data record\n" in parts()["ntp"]


def test_wrong_usage_is_told(capsys):
    assert main(["--chek"]) == 2
    assert "--check" in capsys.readouterr().err
