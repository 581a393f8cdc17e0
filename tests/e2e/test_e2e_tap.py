"""Listening to plugins that really run, as their user: what is heard, and who is disturbed by it."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from tests.worlds.terminal import Terminal

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root here"),
    pytest.mark.timeout(300),
]

FILE = """
name: heard
plugins:
  data_sources:
    - name: replay_data
      config: {{symbols: ["BTCUSDT", "ETHUSDT"], speed: {speed}, loop: true}}
  indicators:
    - name: rsi_indicator
  strategies:
    - name: bollinger_strategy
  executors:
    - name: paper_executor
"""
WITHOUT = """
name: heard
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: ["BTCUSDT", "ETHUSDT"], speed: 20, loop: true}
  strategies:
    - name: bollinger_strategy
"""
PLUGINS = 4


class Listener:
    """`tap` as a process: its lines as they come, what it says, how it ends."""

    def __init__(self, child):
        self.child = child
        self.lines = queue.Queue()
        self.said = queue.Queue()
        self._readers = [
            threading.Thread(target=_read, args=(stream, into))
            for stream, into in ((child.stdout, self.lines), (child.stderr, self.said))
        ]
        for reader in self._readers:
            reader.start()

    def line(self, within_s=60):
        return self.lines.get(timeout=within_s)

    def until_said(self, words, within_s=60):
        ends = time.monotonic() + within_s
        while words not in (told := self.said.get(timeout=max(0.01, ends - time.monotonic()))):
            pass
        return told

    def ended(self, within_s=60):
        code = self.child.wait(timeout=within_s)
        for reader in self._readers:
            reader.join()
        return code


def _read(stream, into):
    for line in stream:
        into.put(line)


class Heard:
    """Adds up what documents say was dropped, and what their sequence numbers say is missing."""

    def __init__(self, stream):
        self._stream = stream
        self.last = {}
        self.dropped = self.missing = 0

    def read(self):
        each = json.loads(self._stream.readline())
        self.missing += each["seq"] - self.last.get(each["symbol"], each["seq"] - 1) - 1
        self.last[each["symbol"]] = each["seq"]
        self.dropped += each["dropped"]


@contextmanager
def tap(project, *arguments):
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "tap", *arguments],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        listener = Listener(child)
        try:
            yield listener
        finally:
            child.kill()
            listener.ended()


def accounts(project):
    """Names of the claims that the broker holds."""
    folder = project.folder / "state" / "heard" / "broker" / "accounts"
    return sorted(each.name for each in folder.iterdir())


def documents(project, *arguments):
    run = project.ntpctl("tap", *arguments, "-o", "json")
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_each_plugin_is_heard_for_as_long_or_as_much_as_was_asked(project):
    project.declare(FILE.format(speed=20))
    project.ntpctl("apply")
    before = accounts(project)

    for name, channel, what in (
        ("replay_data", "data", "tick"),
        ("rsi_indicator", "indicator", "value"),
        ("bollinger_strategy", "signal", "signal"),
        ("paper_executor", "fill", "fill"),
    ):
        found = documents(project, name, "--count", "3")
        assert [(each["name"], each["channel"], each["what"]) for each in found] == [
            (name, channel, what)
        ] * 3
        assert all(each["dropped"] == 0 for each in found)
    ticks = documents(project, "replay_data", "--symbol", "ETHUSDT", "--for", "3s")
    assert {each["symbol"] for each in ticks} == {"ETHUSDT"}
    assert [each["seq"] - ticks[0]["seq"] for each in ticks] == list(range(len(ticks)))
    (beat,) = documents(project, "bollinger_strategy", "beat", "--count", "1")
    assert beat["body"]["instance"] == "bollinger_strategy"
    (line,) = project.ntpctl("tap", "rsi_indicator", "--raw", "-n", "1").stdout.splitlines()
    assert "  ind." in line
    assert '"indicator":"rsi_indicator"' in line
    run = project.ntpctl("tap", "replay_data", "--symbol", "DOGE", "--for", "7s")
    assert (run.stdout, "only of BTCUSDT, ETHUSDT" in run.stderr) == ("", True)
    assert run.stderr.endswith("replay_data said nothing\n")
    run = project.ntpctl(
        "tap", "replay_data", "-n", "2", "--for", "100ms", "--symbol", "X", exit_code=5
    )
    assert "0 of 2 messages came in 100ms" in run.stderr

    assert accounts(project) == before, "no right is left"
    assert len(before) == PLUGINS + 2
    for status in project.status().values():
        assert (status["restarts"], status["flow"]["lost"]) == (0, 0)


def test_ctrl_c_on_a_terminal_leaves_no_right_and_no_process(project):
    project.declare(FILE.format(speed=20))
    project.ntpctl("apply")
    before = accounts(project)
    command = [sys.executable, "-m", "orchestrator", "tap", "bollinger_strategy"]

    with Terminal(command, 120, 24, environment=project.environment, folder=project.folder) as at:
        at.until(lambda: b" price " in at.text)
        assert any(mark in at.text for mark in (b"\x1b[32m", b"\x1b[31m")), "bought green, sold red"
        assert len(accounts(project)) == len(before) + 1
        at.press(b"\x03")
        assert at.ended() == 130
        assert at.is_as_before()
        assert at.text.endswith(b"\r\ninterrupted\r\n")
    ends = time.monotonic() + 20
    while accounts(project) != before:
        assert time.monotonic() < ends, accounts(project)


@pytest.mark.long
def test_a_reader_that_stops_reading_harms_nobody_and_learns_what_it_missed(project):
    project.declare(FILE.format(speed=1000))
    project.ntpctl("apply")
    ntpctl = [sys.executable, "-m", "orchestrator", "tap", "replay_data", "-o", "json"]

    with subprocess.Popen(
        ntpctl, cwd=project.folder, env=project.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as reader:  # fmt: skip
        heard = Heard(reader.stdout)
        ends = time.monotonic() + 60
        while heard.dropped or len(heard.last) < 2:
            if time.monotonic() > ends:
                reader.kill()  # else the end of the block waits for it
                pytest.fail("this machine is too slow to print ticks as they come")
            heard = Heard(reader.stdout)
            for _ in range(200):
                heard.read()
        sent = project.status()["replay_data"]["flow"]["sent"]
        # Nobody reads meanwhile: the pipe is full, and what comes is dropped.
        project.until(lambda seen: seen["replay_data"]["flow"]["sent"] > sent + 50_000, within=120)
        project.status()  # the controller answers
        for _ in range(300_000):
            heard.read()
            if heard.dropped > 10_000 and heard.missing == heard.dropped:
                break
        reader.send_signal(signal.SIGINT)
        reader.stdout.read()
        said = reader.stderr.read()

    assert reader.returncode == 130
    assert heard.dropped > 10_000
    assert heard.missing == heard.dropped, "not one tick more or less than it says"
    assert "dropped: they came faster than they could be printed" in said
    seen = project.status()
    assert all(each["ready"] and not each["restarts"] for each in seen.values())


def test_who_does_not_run_is_waited_for_where_that_is_wanted(project):
    project.declare(FILE.format(speed=20))
    project.ntpctl("apply")
    project.ntpctl("stop", "bollinger_strategy")

    run = project.ntpctl("tap", "bollinger_strategy", exit_code=5)
    assert "bollinger_strategy does not run: Stopped: by hand" in run.stderr
    assert "fix: `ntpctl tap --wait bollinger_strategy` waits until it runs" in run.stderr
    run = project.ntpctl("tap", "bolinger_strategy", exit_code=5)
    assert (
        "no plugin is named 'bolinger_strategy'; did you mean 'bollinger_strategy'?" in run.stderr
    )
    run = project.ntpctl("tap", "bollinger_strategy", "--wait", "--deadline", "1", exit_code=5)
    assert "it was waited for" in run.stderr
    with tap(project, "bollinger_strategy", "--wait", "-o", "json", "-n", "1") as listener:
        listener.until_said("does not run: Stopped")
        project.ntpctl("start", "bollinger_strategy")
        assert json.loads(listener.line())["seq"] == 1, "from its first signal on"
        assert listener.ended() == 0


@pytest.mark.long
def test_who_listens_stays_while_all_else_is_replaced(project):
    """The controller is killed, then the broker; the plugin is stopped, and at last removed."""
    project.declare(FILE.format(speed=20))
    project.ntpctl("apply")
    state = project.folder / "state" / "heard"

    with tap(project, "paper_executor", "-o", "json") as listener:
        listener.line()
        os.kill(int((state / "controller.lock").read_text()), signal.SIGKILL)
        listener.lines.queue.clear()
        listener.line()
        project.ntpctl("apply")
        listener.until_said("listening again; what was said meanwhile is missing")
        listener.line()
        os.kill(int((state / "broker" / "server.pid").read_text()), signal.SIGKILL)
        listener.until_said("listening again")
        listener.lines.queue.clear()
        listener.line()
        project.ntpctl("stop", "paper_executor")
        listener.until_said("paper_executor does not run: Stopped: by hand")
        project.declare(WITHOUT)
        project.ntpctl("apply", "--allow-deletes")
        listener.until_said("error: no plugin is named 'paper_executor'")
        assert listener.ended() == 5
    assert len(accounts(project)) == 2 + 2
