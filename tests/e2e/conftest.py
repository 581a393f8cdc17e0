"""A project as a user has one: a folder with a plugins.yaml, and ntpctl run as a command."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.worlds import limits
from tests.worlds.users import plain

ROOT = Path(__file__).parents[2]
HOSTILE = ROOT / "tests" / "fixtures" / "plugins" / "hostile"


class Project:
    """One project in a folder of its own; `ntpctl` is run as its user would."""

    def __init__(self, folder: Path, cache: Path, plugin_dir: Path) -> None:
        self.folder = folder
        self.file = folder / "plugins.yaml"
        self.environment = {
            **plain(),
            "NTP_STATE": str(folder / "state"),
            "NTP_CACHE": str(cache),
            "PLUGIN_DIR": str(plugin_dir),
        }  # fmt: skip

    def declare(self, text: str) -> None:
        self.file.write_text(text)

    def ntpctl(self, *arguments: str, exit_code: int | None = 0, timeout: float = 150):
        run = subprocess.run(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        if exit_code is not None and run.returncode != exit_code:
            events = (
                "" if arguments[0] == "events" else self.ntpctl("events", exit_code=None).stdout
            )
            pytest.fail(
                f"ntpctl {' '.join(arguments)} ended with {run.returncode}\n{run.stdout}\n{run.stderr}\n"
                + "\n".join(events.splitlines()[-60:])
            )
        assert "Traceback" not in run.stderr, run.stderr
        return run

    def lose_state(self) -> None:
        """Remove the state folder under all that runs, in one step."""
        lost = (self.folder / "state").rename(self.folder / "lost")
        # Who still writes there may be quicker than we are.
        shutil.rmtree(lost, ignore_errors=True)

    def first_line(self, *arguments: str, meanwhile: tuple[str, ...], within: float = 60) -> str:
        """Run a command that follows, and `meanwhile` another; end it by Ctrl-C after its first line."""
        with subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as follower:
            overdue = threading.Timer(within, follower.kill)
            overdue.start()
            try:
                self.ntpctl(*meanwhile)
                line = follower.stdout.readline()
                follower.send_signal(signal.SIGINT)
                _, said = follower.communicate(timeout=within)
            finally:
                overdue.cancel()
                follower.kill()
        assert follower.returncode == 130, said
        assert "Traceback" not in said, said
        return line

    def status(self) -> dict[str, dict]:
        answer = json.loads(self.ntpctl("status", "-o", "json").stdout)
        return {plugin["name"]: plugin for plugin in answer["plugins"]}

    def until(self, said, *, within: float = 60):
        """Poll `status` until `said(status)` is true, and return that status."""
        ends = time.monotonic() + within
        while True:
            seen = self.status()
            if said(seen):
                return seen
            assert time.monotonic() < ends, json.dumps(seen, indent=1)[:4000]


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """One cache for all: environments are built once, as on a user's machine."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def project_in(cache) -> Callable[[Path], Project]:
    """Make a project in a folder; whoever makes one takes it down."""
    return lambda folder: Project(folder, cache, HOSTILE)


@pytest.fixture(scope="session")
def limited() -> None:
    """For tests of what limits do; of root, or of a user to whom systemd has delegated a group."""
    if not limits.hold():
        pytest.skip("limits need control groups that we may write")


@pytest.fixture
def project(tmp_path, cache) -> Iterator[Project]:
    made = Project(tmp_path, cache, HOSTILE)
    try:
        yield made
    finally:
        if (tmp_path / "state").exists():
            made.ntpctl("down", "--delete-data", "--yes", exit_code=None)
