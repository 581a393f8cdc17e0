"""`history`, `diff`, `rollback` and `graph` as commands, against a controller whose machine is in memory."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from orchestrator.control.server import serving
from tests.worlds.house import FLEET, House

LATER = FLEET.replace("period: 20", "period: 30")
CREDENTIAL = "sk-never-to-be-seen"


class Desk:
    """A project in a folder, applied through the controller; ntpctl asks its socket."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state" / "desk"
        self.state.mkdir(parents=True)
        self.house = House(self.state)

    @asynccontextmanager
    async def open(self):
        async with (
            self.house.controlled() as controller,
            serving(self.state / "controller.sock", controller),
        ):
            yield self

    async def apply(self, text):
        settings = {"folder": str(self.folder), "project": "desk"}
        await self.house.apply(text, settings=settings)

    async def ntpctl(self, *arguments, code=0, **environment):
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("NTP_", "PLUGIN_"))}
        run = await asyncio.to_thread(
            subprocess.run,
            [
                sys.executable,
                "-m",
                "orchestrator",
                arguments[0],
                "--project",
                "desk",
                *arguments[1:],
            ],
            text=True,
            timeout=60,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env={
                **plain,
                "NTP_STATE": str(self.folder / "state"),
                "NTP_CACHE": str(self.folder / "cache"),
                **environment,
            },
        )
        assert run.returncode == code, (run.stdout, run.stderr)
        return run


@pytest.fixture
async def desk(tmp_path):
    async with Desk(tmp_path).open() as opened:
        yield opened


async def test_history_says_what_each_revision_changed_and_which_runs(desk):
    await desk.apply(FLEET)
    await desk.apply(LATER)
    await desk.apply(FLEET)
    lines = (await desk.ntpctl("history")).stdout.splitlines()
    found = json.loads((await desk.ntpctl("history", "-o", "json")).stdout)

    assert [line.split() for line in lines[0:1]] == [
        ["REVISION", "APPLIED", "RUNS", "FILES", "CHANGE"]
    ]
    assert lines[1].split()[0] == "3"
    assert " now " in lines[1]
    assert lines[1].endswith("again 1; bollinger: config.period 30 -> 20")
    assert lines[2].endswith("bollinger: config.period 20 -> 30")
    assert lines[3].endswith("adds binance_data, bollinger, momentum and 1 more")
    assert found["revision"] == 3
    assert [(each["number"], each["runs"]) for each in found["revisions"]] == [
        (1, False),
        (2, False),
        (3, True),
    ]


async def test_history_shows_the_text_of_one_exactly(desk):
    await desk.apply(FLEET)
    await desk.apply(LATER)

    assert (await desk.ntpctl("history", "1", "--show")).stdout == FLEET
    told = (await desk.ntpctl("history", "2")).stdout
    assert "revision 2, applied" in told
    assert "bollinger" in told
    missing = await desk.ntpctl("history", "9", code=5)
    assert missing.stderr.startswith("error: revision 9 is not kept; the newest are: 1, 2")
    assert "fix: name it" in (await desk.ntpctl("history", "--show", code=2)).stderr


async def test_history_tells_no_setting_of_the_environment(desk):
    settings = {"folder": str(desk.folder), "PLUGIN_TOKEN": CREDENTIAL}
    await desk.house.apply(FLEET, settings=settings)
    for arguments in (["history"], ["history", "1"], ["history", "1", "--show"]):
        for output in ("table", "json", "yaml"):
            run = await desk.ntpctl(*arguments, "-o", output)
            assert CREDENTIAL not in run.stdout + run.stderr


async def test_history_where_nothing_was_applied_says_so(tmp_path):
    run = await Desk(tmp_path).ntpctl("history", code=3)
    assert "nothing of project 'desk' was applied here" in run.stderr
