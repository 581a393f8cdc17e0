"""`history`, `diff`, `rollback` and `graph` as commands, against a controller whose machine is in memory."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from orchestrator.app.places import packaged
from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.wheels import Pip
from orchestrator.control.server import serving
from tests.worlds.house import FLEET, House
from tests.worlds.memory_bus import MemoryCatalog

LATER = FLEET.replace("period: 20", "period: 30")
CREDENTIAL = "sk-never-to-be-seen"


BUNDLED = """\
plugins:
  data_sources: [{name: replay_data}]
  strategies:
    - name: bollinger_strategy
      config: {period: 20}
  executors: [{name: paper_executor}]
"""
EDITED = BUNDLED.replace("period: 20", "period: 30").replace(
    "[{name: replay_data}]", "[{name: replay_data}, {name: more, plugin: replay_data}]"
)


class RealCode(MemoryCatalog):
    """Finds real plugins, with digests that ntpctl finds again; what runs is in memory all the same."""

    def __init__(self, folder):
        super().__init__(folder)
        self._local = LocalCatalog(
            project_folder=folder,
            cache=folder / "cache",
            bundled=packaged("plugin-images"),
            plugin_dir=folder / "plugins",
            pip=Pip({}),
        )

    async def resolve(self, wanted):
        return await self._local.resolve(wanted)


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


@pytest.fixture
async def real(tmp_path):
    made = Desk(tmp_path)
    made.house.catalog = RealCode(tmp_path)
    async with made.open() as opened:
        yield opened


async def test_diff_of_two_revisions_is_a_text_and_a_list_of_plugins(real):
    await real.apply(BUNDLED)
    await real.apply(EDITED)
    run = await real.ntpctl("diff", "1", "2", code=6)
    found = json.loads((await real.ntpctl("diff", "2", "1", "-o", "json", code=6)).stdout)

    text, _, plugins = run.stdout.partition("\n\n")
    assert text.splitlines()[:2] == [
        "--- plugins.yaml\trevision 1",
        "+++ plugins.yaml\trevision 2",
    ]
    assert "-      config: {period: 20}\n+      config: {period: 30}\n" in text
    told = [" ".join(line.split()) for line in plugins.splitlines()]
    assert told == [
        "~ change bollinger_strategy now listens to more, config.period 20 -> 30",
        "+ add more",
        "~ change paper_executor input bollinger_strategy: other listens_to, now listens to more",
    ]
    assert [(each["name"], each["do"]) for each in found["plugins"]] == [
        ("bollinger_strategy", "change"),
        ("more", "remove"),
        ("paper_executor", "change"),
    ]
    assert (
        await real.ntpctl("diff", "1", "1")
    ).stdout == "nothing differs between revision 1 and revision 1\n"


async def test_diff_is_by_default_what_was_edited_since_the_last_apply(real):
    file = real.folder / "plugins.yaml"
    file.write_text(BUNDLED)
    await real.apply(BUNDLED)
    same = await real.ntpctl("diff")
    assert same.stdout == "nothing differs between revision 1 and the files as they are\n"

    file.write_text(BUNDLED + "# a word")
    words = await real.ntpctl("diff", code=6)
    assert words.stdout.endswith(
        "+# a word\n\\ No newline at end of file\n\nno plugin differs: the text alone\n"
    )


async def test_diff_compares_texts_also_where_plugins_cannot_be_compared(real):
    await real.apply(BUNDLED)
    (real.folder / "plugins.yaml").write_text(BUNDLED.replace("replay_data", "nowhere"))
    run = await real.ntpctl("diff", code=6)
    assert "+  data_sources: [{name: nowhere}]\n" in run.stdout
    assert "what differs for each plugin is not known" in run.stderr
    assert "the plugin 'nowhere' was not found" in run.stderr


async def test_diff_sees_an_edited_plugin_behind_the_same_text(real):
    plugin = real.folder / "plugins" / "mine"
    plugin.mkdir(parents=True)
    (plugin / "plugin.yaml").write_text(
        "name: mine\nversion: 1.0.0\nkind: strategy\nentrypoint: mine:Mine\n"
    )
    (plugin / "mine.py").write_text("A = 1\n")
    text = "plugins: {strategies: [{name: mine}]}\n"
    (real.folder / "plugins.yaml").write_text(text)
    await real.apply(text)
    assert (await real.ntpctl("diff", PLUGIN_DIR="plugins")).returncode == 0

    (plugin / "mine.py").write_text("A = 2\n")
    run = await real.ntpctl("diff", code=6, PLUGIN_DIR="plugins")
    assert run.stdout.split()[:4] == ["~", "change", "mine", "code"]
