"""docs/tutorial.md typed in an empty folder, word by word, by someone with a checkout."""

import sys
from pathlib import Path

import pytest

from tests.worlds.page import Command, Session
from tests.worlds.users import plain

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
LATER = TUTORIAL.partition("\n## A strategy of your own\n")[2]


@pytest.fixture
def session(tmp_path, cache):
    environment = plain()
    environment |= {
        "NTP_STATE": str(tmp_path / "state"),
        "NTP_CACHE": str(cache),
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
    }
    (tmp_path / "folder").mkdir()
    session = Session(tmp_path / "folder", environment)
    yield session
    session._run("ntpctl down --delete-data --yes")


@pytest.mark.timeout(300)
def test_the_strategy_of_the_tutorial_is_made_changed_and_taken_back(session):
    # The demo before it has a test of its own.
    assert session.follow(LATER) > 20
    assert (session.folder / "plugins" / "dip.py").is_file()


@pytest.mark.parametrize(
    ("shown", "text", "same"),
    [
        ((), "", True),
        ((), "words\n", False),
        (("a … c",), "a b c   \n", True),
        (("a … c",), "a b\nc\n", False),
        (("…", "end"), "end\n", True),
        (("…", "end"), "one\ntwo\nend\n", True),
        (("…", "end"), "one\nend\nmore\n", False),
        (("1.0",), "1x0\n", False),
    ],
)
def test_what_a_page_shows_is_compared_as_a_whole(shown, text, same):
    assert Command("command", shown).prints(text) is same
