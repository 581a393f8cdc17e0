"""What can be asked of a controller."""

import asyncio
from contextlib import aclosing

from tests.worlds.house import NAMES


async def test_info_beats_events_and_logs_answer(house):
    async with house.controlled() as controller:
        await house.apply()
        info = await controller.info()
        assert (info.project, info.runtime, info.revision) == ("desk", "memory", 1)
        assert info.broker.state == "Running"
        assert info.isolation.tier == 3
        assert set(await controller.beats()) == NAMES
        lines = [line.text async for line in controller.logs("paper", follow=False, tail=2)]
        assert lines == ["paper says 0", "paper says 1"]
        status = await house.status("paper")
        assert status.flow.sent == 3
        assert status.isolation.tier == 3
        assert status.place == "plugins.yaml:13"


async def test_followed_events_are_the_last_ones_and_then_the_new_ones_without_a_gap(house):
    async with house.controlled() as controller:
        await house.apply()
        before = [each.reason for each in await controller.events("paper", limit=100)]
        found = []
        async with (
            asyncio.timeout(30),
            aclosing(controller.follow_events("paper", limit=100)) as events,
        ):
            async for event in events:
                found.append(event.reason)
                if len(found) == len(before):
                    house.machine.end("paper", code=3)
                if event.reason == "Exited":
                    break
        assert found == [*before, "Exited"]
