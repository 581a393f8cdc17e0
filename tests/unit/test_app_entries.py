"""An edit of plugins.yaml that is cut off, and who may read what is written meanwhile."""

import stat
import sys

import pytest

from orchestrator.app import entries
from orchestrator.settings import find

FILE = "plugins:\n  executors:\n    - name: paper_executor\n"
ADDED = {"name": "bought", "image": f"localhost/bought:1.0.0@sha256:{'a' * 64}"}


@pytest.fixture
def file(tmp_path):
    found = tmp_path / "plugins.yaml"
    found.write_text(FILE)
    return found


def when_made(place, do):
    """Have `do` called with the scratch file that comes to be in a folder, in that very moment."""

    def look(_frame, event, _function):
        if event == "c_return":
            for path in place.glob(".plugins.yaml.*"):
                sys.setprofile(None)
                do(path)

    sys.setprofile(look)


def ended(_):
    raise KeyboardInterrupt


def test_ended_in_the_moment_in_which_its_scratch_file_is_made_an_edit_leaves_none(file):
    settings = find([str(file)], project="desk")
    try:
        when_made(file.parent, ended)
        with pytest.raises(KeyboardInterrupt):
            entries.add(settings, "executors", ADDED)
    finally:
        sys.setprofile(None)
    assert list(file.parent.glob(".plugins.yaml.*")) == []
    assert file.read_text() == FILE


def test_what_is_written_is_private_from_its_first_moment_and_then_as_it_was(file):
    file.chmod(0o640)
    modes = []
    try:
        when_made(file.parent, lambda path: modes.append(stat.S_IMODE(path.stat().st_mode)))
        entries.add(find([str(file)], project="desk"), "executors", ADDED)
    finally:
        sys.setprofile(None)
    assert modes == [0o600]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
