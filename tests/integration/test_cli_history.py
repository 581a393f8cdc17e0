"""`history` and `rollback` as commands: what was applied, and how to get back to it."""

import json

import pytest

from tests.worlds.answering import Desk
from tests.worlds.house import FLEET

LATER = FLEET.replace("period: 20", "period: 30")
CREDENTIAL = "sk-never-to-be-seen"


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


async def test_rollback_applies_the_revision_before_as_a_new_one(desk):
    await desk.apply(FLEET)
    desk.house.catalog.digests["bollinger"] = "sha256:newer"
    await desk.apply(LATER)
    run = await desk.ntpctl("rollback")

    assert "recreate  bollinger" in run.stdout
    assert "image sha256:newer -> sha256:bollinger, config.period 30 -> 20" in run.stdout
    assert "the files on disk stay as they are" in run.stderr
    assert "`ntpctl history 1 --show`" in run.stderr
    assert run.stderr.splitlines()[-1] == "revision 3: 4/4 ready"
    assert desk.house.machine.file("bollinger").config["period"] == 20
    kept = await desk.house.controller.revisions()
    assert (kept[-1].sources, kept[-1].resolved) == (kept[0].sources, kept[0].resolved)


async def test_rollback_to_what_runs_says_so_and_does_nothing(desk):
    await desk.apply(FLEET)
    await desk.apply(LATER)
    await desk.apply(FLEET)
    before = list(desk.house.machine.history)

    assert (await desk.ntpctl("rollback", "3")).stderr == (
        "revision 3 runs now; nothing was changed\n"
    )
    same = await desk.ntpctl("rollback", "1", "-o", "json")
    assert same.stderr == "revision 1 is the same as 3, which runs now; nothing was changed\n"
    assert json.loads(same.stdout)["revision"] == 3
    assert len(await desk.house.controller.revisions()) == 3
    assert desk.house.machine.history == before


async def test_rollback_is_guarded_as_an_apply_is(desk):
    few = "plugins: {data_sources: [{name: binance_data}]}\n"
    await desk.apply(few)
    refused = await desk.ntpctl("rollback", code=5)
    assert "revision 1 is the first: there is none before it" in refused.stderr
    assert "is not kept" in (await desk.ntpctl("rollback", "7", code=5)).stderr

    await desk.apply(FLEET)
    guarded = await desk.ntpctl("rollback", code=5)
    assert "it stops 3 of the 4 plugins that run" in guarded.stderr
    assert "--allow-deletes" in guarded.stderr
    assert desk.house.machine.running() >= {"paper", "bollinger"}
    assert len(await desk.house.controller.revisions()) == 2
    run = await desk.ntpctl("rollback", "--allow-deletes", "--yes")
    assert run.stderr.endswith("revision 3: 1/1 ready\n")


async def test_rollback_runs_without_a_sandbox_only_where_that_is_confirmed(desk):
    settings = {"folder": str(desk.folder), "PLUGIN_SANDBOX": "off"}
    await desk.house.apply(FLEET, settings=settings)
    await desk.apply(FLEET)
    refused = await desk.ntpctl("rollback", code=2)
    assert "PLUGIN_SANDBOX was false" in refused.stderr
    assert len(await desk.house.controller.revisions()) == 2
    await desk.ntpctl("rollback", "--no-sandbox")
    assert (await desk.house.controller.revisions())[-1].settings["PLUGIN_SANDBOX"] == "off"


async def test_rollback_takes_values_of_secrets_from_where_they_are_now(desk):
    text = FLEET.replace("std_dev: 2.0", 'key: "${DESK_KEY}"')
    settings = {"folder": str(desk.folder), "project": "desk"}
    secrets = {"DESK_KEY": CREDENTIAL}
    await desk.house.apply(text, settings=settings, secrets=secrets)
    await desk.house.apply(text + "# a word\n", settings=settings, secrets=secrets)
    await desk.apply(FLEET)
    run = await desk.ntpctl("rollback", "1", DESK_KEY=CREDENTIAL)
    assert run.stderr.endswith("revision 4: 4/4 ready\n")
    assert CREDENTIAL not in run.stdout + run.stderr
    for arguments in (["1", "--show"], ["1"], ["-o", "json"]):
        assert CREDENTIAL not in (await desk.ntpctl("history", *arguments)).stdout
