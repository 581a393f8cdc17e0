"""A controller as its own process, on the real runtime and the real broker; it can be killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.control import client
from orchestrator.control.protocol import SOCKET
from orchestrator.errors import NtpError, UnreachableError
from tests.worlds.users import plain

PLUGINS = """\
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: [BTCUSDT], speed: 1, loop: true}
  indicators:
    - name: rsi_indicator
      config: {period: 14}
  strategies:
    - name: bollinger_strategy
      config: {period: 20, std_dev: 2.0, position_size: 0.02}
  executors:
    - name: paper_executor
"""
NAMES = {"replay_data", "rsi_indicator", "bollinger_strategy", "paper_executor"}


class Office:
    """A project folder, and the controller that serves it, if one lives."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.state = folder / "state" / "office"
        self.socket = self.state / SOCKET
        self.environment = {
            **plain(),
            "NTP_STATE": str(folder / "state"),
            "NTP_CACHE": str(cache),
        }
        self.process: subprocess.Popen | None = None

    def serve(self, *, wait: bool = True) -> subprocess.Popen:
        with (self.folder / "controller.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "orchestrator", "serve", "--project", "office"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.until(lambda: client.answers(self.socket), "a controller that answers")
        return self.process

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=30)
            self.process = None

    def ask(self, name: str, **arguments):
        """Return the result of a call; the controller may be just starting."""
        return self.until(lambda: self._asked(name, arguments), name)

    def _asked(self, name, arguments):
        try:
            return client.ask(self.socket, name, within_s=100, **arguments)
        except UnreachableError:
            return None

    def apply(self, text: str = PLUGINS, **order):
        """Apply, and have all ready."""
        outcome = self.ask(
            "apply",
            sources=[["plugins.yaml", text]],
            settings={"folder": str(self.folder)},
            deadline=60,
            **order,
        )
        assert outcome["ready"], f"{outcome['waiting']}\n{self.log()[-4000:]}"
        return outcome

    def begin_apply(self, text: str = PLUGINS) -> None:
        """Ask, and do not wait for anything."""
        with contextlib.suppress(NtpError):
            self.ask("apply", sources=[["plugins.yaml", text]], settings={}, wait=False)

    def until(self, condition, what: str, *, within_s: float = 60.0):
        ends = time.monotonic() + within_s
        while not (found := condition()):
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the controller ended:\n{self.log()[-3000:]}")
            assert time.monotonic() < ends, f"no {what}\n{self.log()[-3000:]}"
            time.sleep(0.02)
        return found

    def log(self) -> str:
        return (self.folder / "controller.log").read_text(errors="replace")

    def shims(self) -> dict[str, list[int]]:
        """Return the pids of the shims of this project, by instance: the containers that there are."""
        run = str(self.state / "run") + "/"
        found: dict[str, list[int]] = {}
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            named = [word for word in words if word.startswith(run)]
            if named and any(word.endswith("shim.py") for word in words):
                name = named[0].removeprefix(run).partition("/")[0]
                found.setdefault(name, []).append((int(process.name), int(parent)))
        # A shim forks helpers of the same command line: count those whose parent is none of them.
        return {
            name: sorted(pid for pid, parent in pids if parent not in {each for each, _ in pids})
            for name, pids in found.items()
        }

    def plugin(self, name: str) -> int:
        """Return the pid of the plugin itself: the youngest process below its shim that runs it."""
        (shim,) = self.shims()[name]
        parents, lines = {}, {}
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    stat = (process / "stat").read_text().rpartition(")")[2].split()
                    parents[int(process.name)] = int(stat[1])
                    lines[int(process.name)] = (process / "cmdline").read_bytes()
        below, found = {shim}, []
        for pid in sorted(parents):
            if parents[pid] in below:
                below.add(pid)
                if b"ntp.runner" in lines[pid]:
                    found.append(pid)
        return found[-1]

    def processes(self) -> list[str]:
        """Return the command line of every process that names this project's folder, but ours."""
        found = []
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if process.name.isdigit() and int(process.name) != os.getpid():
                    line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if str(self.folder) in line:
                        found.append(line)
        return found

    def down(self) -> None:
        if self.state.exists():
            if self.process is None:
                self.serve()
            with contextlib.suppress(NtpError):
                client.ask(self.socket, "down", within_s=60, delete_data=True)
        if self.process is not None:
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def office(tmp_path, cache):
    made = Office(tmp_path, cache)
    try:
        yield made
    finally:
        made.down()
        left = made.processes()
        assert left == [], "left behind"
