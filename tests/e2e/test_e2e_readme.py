"""Every command of the README is run, and its plugin and plugins.yaml are real."""

import re
from pathlib import Path

import pytest

from tests.worlds.page import blocks

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def texts(language: str) -> list[str]:
    return [block.text for block in blocks(README, language)]


def commands() -> list[str]:
    lines = [line.partition("#")[0].strip() for block in texts("sh") for line in block.splitlines()]
    return [line for line in lines if line]


def test_make_targets_of_the_readme_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = [line.split()[1] for line in commands() if line.startswith("make ")]

    assert {"demo", "test"} <= set(told) <= set(targets)


def test_every_command_of_the_readme_is_known_here():
    """One that is added to the README must be added to the session below, or be a make target."""
    kinds = {line.split()[0] for line in commands()}

    assert kinds == {"make", "ntpctl"}


@pytest.mark.timeout(240)
def test_the_readme_from_top_to_bottom(project, tmp_path):
    (tmp_path / "config").mkdir()
    yaml = next(block for block in texts("yaml") if "plugins:" in block)
    (tmp_path / "config" / "plugins.yaml").write_text(yaml)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "breakout.py").write_text(texts("python")[0])
    project.environment["PLUGIN_DIR"] = "plugins"

    expected = {"plan": 6, "apply": 0, "status": 0, "logs": 0, "down": 0}
    ran = []
    for line in commands():
        if not line.startswith("ntpctl "):
            continue
        words = line.split()[1:]
        ran.append(words[0])
        if "-f" in words:
            # What it follows has nothing to say until something is done to it.
            assert project.first_line(*words, meanwhile=("restart", words[-1]))
        else:
            project.ntpctl(*words, exit_code=expected[words[0]])
    assert ran == list(expected)

    # Its plugin, listed as it says.
    listed = yaml.replace("  strategies:\n", "  strategies:\n    - name: breakout\n")
    (tmp_path / "config" / "plugins.yaml").write_text(listed)
    project.ntpctl("apply")
    assert project.status()["breakout"]["ready"]
