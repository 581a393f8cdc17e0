"""What counts as a save, with real files: whole ones, each once, however they were written."""

import os
import time

import pytest

from orchestrator.app.dev_target import target
from orchestrator.app.dev_watch import RECENT_S, SETTLED_S, Watch
from orchestrator.errors import ConfigError

CODE = "from ntp import StrategyPlugin\n\n\nclass Mine(StrategyPlugin):\n    def analyze(self, data, history): ...\n"
FILE = "name: desk\nplugins:\n  strategies:\n    - name: mine\n      source: mine.py\n    - name: folder\n      source: folder\n    - name: momentum_strategy\n"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NTP_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("NTP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PLUGIN_DIR", raising=False)
    (tmp_path / "mine.py").write_text(CODE)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "plugin.yaml").write_text(
        "name: folder\nversion: 1.0.0\nkind: strategy\nentrypoint: other:Mine\n"
    )
    (folder / "other.py").write_text(CODE)
    (tmp_path / "plugins.yaml").write_text(FILE)
    return tmp_path


class Looking:
    """Looks at a time of its own, so that nothing waits."""

    def __init__(self, *arguments):
        self.target = target(*arguments)
        self.watch = Watch(self.target)
        self.now = 0.0

    def once(self, after=SETTLED_S / 3):
        self.now += after
        return self.watch.look(self.now)

    def settled(self):
        found = [self.once() for _ in range(6)]
        saves = [each for each in found if each]
        assert len(saves) <= 1
        return saves[0] if saves else None


def test_a_file_means_the_entry_that_runs_it(desk):
    looking = Looking(desk / "mine.py", (), None)
    assert (looking.target.names, looking.target.whole) == (("mine",), False)
    assert Looking(desk / "folder", (), None).target.names == ("folder",)
    assert Looking(desk / "folder" / "other.py", (), None).target.names == ("folder",)
    assert Looking(desk, (), None).target.names == ("mine", "folder")
    assert Looking(desk / "plugins.yaml", (), None).target.whole


def test_a_save_counts_once_when_it_has_stayed_for_an_instant(desk):
    looking = Looking(desk / "mine.py", (), None)
    first = looking.settled()
    assert (first.number, list(first.files), list(first.problems)) == (1, ["mine.py"], [])
    assert looking.settled() is None
    # Written in steps: each of them is too short-lived to count.
    for step in ("# a\n", "# b\n", "# c\n"):
        (desk / "mine.py").write_text(CODE + step)
        assert looking.once() is None
    assert looking.once() is None
    second = looking.settled()
    assert (second.number, list(second.files)) == (2, ["mine.py"])
    # The same content, by another way: an editor's new file in place of the old.
    (desk / "new").write_text(CODE + "# c\n")
    (desk / "new").replace(desk / "mine.py")
    assert looking.settled() is None


def test_how_it_was_before_is_a_save_too(desk):
    looking = Looking(desk / "mine.py", (), None)
    looking.settled()
    (desk / "mine.py").write_text("class (\n")
    assert looking.settled().problems
    (desk / "mine.py").write_text(CODE)
    assert looking.settled().problems == []


def test_a_file_that_is_away_is_a_problem_and_comes_back(desk):
    looking = Looking(desk / "mine.py", (), None)
    looking.settled()
    (desk / "mine.py").rename(desk / "away.py")
    (problem,) = looking.settled().problems
    assert "the source 'mine.py' was not found" in problem.message
    (desk / "away.py").rename(desk / "mine.py")
    assert looking.settled().problems == []


def test_every_file_of_a_folder_counts_and_each_mistake_has_its_place(desk):
    looking = Looking(desk / "folder", (), None)
    assert sorted(looking.settled().files) == ["folder/other.py", "folder/plugin.yaml"]
    (desk / "folder" / "deep").mkdir()
    (desk / "folder" / "deep" / "more.py").write_text("x = 1\ny = (\n")
    (desk / "folder" / "other.py").write_text(CODE + "  bad\n")
    save = looking.settled()
    assert sorted(save.files) == ["folder/deep/more.py", "folder/other.py"]
    places = [(each.file, each.line) for each in save.problems]
    assert places == [("folder/deep/more.py", 2), ("folder/other.py", 6)]
    (desk / "folder" / "deep" / "more.py").unlink()
    (desk / "folder" / "other.py").write_text(CODE)
    assert sorted(looking.settled().files) == ["folder/deep/more.py", "folder/other.py"]


def test_a_lock_that_changes_is_a_save_and_what_never_runs_is_none(desk):
    looking = Looking(desk / "mine.py", (), None)
    looking.settled()
    (desk / "mine.lock").write_text("{}")
    assert looking.settled().number == 2
    (desk / "__pycache__").mkdir()
    (desk / "other.txt").write_text("")
    assert looking.settled() is None


def test_the_files_of_a_whole_project_are_followed(desk):
    looking = Looking(desk, (), None)
    looking.settled()
    (desk / "plugins.yaml").write_text(FILE.replace("source: mine.py", "source: yours.py"))
    (desk / "yours.py").write_text(CODE)
    save = looking.settled()
    assert set(save.files) >= {"plugins.yaml", "yours.py"}
    (desk / "yours.py").write_text("class (\n")
    assert [(each.file, each.line) for each in looking.settled().problems] == [("yours.py", 1)]


def test_it_is_timed_from_when_it_was_written_if_that_can_be(desk):
    looking = Looking(desk / "mine.py", (), None)
    looking.settled()
    written = time.time() - 2
    (desk / "mine.py").write_text(CODE + "# a\n")
    os.utime(desk / "mine.py", (written, written))
    assert looking.settled().at == pytest.approx(written, abs=0.01)
    (desk / "mine.py").write_text(CODE + "# b\n")
    os.utime(desk / "mine.py", (written - RECENT_S, written - RECENT_S))
    assert time.time() - looking.settled().at < 1


def test_mistakes_of_the_projects_files_are_told_before_anything(desk):
    (desk / "plugins.yaml").write_text(FILE.replace("strategies", "strategy"))
    with pytest.raises(ConfigError, match=r"plugins\.yaml:3"):
        target(desk / "mine.py", (), None)
