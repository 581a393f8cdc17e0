"""While somebody asks for it, the new lives of a plugin are shown more of what came before, or less."""

from contextlib import aclosing
from dataclasses import replace

from tests.worlds.house import FLEET, finish


async def test_it_lasts_as_long_as_it_is_asked_for_and_restarts_nobody(house):
    async with house.controlled() as controller:
        await house.apply()
        lives = {name: each.id for name, each in house.machine.instances.items()}
        asking = controller.replay(["bollinger", "paper", "nobody"], ticks=5)
        async with aclosing(asking):
            told = await anext(asking)
            assert (told.ready, told.message) == (True, "")
            assert {name: each.id for name, each in house.machine.instances.items()} == lives
            await finish(
                controller.restart("bollinger", wait=True, deadline=house.policy.hold * 20)
            )
            assert house.machine.file("bollinger").replay == 5
            assert house.machine.file("momentum").replay == 1000
        await finish(controller.restart("bollinger", wait=True, deadline=house.policy.hold * 20))
        assert house.machine.file("bollinger").replay == 1000
        assert house.starts("momentum") == house.starts("binance_data") == 1


async def test_of_two_who_ask_the_greater_number_counts(house):
    async with house.controlled() as controller:
        few = controller.replay(["bollinger", "momentum"], ticks=5)
        async with aclosing(few):
            # Nothing is applied yet: it holds for what comes.
            assert (await anext(few)).ready
            many = controller.replay(["bollinger"], ticks=50)
            async with aclosing(many):
                await anext(many)
                await house.apply()
                assert house.machine.file("bollinger").replay == 50
                assert house.machine.file("momentum").replay == 5


async def test_a_broker_that_does_not_answer_is_told(house):
    async with house.controlled() as controller:
        house.broker.away = True
        await house.apply(wait=False)
        asking = controller.replay(["bollinger"], ticks=5)
        async with aclosing(asking):
            told = await anext(asking)
            assert not told.ready
            assert "does not answer" in told.message


async def test_who_edits_a_plugin_often_is_not_taken_for_one_that_flaps(house):
    house.tempo = replace(house.tempo, most_actions=4)
    async with house.controlled() as controller:
        for number in range(8):
            text = FLEET.replace("period: 20", f"period: {number + 1}")
            _, _, outcome = await house.apply(text)
            assert outcome.ready, outcome.waiting
        assert "Flapping" not in await house.reasons("bollinger")
        assert house.starts("bollinger") == 8
        del controller
