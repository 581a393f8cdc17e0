"""PLUGIN_SANDBOX=false: refused until a flag confirms it, and told as long as anything runs so."""

import json

import pytest

from tests.worlds.answering import Desk
from tests.worlds.house import FLEET, NAMES

ASKED = "PLUGIN_SANDBOX was false: plugins would run with your own rights"
TOLD = "PLUGIN_SANDBOX is false: plugins run WITHOUT A SANDBOX, with your own rights"
RUNS = f"WITHOUT A SANDBOX, with your own rights: {', '.join(sorted(NAMES))}\n"


@pytest.fixture
async def desk(tmp_path):
    (tmp_path / "plugins.yaml").write_text(FLEET)
    async with Desk(tmp_path).open() as opened:
        yield opened


async def without(desk, *arguments, code=0):
    return await desk.ntpctl(*arguments, code=code, PLUGIN_SANDBOX="false")


@pytest.mark.parametrize("more", [[], ["--yes"], ["--no-wait"], ["--allow-deletes", "--yes"]])
async def test_apply_refuses_it_whatever_else_is_agreed_to(desk, more):
    refused = await without(desk, "apply", *more, code=2)
    assert ASKED in refused.stderr
    assert "fix: remove it, or confirm it with 'ntpctl apply --no-sandbox'" in refused.stderr
    assert await desk.house.controller.revisions() == []
    assert desk.house.machine.history == []


async def test_a_program_reads_the_refusal_as_a_problem(desk):
    (desk.folder / ".env").write_text("PLUGIN_SANDBOX=false\n")
    refused = await desk.ntpctl("apply", "-o", "json", code=2)
    assert [each["message"] for each in json.loads(refused.stdout)["problems"]] == [ASKED]
    assert await desk.house.controller.revisions() == []


async def test_the_flag_alone_switches_nothing_off(desk):
    run = await desk.ntpctl("apply", "--no-sandbox")
    assert "WITHOUT A SANDBOX" not in run.stderr
    assert {desk.house.machine.launches[name].sandbox for name in NAMES} == {True}


async def test_it_is_told_by_every_look_until_nobody_runs_so(desk):
    confirmed = await without(desk, "apply", "--no-sandbox")
    assert TOLD in confirmed.stderr
    assert {desk.house.machine.launches[name].sandbox for name in NAMES} == {False}
    for command in (["status"], ["top", "--once"]):
        # Asked from a shell that knows nothing of the setting.
        assert RUNS in (await desk.ntpctl(*command)).stderr, command
    one = await desk.ntpctl("status", "momentum")
    assert "WITHOUT A SANDBOX, with your own rights: momentum\n" in one.stderr
    assert TOLD in (await without(desk, "plan")).stderr

    again = await without(desk, "apply", code=2)
    assert ASKED in again.stderr, "one confirmation is for one apply"

    back = await desk.ntpctl("apply", "--yes")
    assert "sandbox false -> true" in back.stdout
    assert "WITHOUT A SANDBOX" not in back.stderr
    assert "WITHOUT A SANDBOX" not in (await desk.ntpctl("status")).stderr
    assert {desk.house.machine.launches[name].sandbox for name in NAMES} == {True}


async def test_doctor_notes_it(desk):
    found = json.loads((await without(desk, "doctor", "-o", "json")).stdout)
    assert "PLUGIN_SANDBOX is false: plugins would run with your own rights" in found["notes"]
    plain = json.loads((await desk.ntpctl("doctor", "-o", "json")).stdout)
    assert not any("PLUGIN_SANDBOX" in note for note in plain["notes"])
