"""While somebody asks for it, what a plugin hears is captured, and its new lives are shown the end of it."""

from contextlib import aclosing
from dataclasses import replace

from tests.worlds.house import FLEET, finish
from tests.worlds.memory import eventually


def captured(house):
    return {
        name: rights.replay for name, rights in house.broker.ensured[-1].items() if rights.replay
    }


async def test_it_lasts_as_long_as_it_is_asked_for_and_restarts_nobody(house):
    async with house.controlled() as controller:
        await house.apply()
        lives = {name: each.id for name, each in house.machine.instances.items()}
        asking = controller.replay(["bollinger", "paper", "nobody"], ticks=5)
        async with aclosing(asking):
            told = await anext(asking)
            assert (told.ready, told.message) == (True, "")
            # An executor acts on what it sees: nothing is shown to it twice.
            assert captured(house) == {"bollinger": 5}
            assert {name: each.id for name, each in house.machine.instances.items()} == lives
            await finish(
                controller.restart("bollinger", wait=True, deadline=house.policy.hold * 20)
            )
            assert house.machine.file("bollinger").replay == 5
            assert house.machine.file("momentum").replay == 0
        await eventually(lambda: not captured(house))
        await finish(controller.restart("bollinger", wait=True, deadline=house.policy.hold * 20))
        assert house.machine.file("bollinger").replay == 0
        assert house.starts("momentum") == house.starts("binance_data") == 1


async def test_of_two_who_ask_the_greater_number_counts_until_it_is_gone(house):
    async with house.controlled() as controller:
        few = controller.replay(["bollinger", "momentum"], ticks=5)
        async with aclosing(few):
            # Nothing is applied yet: it holds for what comes.
            assert (await anext(few)).ready
            await house.apply()
            assert captured(house) == {"bollinger": 5, "momentum": 5}
            many = controller.replay(["bollinger"], ticks=50)
            async with aclosing(many):
                await anext(many)
                assert captured(house) == {"bollinger": 50, "momentum": 5}
            await eventually(lambda: captured(house) == {"bollinger": 5, "momentum": 5})


async def test_a_broker_that_does_not_answer_is_told_and_caught_up_with(house):
    async with house.controlled() as controller:
        await house.apply()
        house.broker.away = True
        asking = controller.replay(["bollinger"], ticks=5)
        async with aclosing(asking):
            told = await anext(asking)
            assert not told.ready
            assert "does not answer" in told.message
            house.broker.away = False
            await eventually(lambda: captured(house) == {"bollinger": 5})


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
