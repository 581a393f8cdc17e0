"""The right to hear one plugin: made for the asking, gone with the asker."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest

from ntp.contract.names import Kind
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.spec.rights import tap
from tests.worlds.house import FLEET
from tests.worlds.memory_bus import utc


async def test_who_asks_is_given_what_the_plugin_says_for_as_long_as_he_stays(house):
    async with house.controlled() as controller:
        await house.apply()
        async with aclosing(controller.tap("bollinger")) as given:
            told = await anext(given)
            assert house.broker.taps == [tap("bollinger", Kind.STRATEGY)]
        assert house.broker.taps == []

    assert (told.name, told.address) == ("bollinger", "127.0.0.1:4222")
    assert told.credentials == "creds of tap bollinger for 12:00:00"
    assert told.subjects == ("beat", "sig.>")
    assert timedelta(hours=11) < told.ends - utc() <= timedelta(hours=12)
    assert "creds" not in repr(told)


async def test_it_lasts_while_others_are_applied(house):
    async with house.controlled() as controller:
        await house.apply()
        given = controller.tap("binance_data")
        async with aclosing(given), asyncio.TaskGroup() as tasks:
            await anext(given)
            rest = tasks.create_task(given.asend(None))
            await house.apply(FLEET.replace("period: 20", "period: 30"))
            await house.passes(3)
            assert not rest.done()
            assert len(house.broker.taps) == 1
            rest.cancel()
        assert house.broker.taps == []


async def test_nobody_is_heard_who_is_not_there(house):
    async with house.controlled() as controller:
        await house.apply()
        with pytest.raises(ActionError, match="no plugin is named 'momentom'") as refused:
            await anext(controller.tap("momentom"))

    assert "did you mean 'momentum'?" in str(refused.value)
    assert refused.value.reason == "NoSuchPlugin"


async def test_without_the_broker_there_is_no_right(house):
    async with house.controlled() as controller:
        await house.apply()
        house.machine.end("broker", code=1)
        controller._rooms.rights.doubt()
        with pytest.raises(UnreachableError, match="the broker does not answer"):
            await anext(controller.tap("bollinger"))
