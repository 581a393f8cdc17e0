"""The workflows are YAML, run what exists, and take no action that can change under them."""

import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
IN_DOCS = re.findall(r"```yaml\n(name: image\n.*?)```", (ROOT / "docs" / "images.md").read_text(), re.DOTALL)  # fmt: skip
TEXTS = {path.name: path.read_text() for path in WORKFLOWS} | dict(
    zip(["docs/images.md"], IN_DOCS, strict=True)
)


@pytest.mark.parametrize("name", TEXTS)
def test_every_action_is_pinned_by_its_commit(name):
    uses = re.findall(r"uses: (.+)", TEXTS[name])
    assert uses
    for each in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", each), each


@pytest.mark.parametrize("name", TEXTS)
def test_every_step_is_read_and_its_scripts_are_there(name):
    document = yaml.safe_load(TEXTS[name])
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert document["permissions"] == {"contents": "read"}
    for job in document["jobs"].values():
        for step in job["steps"]:
            script = step.get("run", "")
            # What an event says (a branch's name) reaches a shell as a variable, never as its text.
            assert "${{ github." not in script
            assert "${{ secrets." not in script
            for target in re.findall(r"make ([a-z-]+)", script):
                assert target in targets
            for file in re.findall(
                r"(?<![\w/])(\.ci/[\w-]+(?:\.py)?|plugin-images/base/[\w.]+)", script
            ):
                path = ROOT / file
                assert path.is_file()
                assert path.suffix == ".py" or os.access(path, os.X_OK)
