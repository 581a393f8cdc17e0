"""`dev` as an author has it: save the file, and that plugin alone is another one, warm."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root here"),
    pytest.mark.timeout(300),
]

FILE = """\
name: authored
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: ["BTCUSDT"], speed: 5, loop: true}
  strategies:
    - name: mine
      source: plugins/mine.py
  executors:
    - name: acting
      source: plugins/acting.py
"""
SIGNALLING = """\
from ntp import SignalType, StrategyPlugin, TradingSignal


class Mine(StrategyPlugin):
    def analyze(self, data, history):
        return TradingSignal(data.symbol, SignalType.BUY, 0.5, data.price, size=1.0)

    def get_indicators(self):
        return {"answer": 1.0}
"""
ACTING = """\
from ntp import ExecutorPlugin


class Acting(ExecutorPlugin):
    async def process_signal(self, signal):
        print(signal.signal_type.value, signal.metadata["tick_id"])
"""
FOLDER = {
    "plugin.yaml": "name: mine\nversion: 1.0.0\nkind: strategy\nentrypoint: mine:Mine\n",
    "mine.py": SIGNALLING,
}


class Dev:
    """One `ntpctl dev -o json`; its events as they come."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.events: list[dict] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, event: str, said=lambda _: True, *, within: float = 90) -> dict:
        """Return the next event of that name; those before it stay in `events`."""
        ends = time.monotonic() + within
        while True:
            try:
                found = json.loads(self._lines.get(timeout=max(0.01, ends - time.monotonic())))
            except queue.Empty:
                pytest.fail(f"no {event}: {self.process.poll()} {json.dumps(self.events)[-3000:]}")
            self.events.append(found)
            if found["event"] == event and said(found):
                return found

    def end(self, number: int = signal.SIGINT) -> str:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=120)
        assert "Traceback" not in said, said
        return said


@contextmanager
def developing(project, *arguments: str, folder: Path | None = None) -> Iterator[Dev]:
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "dev", *arguments, "-o", "json"],
        cwd=folder or project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Dev(process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=120)


def write(project, text=FILE, **plugins: str) -> Path:
    project.declare(text)
    folder = project.folder / "plugins"
    folder.mkdir(exist_ok=True)
    for name, code in {"mine": SIGNALLING, "acting": ACTING, **plugins}.items():
        (folder / f"{name}.py").write_text(code)
    return folder / "mine.py"


def lives(project) -> dict[str, tuple]:
    return {name: (each["started"], each["generation"]) for name, each in project.status().items()}


def acted(project) -> list[list[str]]:
    """What the executor was told, as [what, tick], in order."""
    lines = json.loads(project.ntpctl("logs", "acting", "-n", "100000", "-o", "json").stdout)
    return [each["text"].split() for each in lines["lines"] if each["stream"] == "stdout"]


def test_a_save_reloads_that_plugin_alone_and_it_is_warm(project):
    mine = write(project)
    with developing(project, "plugins/mine.py", "--replay", "100") as dev:
        assert dev.until("watching")["started"] is True
        dev.until("ready", lambda each: each["name"] == "mine")
        dev.until("signal")
        project.until(lambda seen: all(each["ready"] for each in seen.values()))
        # So much has come that a reload can be warm.
        project.until(lambda seen: seen["mine"]["flow"]["received"] > 150)
        before = lives(project)

        mine.write_text(SIGNALLING.replace("BUY", "SELL").replace("1.0}", "2.0}"))
        assert dev.until("saved")["files"] == ["plugins/mine.py"]
        (change,) = dev.until("applied")["changes"]
        assert (change["name"], change["do"]) == ("mine", "recreate")
        ready = dev.until("ready")
        assert ready["name"] == "mine"
        assert ready["replayed"]["ticks"] == 100
        assert ready["replayed"]["signals"] == 100
        assert ready["replayed"]["last"]["signal_type"] == "SELL"
        assert ready["indicators"] == {"BTCUSDT": {"answer": 2.0}}
        after = lives(project)
        assert {n for n, each in after.items() if each != before[n]} == {"mine"}
        assert all(each["restarts"] == 0 for each in project.status().values())

        # A signal of the new code reached the executor, and none for a tick that the old one had.
        dev.until("signal", lambda each: each["signal"]["signal_type"] == "SELL")
        project.until(lambda _: any(each[0] == "SELL" for each in acted(project)), within=30)
        told = acted(project)
        bought = {tick for what, tick in told if what == "BUY"}
        sold = {tick for what, tick in told if what == "SELL"}
        assert bought
        assert sold
        assert not bought & sold
        assert len(told) == len({tuple(each) for each in told})

        # What is broken changes nothing, and says where.
        good = mine.read_text()
        mine.write_text(good + "\nclass (\n")
        (problem,) = dev.until("broken")["problems"]
        line = good.count("\n") + 2
        assert (problem["file"], problem["line"]) == ("plugins/mine.py", line)
        assert problem["message"].startswith("it is not Python")
        mine.write_text("import no_such_module\n" + good)
        (problem,) = dev.until("broken")["problems"]
        assert (problem["file"], problem["line"]) == ("plugins/mine.py", 1)
        assert "no_such_module" in problem["message"]
        assert lives(project) == after
        mine.write_text(good)
        dev.until("unchanged")
        assert lives(project) == after
        said = dev.end()
    assert dev.process.returncode == 130
    assert "the project is down again" in said
    assert "nothing of project 'authored'" in project.ntpctl("status", exit_code=3).stderr


@pytest.mark.long
def test_a_project_that_ran_stays_and_can_go_back(project):
    mine = write(project)
    project.ntpctl("apply", "--yes")
    before = lives(project)
    # An edit of the project's file that nobody has applied is none of its business.
    project.declare(FILE.replace("speed: 5", "speed: 6"))
    with developing(project, "plugins/mine.py") as dev:
        assert dev.until("watching")["started"] is False
        dev.until("ready")
        assert lives(project) == before
        mine.write_text(SIGNALLING + "# another one\n")
        dev.until("ready")
        said = dev.end(signal.SIGTERM)
    assert "the project runs on with what was saved" in said
    assert "rollback 1" in said
    after = lives(project)
    assert {name for name, each in after.items() if each != before[name]} == {"mine"}
    project.ntpctl("rollback", "1", "--yes")
    change = json.loads(project.ntpctl("history", "-o", "json").stdout)["revisions"][-1]
    assert change["again"] == 1


def test_a_plugin_alone_has_a_project_of_its_own_that_leaves_nothing(project):
    folder = project.folder / "empty"
    folder.mkdir()
    (folder / "My Strategy.py").write_text("")
    (folder / "breakout.py").write_text(SIGNALLING)
    made = Path(tempfile.gettempdir())
    there = {each.name for each in made.glob("ntp-dev-*")}
    with developing(project, "breakout.py", folder=folder) as dev:
        watching = dev.until("watching")
        assert (watching["names"], watching["project"]) == (["breakout"], "dev")
        dev.until("ready", lambda each: each["name"] == "breakout")
        dev.until("signal")
        (new,) = {each.name for each in made.glob("ntp-dev-*")} - there
        dev.end()
    assert dev.process.returncode == 130
    assert not (made / new).exists()
    with subprocess.Popen(["pgrep", "-f", new], stdout=subprocess.PIPE, text=True) as found:
        assert found.communicate()[0] == ""


@pytest.mark.long
def test_a_folder_that_fails_at_its_start_falls_back_to_the_last_good_one(project):
    folder = project.folder / "my-strategy"
    folder.mkdir()
    for name, text in FOLDER.items():
        (folder / name).write_text(text)
    write(project, FILE.replace("source: plugins/mine.py", "source: my-strategy"))
    with developing(project, "my-strategy/mine.py", "--replay", "0") as dev:
        ready = dev.until("ready", lambda each: each["name"] == "mine")
        assert ready["replayed"]["ticks"] == 0
        project.until(lambda seen: seen["mine"]["ready"])
        (folder / "mine.py").write_text(SIGNALLING + "\nno_such_name\n")
        dev.until("applied")
        failed = dev.until("failed")
        line = SIGNALLING.count("\n") + 2
        assert (
            f"NameError: name 'no_such_name' is not defined (mine.py:{line})" in failed["message"]
        )
        dev.until("returned")
        again = project.until(lambda seen: seen["mine"]["ready"])
        # The same code as before the save, in a generation of its own.
        assert again["mine"]["generation"] > ready["generation"]
        (folder / "helping.py").write_text("ANSWER = 42\n")
        (folder / "mine.py").write_text(SIGNALLING + "\nimport helping\n")
        assert "my-strategy/mine.py" in dev.until("saved")["files"]
        dev.until("ready", lambda each: each["name"] == "mine")
        dev.end()


@pytest.mark.long
def test_a_whole_project_follows_its_own_files_too(project):
    mine = write(project)
    with developing(project, ".") as dev:
        assert sorted(dev.until("watching")["names"]) == ["acting", "mine"]
        dev.until("ready", lambda each: each["name"] == "mine")
        project.until(lambda seen: all(each["ready"] for each in seen.values()))
        project.declare(FILE.replace("plugins:", "plugins:\n  indicator:"))
        (problem,) = dev.until("broken")["problems"]
        assert (problem["file"], problem["line"]) == ("plugins.yaml", 3)
        text = FILE.replace("    - name: mine\n", "    - name: mine\n      history: 50\n")
        project.declare(text)
        assert dev.until("saved")["files"] == ["plugins.yaml"]
        changes = dev.until("applied")["changes"]
        assert [each["name"] for each in changes] == ["mine"]
        assert "history 1000 -> 50" in changes[0]["cause"]
        assert dev.until("ready")["replayed"]["problem"] == ""
        mine.write_text(SIGNALLING + "# another one\n")
        dev.until("ready", lambda each: each["name"] == "mine")
        dev.end()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such.py"], "no-such.py: it does not exist"),
        (["empty"], "empty: the folder has neither a plugin.yaml nor a plugins.yaml"),
        (["notes.txt"], "notes.txt: it is no plugin"),
        ([".", "-f", "plugins.yaml"], "leave -f out"),
        (["lone.py", "-f", "plugins.yaml"], "no entry of plugins.yaml runs it"),
        (["torn.py"], "torn.py:2:1: it is not Python"),
        (["needy.py"], "needy.py: its config needs key"),
    ],
)
def test_what_cannot_be_developed_is_told(project, tmp_path, arguments, words):
    (tmp_path / "temporary").mkdir()
    project.environment["TMPDIR"] = str(tmp_path / "temporary")
    write(project)
    (project.folder / "empty").mkdir()
    (project.folder / "notes.txt").write_text("")
    (project.folder / "lone.py").write_text(SIGNALLING)
    (project.folder / "torn.py").write_text("\nclass (\n")
    (project.folder / "needy.py").write_text(
        SIGNALLING.replace("import ", "import PluginMetadata, ")
        + '    def get_metadata(self):\n        return PluginMetadata("n", "1", config_schema='
        '{"type": "object", "properties": {"key": {}}, "required": ["key"]})\n'
    )
    run = project.ntpctl("dev", *arguments, exit_code=2)
    assert words in run.stderr
    assert not list((tmp_path / "temporary").iterdir())
