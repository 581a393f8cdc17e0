"""Two folders of one name are not one project, unless a person says so."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from orchestrator.ports import Revision
from orchestrator.store.glance import applied_from
from orchestrator.store.sqlite import SqliteStore

FILE = "plugins:\n  data_sources:\n    - name: replay_data\n"


@pytest.fixture
def q(tmp_path):
    """A folder y/q, and a project that was applied from z/q."""
    for parent in ("y", "z"):
        (tmp_path / parent / "q").mkdir(parents=True)
        (tmp_path / parent / "q" / "plugins.yaml").write_text(FILE)
    revision = Revision(
        number=1,
        applied=datetime.now(UTC),
        sources=(("plugins.yaml", FILE),),
        resolved={},
        settings={"folder": str(tmp_path / "z" / "q")},
    )
    with SqliteStore.open(tmp_path / "state" / "q" / "state.db") as store:
        store.save(revision, expect=None)
    return tmp_path / "y" / "q"


def ntpctl(folder, *arguments):
    root = folder.parents[1]
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        cwd=folder,
        env={**os.environ, "NTP_STATE": str(root / "state"), "NTP_CACHE": str(root / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "arguments",
    [["plan"], ["apply"], ["apply", "--yes", "--no-wait"], ["apply", "--dry-run"], ["down"],
     ["down", "--delete-data", "--yes"], ["serve", "--watch"]],
)  # fmt: skip
def test_another_folder_of_that_name_is_refused_with_the_ways_out(q, arguments):
    state = q.parents[1] / "state" / "q"
    run = ntpctl(q, *arguments)
    assert run.returncode == 4, run.stderr
    assert f"project 'q' was applied from {q.parents[1] / 'z' / 'q'}, not from {q}" in run.stderr
    assert "--project NAME" in run.stderr
    assert "`--project q` if it is meant" in run.stderr
    assert [path.name for path in state.iterdir()] == ["state.db"], "nothing was started"


def test_the_folder_itself_and_a_name_that_was_given_go_on(q):
    # Nobody answers, so the answer is 3: it went on as far as that.
    assert ntpctl(q.parents[1] / "z" / "q", "plan").returncode == 3
    assert ntpctl(q, "plan", "--project", "q").returncode == 3
    assert ntpctl(q, "plan", "--project", "other").returncode == 6
    (q / "plugins.yaml").write_text("name: q\n" + FILE)
    assert ntpctl(q, "plan").returncode == 3


def test_a_link_to_the_folder_is_the_folder(q):
    (q.parents[1] / "x").mkdir()
    link = q.parents[1] / "x" / "q"
    link.symlink_to(q.parents[1] / "z" / "q")
    assert ntpctl(link, "plan", "-f", str(link / "plugins.yaml")).returncode == 3


def test_a_glance_at_what_is_no_store(tmp_path):
    path = tmp_path / "state.db"
    assert applied_from(path) is None
    path.touch()
    assert applied_from(path) is None
    with SqliteStore.open(path):
        assert applied_from(path) is None, "open, and nothing was applied yet"
    path.write_bytes(b"no database at all" * 100)
    assert applied_from(path) == ""
    with SqliteStore.open(path):
        assert applied_from(path) == "", "it may be in the damaged one, which was put aside"
