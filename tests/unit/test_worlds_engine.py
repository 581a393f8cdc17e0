"""The engine of the tests ends with them, however they end."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from ntp.confine import tree

WATCH = Path(__file__).parents[1] / "worlds" / "engine_watch.py"
# Who starts an engine: here a program that has the engine's folder on its command line, and a child.
TESTS = """
import signal, subprocess, sys
watch, folder = sys.argv[1:]
subprocess.Popen([sys.executable, watch, folder], stdin=subprocess.PIPE, start_new_session=True)
child = "import os; os.fork(); import signal; signal.pause()"
engine = subprocess.Popen([sys.executable, "-c", child, folder + "/sock"], start_new_session=True)
print(engine.pid, flush=True)
signal.pause()
"""


def test_an_engine_goes_with_tests_that_were_killed(tmp_path):
    folder = tmp_path / "engine"
    (folder / "data").mkdir(parents=True)
    words = [sys.executable, "-c", TESTS, str(WATCH), str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as tests:
        engine = int(tests.stdout.readline())
        ends = time.monotonic() + 60
        while len(left := tree.members(engine)) < 2:
            assert time.monotonic() < ends
        tests.send_signal(signal.SIGKILL)
    while folder.exists() or any(map(tree.alive, left)):
        assert time.monotonic() < ends
        time.sleep(0.01)
