"""The demo on a terminal: a live view of the whole screen, and then a terminal as it was before."""

import os
import re
import sys
import tempfile
from pathlib import Path

import pytest

from tests.worlds.terminal import Terminal

pytestmark = pytest.mark.timeout(240)

SHOWN, GONE = b"\x1b[?1049h", b"\x1b[?1049l"
DEMO = [sys.executable, "-m", "orchestrator", "demo", "--speed", "10"]


@pytest.fixture
def terminal(cache):
    # A short folder: what lies in it has Unix sockets.
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NTP_CACHE": str(cache), "TMPDIR": folder}
        with Terminal(DEMO, 120, 44, environment=environment) as opened:
            yield opened, Path(folder)


def stands(terminal, *words):
    """A claim that all of these stand in the picture."""
    return lambda: all(any(word in line for line in terminal.picture) for word in words)


def test_a_person_sees_it_run_and_then_what_came_of_it(terminal):
    seen, folder = terminal
    seen.until(stands(seen, "plays as soon as all are there", "│ Waiting"), within_s=90)
    seen.until(stands(seen, "of 50 s played", "6/6 ready", "│ Running", "messages/s"), within_s=90)
    seen.until(stands(seen, "BUY ", "synthetic"), within_s=90)

    assert seen.ended(within_s=120) == 0
    assert seen.is_as_before()
    assert seen.text.count(SHOWN) == seen.text.count(GONE) == 1
    after = seen.text.rpartition(GONE)[2].decode()
    assert "synthetic: AAPL, GOOGL" in after
    assert re.search(r"P&L before fees -\d+\.\d\d, fees \d+\.\d\d, result -\d+\.\d\d", after)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("key", [pytest.param(b"q", marks=pytest.mark.long), b"\x03"])
def test_who_leaves_in_the_middle_leaves_nothing_behind(terminal, key):
    seen, folder = terminal
    seen.until(stands(seen, "of 50 s played"), within_s=90)
    seen.press(key)

    assert seen.ended(within_s=90) == 130
    assert seen.is_as_before()
    assert b"interrupted" in seen.text.rpartition(GONE)[2]
    assert list(folder.iterdir()) == []
