"""What is wrong with the files, or deletes much, changes nothing."""

import pytest

from orchestrator.errors import ActionError, ConfigError
from tests.worlds.house import FLEET
from tests.worlds.memory import (
    eventually,
)


async def test_a_broken_edit_tells_its_problems_and_stops_nothing(house):
    async with house.controlled():
        await house.apply()
        before = list(house.machine.history)
        broken = FLEET.replace("config: {period", "confg: {period")
        preview = await house.preview(broken)
        assert [problem.line for problem in preview.problems] == [8]
        with pytest.raises(ConfigError, match="confg"):
            await house.apply(broken)
        assert (await house.condition("ConfigValid")).status is False
        await house.controller.status(None)
        assert house.machine.history == before
        await house.apply()
        assert (await house.condition("ConfigValid")).status is True


async def test_a_plugin_that_is_not_found_is_a_problem_of_the_files(house):
    async with house.controlled():
        house.catalog.unknown.add("momentum")
        with pytest.raises(ConfigError, match="no plugin 'momentum' was found"):
            await house.apply()
        assert house.machine.history == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plugins: {strategies: []}\n", "it declares no plugin at all"),
        (FLEET[: FLEET.index("  strategies:")], "it stops 3 of the 4 plugins that run"),
        (FLEET[: FLEET.index("    - name: paper") + 15], "cut off in the middle of a line"),
    ],
)
async def test_a_file_that_deletes_much_needs_a_second_word(house, text, words):
    async with house.controlled():
        await house.apply()
        before = list(house.machine.history)
        assert words in (await house.preview(text)).guard
        with pytest.raises(ActionError, match="--allow-deletes") as refusal:
            await house.apply(text)
        assert refusal.value.reason == "GuardedDeletion"
        assert words in str(refusal.value)
        assert house.machine.history == before


async def test_deletions_that_are_meant_are_done_and_the_broker_goes_last(house):
    async with house.controlled():
        await house.apply()
        await house.apply("plugins: {strategies: []}\n", allow_deletes=True)
        await eventually(lambda: house.machine.instances == {})
        assert house.machine.history[-1] == ("remove", "broker")
