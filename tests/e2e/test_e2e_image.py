"""A plugin by its image: pushed as its author does, named by a tag, run until somebody asks anew."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from ntp.oci import archive, image, reference
from ntp.oci.layout import Layout
from ntp.oci.registry import Registry
from ntp.oci.source import architecture
from tests.e2e.test_e2e_docker import Boxed
from tests.worlds.engine import REPOSITORY
from tests.worlds.registry import registry

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(300)]
FILE = """
name: boxed
plugins:
  data_sources:
    - name: replay_data
      image: {name}
      config: {{symbols: ["BTCUSDT"], speed: 20, loop: true}}
  strategies:
    - name: momentum_strategy
      config: {{lookback: {lookback}, threshold: 0.7}}
"""


def pushed(folder, name, *, more=""):
    """Pack a copy of a bundled plugin, push it under a tag, and return its digest."""
    plugin = folder / "replay-data"
    if not plugin.exists():
        shutil.copytree(REPOSITORY / "plugin-images" / "replay-data", plugin)
    with (plugin / "replay_data.py").open("a") as file:
        file.write(more)
    words = ["--base", REPOSITORY / "dist" / "base", "--revision", "", "-o", folder / "x.tar"]
    done = subprocess.run(
        [sys.executable, "-m", "ntp.cli", "plugin", "package", plugin, *words],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    layout = Layout.create(folder / "layout")
    index = archive.take(folder / "x.tar", layout)
    made = image.choose_from(layout, index, None, architecture=architecture(), shown="x.tar")
    there = Registry(reference.parse(name).host)
    there.push(layout, made, reference.parse(name))
    there.close()
    return made.digest


@pytest.fixture
def project(tmp_path, cache, engine):
    made = Boxed(tmp_path / "project", cache, engine)
    made.folder.mkdir()
    try:
        yield made
    finally:
        made.ntpctl("down", "--delete-data", "--yes", exit_code=None)


def test_a_tag_that_moves_changes_nothing_until_somebody_asks(project, tmp_path):
    with registry(tmp_path / "registry") as host:
        name = f"{host}/desk/replay-data:latest"
        first = pushed(tmp_path, name)
        project.declare(FILE.format(name=name, lookback=14))
        project.ntpctl("apply")
        before = project.containers()

        second = pushed(tmp_path, name, more="# edited\n")
        assert "nothing to do" in project.ntpctl("apply").stdout
        told = f"image {first[:19]} -> {second[:19]}"
        plan = json.loads(
            project.ntpctl("plan", "--update-images", "-o", "json", exit_code=6).stdout
        )
        changed = [each for each in plan["changes"] if each["do"] != "keep"]
        assert [each["name"] for each in changed] == ["replay_data"]
        assert (changed[0]["image_before"], changed[0]["image"]) == (first, second)
        assert plan["images"] == {"replay_data": f"{name}@{second}"}
        assert told in project.ntpctl("apply", "--update-images").stdout
        assert project.running(but={"replay_data"}) == {
            role: each for role, each in before.items() if role != "replay_data"
        }
        assert project.containers()["replay_data"] != before["replay_data"]
        assert told in project.causes("replay_data")
        after = project.containers()

    # The registry is gone, and so is who asked it.
    info = json.loads(project.ntpctl("doctor", "-o", "json").stdout)
    os.kill(int(info["controller"].split()[1].rstrip(",")), signal.SIGKILL)
    project.declare(FILE.format(name=name, lookback=10))
    assert "config.lookback 14 -> 10" in project.ntpctl("apply").stdout
    assert project.containers()["replay_data"] == after["replay_data"]
    project.ntpctl("rollback", "1", "--yes")
    assert project.ntpctl("diff", exit_code=6).stdout
    [runs] = [
        each["resolved"]["replay_data"]
        for each in json.loads(project.ntpctl("history", "-o", "json").stdout)["revisions"]
        if each["runs"]
    ]
    assert runs == first
    project.declare(FILE.format(name=f"{host}/desk/other:1", lookback=10))
    refused = project.ntpctl("apply", exit_code=2).stderr
    assert "plugins.yaml:6:7: the registry" in refused
    assert "fix: check the name and the network" in refused
    assert project.containers().keys() == after.keys()
