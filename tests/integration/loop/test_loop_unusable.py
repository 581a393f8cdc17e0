"""A plugin file that cannot be examined is an error of its own entry, and of no other."""

import pytest

from orchestrator.errors import ConfigError
from tests.worlds.house import FLEET, NAMES
from tests.worlds.memory import eventually

WHY = "bollinger.py: line 1: its import raised KeyError: 'USD'"
TOLD = f"plugins.yaml:6:7: {WHY}\n  fix: mend it"


async def test_the_others_are_applied_and_the_entry_says_why_it_is_not(house):
    house.catalog.unusable["bollinger"] = WHY
    async with house.controlled():
        preview, _, outcome = await house.apply()
        assert [str(each) for each in preview.entry_problems] == [TOLD]
        assert [(c.name, c.cause) for c in preview.changes if c.do == "refuse"] == [
            ("bollinger", "ImportFailed")
        ]
        assert [(each.name, each.state, each.message) for each in outcome.waiting] == [
            ("bollinger", "ImportFailed", TOLD)
        ]
        assert house.machine.running() == (NAMES | {"broker"}) - {"bollinger"}
        assert all(each.ready for each in outcome.plugins if each.name != "bollinger")
        assert "bollinger" not in (await house.controller.revisions())[-1].resolved
    async with house.controlled():
        status = await house.until("bollinger", lambda each: each.state == "ImportFailed")
        assert status.message == TOLD, "also after a restart of the controller"
        assert (await house.preview()).differs, "what is declared does not run"
        house.catalog.unusable.clear()
        _, _, outcome = await house.apply()
        assert outcome.ready, "mended, it is started"


async def test_who_listens_to_a_broken_source_runs_and_hears_nothing(house):
    house.catalog.unusable["binance_data"] = WHY
    async with house.controlled():
        _, _, outcome = await house.apply()
        assert [each.name for each in outcome.waiting] == ["binance_data"]
        assert house.machine.running() == (NAMES | {"broker"}) - {"binance_data"}
        heard = house.machine.file("bollinger").inputs
        assert "binance_data" in [each.instance for each in heard]


async def test_a_broken_edit_leaves_the_one_before_running_with_its_trading_rules(house):
    house.catalog.trading["bollinger"] = {"capital": "500"}
    async with house.controlled():
        await house.apply()
        lives = {name: each.id for name, each in house.machine.instances.items()}
        house.catalog.unusable["bollinger"] = WHY
        preview, _, outcome = await house.apply()
        assert [
            (c.name, c.do.value, c.stops, c.cause) for c in preview.changes if c.do != "keep"
        ] == [("bollinger", "refuse", False, "ImportFailed; the one before keeps running")]
        assert not outcome.ready
        status = await house.status("bollinger")
        assert (status.state, status.message) == (
            "Refused",
            f"the change is refused, the one before keeps running: ImportFailed: {TOLD}",
        )
        assert lives == {name: each.id for name, each in house.machine.instances.items()}
        house.catalog.unusable.clear()
        house.catalog.digests["bollinger"] = "sha256:mended"
        _, _, outcome = await house.apply()
        assert outcome.ready
        assert house.machine.instances["bollinger"].id != lives["bollinger"]
        assert house.machine.instances["paper"].id == lives["paper"]


async def test_the_one_before_is_started_again_when_it_ends_and_the_reason_stays(house):
    async with house.controlled():
        await house.apply()
        await house.healthy("bollinger")
        house.catalog.unusable["bollinger"] = WHY
        await house.apply()
        house.machine.end("bollinger", code=1)
        await eventually(lambda: house.starts("bollinger") == 2)
        status = await house.until("bollinger", lambda each: each.state == "FellBack")
        assert status.message == (
            f"generation 2 cannot be started; generation 1 runs again: ImportFailed: {TOLD}"
        )


async def test_a_refused_apply_tells_what_is_wrong_with_files_plugins_and_entries_at_once(house):
    house.catalog.unknown.add("momentum")
    house.catalog.unusable["bollinger"] = WHY
    async with house.controlled():
        with pytest.raises(ConfigError) as refused:
            await house.apply(f"{FLEET}      pyramid: soon\n")
        told = refused.value.problems
        assert [each.line for each in told] == sorted(each.line for each in told)
        assert {each.entry for each in told} == {"bollinger", "momentum", "paper"}
        assert (await house.preview(f"{FLEET}      pyramid: soon\n")).problems == told
        assert house.machine.running() == set()


async def test_a_plugin_that_is_nowhere_still_refuses_the_whole_apply(house):
    house.catalog.unknown.add("momentum")
    async with house.controlled():
        with pytest.raises(ConfigError, match="no plugin 'momentum' was found"):
            await house.apply()
        assert house.machine.running() == set()
