"""A change that is not healthy by its deadline is taken back."""

from orchestrator.decide.state import Exit
from tests.worlds.house import FLEET
from tests.worlds.memory import (
    eventually,
    utc,
)


async def test_a_change_that_does_not_become_healthy_is_taken_back(house):
    async with house.controlled():
        await house.apply()
        await house.until("bollinger", lambda each: each.ready)
        await house.healthy("bollinger")
        house.machine.crash_at_start["bollinger"] = Exit(
            utc(), code=2, reason="ConfigRefused", message="period was 999", permanent=True
        )
        house.machine.crash_once.add("bollinger")
        changed = FLEET.replace("period: 20", "period: 999")
        await house.apply(changed, wait=False)
        status = await house.until("bollinger", lambda each: each.state == "FellBack")
        assert (
            "generation 2 was not healthy by its deadline; generation 1 runs again"
            in status.message
        )
        assert "period was 999" in status.message
        assert not status.ready
        assert house.machine.file("bollinger").config["period"] == 20
        assert "FellBack" in await house.reasons("bollinger")
    async with house.controlled():
        await house.until("bollinger", lambda each: each.state == "FellBack")
        assert house.starts("bollinger") == 3
        _, _, outcome = await house.apply(FLEET.replace("period: 20", "period: 25"))
        assert outcome.ready
        assert house.machine.file("bollinger").config["period"] == 25


async def test_a_change_that_never_gets_ready_is_taken_back_at_its_deadline(house):
    async with house.controlled():
        await house.apply()
        await house.until("bollinger", lambda each: each.ready)
        await house.healthy("bollinger")
        house.machine.unready.add("bollinger")
        await house.apply(FLEET.replace("period: 20", "period: 30"), wait=False)
        await eventually(lambda: house.starts("bollinger") == 2)
        await eventually(lambda: house.starts("bollinger") == 3)
        house.machine.unready.clear()
        await house.until("bollinger", lambda each: each.state == "FellBack")
        assert house.machine.file("bollinger").config["period"] == 20


async def test_limits_under_which_it_does_not_get_ready_are_taken_back_in_place(house):
    """It was started anew with them, so it runs with what is to be taken back."""
    async with house.controlled():
        await house.apply()
        await house.until("bollinger", lambda each: each.ready)
        await house.healthy("bollinger")
        smaller = FLEET.replace(
            "config: {period", "resources: {memory: 64MB}\n      config: {period"
        )
        house.machine.unready.add("bollinger")
        await house.apply(smaller, wait=False)
        await eventually(lambda: ("update", "bollinger") in house.machine.history)
        house.machine.end("bollinger", code=1)
        await eventually(lambda: house.starts("bollinger") == 2)
        status = await house.until("bollinger", lambda each: each.state == "FellBack")
        assert "generation 1 runs again" in status.message
        house.machine.unready.clear()
        await house.until("bollinger", lambda each: each.stage == "ready")
        assert house.machine.launches["bollinger"].resources.memory == 64 << 20
        assert house.machine.instances["bollinger"].usage.memory_limit == 512 << 20
        assert house.machine.history.count(("update", "bollinger")) == 2
