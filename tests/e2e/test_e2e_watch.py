"""`serve --watch` as a user has it: save the file, and it is so; or `status` says why not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root here"),
    pytest.mark.timeout(240),
]

FILE = """\
name: watched
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: ["BTCUSDT"], speed: 100}
  strategies:
    - name: bollinger_strategy
      config: {period: 20}
    - name: momentum_strategy
"""


@contextmanager
def served(project) -> Iterator[subprocess.Popen]:
    with (project.folder / "serve.log").open("ab") as log:
        controller = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "serve", "--watch"],
            cwd=project.folder,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield controller
    finally:
        controller.send_signal(signal.SIGINT)
        controller.wait(timeout=30)


def until(project, said, *, within=60.0):
    """Poll `status` until `said(answer)`; a controller that starts is not asked in vain."""
    ends = time.monotonic() + within
    while True:
        run = project.ntpctl("status", "-o", "json", exit_code=None)
        answer = json.loads(run.stdout) if run.returncode == 0 else {}
        if answer and said(answer):
            return answer
        assert time.monotonic() < ends, (answer, (project.folder / "serve.log").read_text()[-3000:])


def refused(answer) -> str:
    return next(
        (c["message"] for c in answer["conditions"] if c["type"] == "FileFollowed" and not c["status"]),
        "",
    )  # fmt: skip


def runs(revision):
    def said(answer) -> bool:
        ready = [plugin["ready"] for plugin in answer["plugins"]]
        return answer["revision"] == revision and all(ready) and not refused(answer)

    return said


def generations(answer):
    return {plugin["name"]: plugin["generation"] for plugin in answer["plugins"]}


def test_a_saved_file_runs_and_a_broken_one_is_told_and_stops_nothing(project):
    project.declare(FILE)
    with served(project) as controller:
        until(project, runs(1))

        project.declare(FILE.replace("period: 20", "period: twenty"))
        broken = until(project, refused)
        assert "plugins.yaml:8:16" in refused(broken)
        assert all(plugin["ready"] for plugin in broken["plugins"])
        table = project.ntpctl("status")
        assert "FileFollowed: FileInvalid: plugins.yaml:8:16" in table.stderr
        assert "FileInvalid" in project.ntpctl("events").stdout

        project.declare("name: watched\nplugins:\n  data_sources:\n    - name: replay_data\n")
        assert "--allow-deletes" in refused(until(project, lambda a: "refused" in refused(a)))

        project.declare(FILE.replace("period: 20", "period: 30"))
        edited = until(project, runs(2))
        assert generations(edited) == {
            "bollinger_strategy": 2,
            "momentum_strategy": 1,
            "replay_data": 1,
        }
        os.kill(controller.pid, signal.SIGKILL)
        controller.wait(timeout=30)

    project.declare(FILE.replace("period: 20", "period: 40"))
    with served(project):
        back = until(project, runs(3))
        assert generations(back) == generations(edited) | {"bollinger_strategy": 3}
        assert all(plugin["restarts"] == 0 for plugin in back["plugins"])


def test_standard_input_cannot_be_followed(project):
    run = project.ntpctl("serve", "--watch", "-f", "-", exit_code=2)
    assert "--watch follows files" in run.stderr
