"""A project of its own under the real controller, in a folder that is gone afterwards, come what may."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from ntp.contract.beat import Beat
from orchestrator import app
from orchestrator.app import Declaration
from orchestrator.control import client
from orchestrator.control.protocol import SOCKET
from orchestrator.errors import NtpError
from orchestrator.settings import Settings, find
from tests.benchmarks import tiny

ROOT = Path(__file__).parents[2]
SERVE = ("orchestrator", "serve")
DEADLINE_S = 90.0


class Project:
    """Made by `running`."""

    def __init__(self, declared: Declaration, controller: subprocess.Popen[bytes]) -> None:
        self.settings = declared.settings
        self.controller = controller
        self._declared = declared

    def apply(self) -> None:
        """Apply the files and wait until everything is ready; AssertionError says who is not."""
        outcome: dict[str, Any] = {}
        for message in app.apply(self._declared, wait=True, deadline=DEADLINE_S):
            outcome = message.get("result", outcome)
        assert outcome.get("ready"), f"not ready: {outcome.get('waiting')}"

    def ask(self, what: str) -> dict[str, Any]:
        return app.ask(self.settings, what)

    def beats(self) -> Mapping[str, Beat]:
        return {
            name: msgspec.convert(entry["beat"], Beat, strict=False)
            for name, entry in self.ask("beats")["beats"].items()
        }

    def states(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the status of each plugin by name."""
        return {each["name"]: each for each in self.ask("status")["plugins"]}


@contextmanager
def running(
    name: str,
    text: str,
    *,
    serve: Sequence[str] = SERVE,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Project]:
    """Yield a project whose controller answers; nothing is applied. `serve`: module and its words."""
    with tempfile.TemporaryDirectory(prefix=f"ntp-bench-{name}-") as place:
        folder = Path(place)
        file = folder / "plugins.yaml"
        file.write_text(text)
        mine = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PLUGIN_", "NTP_"))
        }
        mine |= {"NTP_STATE": str(folder / "state"), "NTP_CACHE": str(folder / "cache")}
        mine |= environment or {}
        settings = find([str(file)], project=name, environment=mine, cwd=folder)
        declared = Declaration(settings, ((file.name, text),))
        with (folder / "controller.log").open("wb") as log:
            controller = subprocess.Popen(
                [sys.executable, "-m", *serve, "--project", name, "--file", str(file)],
                cwd=ROOT,
                env=mine,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            until(
                lambda: client.answers(settings.state / SOCKET),
                f"no controller: {(folder / 'controller.log').read_text()[-2000:]}",
            )
            yield Project(declared, controller)
        finally:
            _end(settings, controller)


def until(reached: Callable[[], object], what: str, *, within_s: float = DEADLINE_S) -> None:
    """Poll until `reached()` is true; AssertionError(what) at the deadline."""
    ends = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < ends, what
        time.sleep(0.01)


def _end(settings: Settings, controller: subprocess.Popen[bytes]) -> None:
    with suppress(NtpError):
        for _ in client.call(
            settings.state / SOCKET, "down", within_s=60.0, delete_data=True, deadline=50.0
        ):
            pass
    try:
        controller.wait(15.0)
    except subprocess.TimeoutExpired:
        controller.kill()
        controller.wait()
    # Nothing, after an orderly `down`; else whatever a failure left.
    asyncio.run(tiny.clear(settings.project, settings.state))
    left = [each for each in app.left_behind(settings) if not each.startswith("folder")]
    assert not left, f"left behind: {left}"
