"""From an idea to a plugin that others run: an author's commands as they are typed, and a buyer's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_e2e_docker import Boxed
from tests.worlds.engine import REPOSITORY
from tests.worlds.shelf import Shelf
from tests.worlds.users import plain

pytestmark = pytest.mark.timeout(300)
FILE = """\
name: boxed
# what the desk trades on
plugins:
  data_sources:
    - name: replay_data   # recorded
      config: {symbols: ["BTCUSDT"], speed: 20, loop: true}
"""


class Author:
    """Who writes a plugin, in an empty folder, with an empty home."""

    def __init__(self, folder, base=None):
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir(parents=True)
        self.environment = {
            **plain(),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "NTP_CACHE": str(self.home / "cache"),
            **({"NTP_BASE": str(base)} if base else {}),
        }

    def ntp(self, command, exit_code=0):
        done = subprocess.run(
            [sys.executable, "-m", "ntp.cli", *command.split()],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=150,
        )  # fmt: skip
        assert done.returncode == exit_code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def raise_version(self, old, new):
        file = self.folder / "my_strategy" / "plugin.yaml"
        assert f"version: {old}" in file.read_text()
        file.write_text(file.read_text().replace(f"version: {old}", f"version: {new}"))

    def owner(self):
        listed = json.loads(self.ntp("marketplace list --output json").stdout)["marketplaces"]
        return listed[0]["location"], listed[0]["owner"]


def test_the_five_commands_work_as_they_are_typed(tmp_path):
    author = Author(tmp_path / "author")
    author.ntp("plugin create my_strategy --template bollinger")
    tested = author.ntp("plugin test my_strategy --data sample_data.csv")
    for words in ("18 signals", "Sharpe ratio", "ok look-ahead", "ok determinism", "ok hostile"):
        assert words in tested.stdout
    assert "0 errors" in author.ntp("plugin validate my_strategy").stdout
    told = author.ntp("plugin package my_strategy")
    assert (
        "packed without a Linux, and runs without Docker only\n  for Docker, too: --base "
        in told.stderr
    )
    assert (author.folder / "my-strategy-0.1.0.tar").stat().st_size < 100_000
    told = author.ntp("plugin publish my_strategy --marketplace")
    assert "made 'local' in " in told.stderr
    assert "published in 'local'" in told.stdout
    pytest_run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "ntp.pytest_plugin", "-p", "no:cacheprovider", "."],
        cwd=author.folder / "my_strategy", env=author.environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert pytest_run.returncode == 0, pytest_run.stdout
    made = {path.name for path in author.folder.iterdir()}
    assert made == {"home", "my_strategy", "my-strategy-0.1.0.tar"}


def test_what_was_bought_runs_without_an_engine(project, tmp_path):
    shelf = Shelf(tmp_path / "shelf")
    shelf.wheel("demo_lib", "1.2.0", {"demo_lib.py": "NAME = 'of a wheel'\n"})
    author = Author(tmp_path / "author")
    author.environment |= shelf.pip.environ
    author.ntp("plugin create my_strategy --template bollinger")
    file = author.folder / "my_strategy" / "my_strategy.py"
    file.write_text(f"{file.read_text()}\nimport demo_lib\n\nprint(demo_lib.NAME, flush=True)\n")
    said = author.folder / "my_strategy" / "plugin.yaml"
    said.write_text(f"{said.read_text()}requirements: [demo-lib>=1]\n")
    author.ntp("plugin publish my_strategy --marketplace")
    location, owner = author.owner()
    project.environment["NTP_CONFIG"] = str(tmp_path / "buyer")
    subprocess.run(
        [sys.executable, "-m", "ntp.cli", "marketplace", "add", "desk", location, "--fingerprint", owner],
        env=project.environment, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    project.declare(FILE)
    project.ntpctl("apply")

    installed = project.ntpctl("plugin", "install", "my_strategy", "--yes", "-o", "json")
    assert "runs        without Docker only" in installed.stderr
    first = json.loads(installed.stdout)["digest"]
    plan = json.loads(project.ntpctl("plan", "-o", "json", exit_code=6).stdout)
    assert {each["name"]: (each["do"], each["image"]) for each in plan["changes"]} == {
        "replay_data": ("keep", None),
        "my_strategy": ("start", first),
    }
    # Who bought it has no registry of packages: the wheels came with the image.
    project.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "nothing")}
    sample = str(author.folder / "my_strategy" / "sample_data.csv")
    again = ("plugin", "verify", "my_strategy", "--retest", "--data", sample)
    assert "gives the same figures" in project.ntpctl(*again).stdout
    project.ntpctl("apply")
    status = project.until(lambda status: status["my_strategy"]["signal"] is not None)
    assert status["my_strategy"]["ready"]
    assert "of a wheel" in project.ntpctl("logs", "my_strategy").stdout
    assert "nothing to do" in project.ntpctl("apply").stdout

    author.raise_version("0.1.0", "0.2.0")
    author.ntp("plugin publish my_strategy --marketplace")
    project.ntpctl("plugin", "update", "my_strategy", "--yes")
    told = project.ntpctl("plan", exit_code=6).stdout
    assert f"image {first[:19]} -> sha256:" in told
    before = status["replay_data"]["started"]
    project.ntpctl("apply")
    status = project.until(lambda status: status["my_strategy"]["ready"])
    assert status["replay_data"]["started"] == before
    (used,) = [
        row
        for row in json.loads(project.ntpctl("images", "list", "-o", "json").stdout)["images"]
        if "boxed/my_strategy" in row["used_by"]
    ]
    assert used["version"] == "0.2.0"

    project.ntpctl("plugin", "uninstall", "my_strategy", "--yes")
    assert "my_strategy" not in project.file.read_text()
    project.ntpctl("apply", "--yes")
    assert project.status().keys() == {"replay_data"}
    # What can be gone back to keeps its folders; of 0.1.0 and 0.2.0 the wheels are the same layer.
    room = Path(project.environment["NTP_CACHE"]) / "unpacked"
    assert len(list(room.iterdir())) == 3
    project.ntpctl("images", "prune", "--yes")
    assert len(list(room.iterdir())) == 3
    project.ntpctl("down", "--delete-data", "--yes")
    freed = json.loads(project.ntpctl("images", "prune", "--yes", "-o", "json").stdout)["freed"]
    assert freed > 0
    assert list(room.iterdir()) == []


@pytest.fixture
def sold(tmp_path, engine):
    """An author who has published, and the environment of a buyer who trusts that marketplace."""
    engine.environment()  # makes the base
    author = Author(tmp_path / "author", REPOSITORY / "dist" / "base")
    author.ntp("plugin create my_strategy --template bollinger")
    author.ntp("plugin publish my_strategy --marketplace")
    location, owner = author.owner()
    buyer = {"NTP_CONFIG": str(tmp_path / "buyer")}
    subprocess.run(
        [sys.executable, "-m", "ntp.cli", "marketplace", "add", "desk", location, "--fingerprint", owner],
        env=plain() | buyer, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return author, buyer


@pytest.mark.docker
def test_what_is_published_is_found_verified_run_and_updated(sold, tmp_path, cache, engine):
    author, trust = sold
    project = Boxed(tmp_path / "project", cache, engine)
    project.folder.mkdir()
    project.environment |= trust
    project.declare(FILE)
    try:
        assert "my_strategy" in project.ntpctl("plugin", "search", "bollinger").stdout
        info = json.loads(project.ntpctl("plugin", "info", "my_strategy", "-o", "json").stdout)
        assert info["report"]["passed"]
        project.ntpctl("plugin", "install", "my_strategy@0.1.0", "--yes")
        text = project.file.read_text()
        assert text.startswith(FILE)
        assert f"@{info['digest']}" in text
        project.ntpctl("apply")
        first = project.containers()["my_strategy"]
        project.until(lambda status: status["my_strategy"]["signal"] is not None)

        author.raise_version("0.1.0", "0.2.0")
        author.ntp("plugin publish my_strategy --marketplace")
        assert "0.2.0" in project.ntpctl("plugin", "outdated", exit_code=6).stdout
        project.ntpctl("plugin", "update", "my_strategy", "--yes")
        project.ntpctl("apply")
        project.until(lambda status: status["my_strategy"]["ready"])
        assert project.containers()["my_strategy"] != first
        project.ntpctl("plugin", "verify")
        project.ntpctl("plugin", "uninstall", "my_strategy", "--yes")
        assert "my_strategy" not in project.file.read_text()
    finally:
        project.ntpctl("down", "--delete-data", "--yes", exit_code=None)
