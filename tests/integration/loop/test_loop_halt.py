"""The kill switch: kept before it is told, told until it is confirmed, and in every launch file."""

from datetime import timedelta

import pytest

from orchestrator.errors import ActionError, UnreachableError
from orchestrator.store.sqlite import SqliteStore
from tests.worlds.house import FLEET, finish
from tests.worlds.memory import eventually

SOON, LONG = timedelta(milliseconds=300), timedelta(seconds=5)


async def halt(controller, *names, flatten=False, deadline=LONG):
    return await finish(controller.halt(names, flatten=flatten, wait=True, deadline=deadline))


async def resume(controller, *names, deadline=LONG):
    return await finish(controller.halt(names, flatten=None, wait=True, deadline=deadline))


async def test_a_halt_is_told_and_confirmed_and_nothing_is_stopped(house):
    async with house.controlled() as controller:
        await house.apply()
        history = len(house.machine.history)
        outcome = await halt(controller)
        assert outcome.ready
        assert [each.name for each in outcome.plugins] == ["paper"]
        assert house.machine.history[history:] == [("halt", "paper")]
        told = house.machine.halt_of("paper")
        assert told.strategies == {"bollinger": False, "momentum": False}
        assert (told.number, told.why) == (1, "halted by hand")
        for name in ("bollinger", "paper"):
            status = await house.status(name)
            assert status.message.startswith("halted by hand; `ntpctl resume` clears it")
            assert (status.state, status.ready) == ("Running", True)
        assert (await house.status("binance_data")).halted == ""
        preview = await house.preview()
        assert not preview.differs
        causes = {each.name: each.cause for each in preview.changes}
        assert causes["bollinger"] == "halted by hand; `ntpctl resume` clears it"
        assert causes["binance_data"] == ""

        assert (await resume(controller)).ready
        assert house.machine.halt_of("paper").strategies == {}
        assert (await house.status("bollinger")).message == ""
        events = await controller.events(None, limit=100)
        told = [(e.reason, e.message) for e in events if e.reason in ("Halted", "Resumed")]
        assert told == [("Halted", "all, by hand"), ("Resumed", "all, by hand")]


async def test_one_strategy_is_halted_or_all_that_an_executor_hears(house):
    async with house.controlled() as controller:
        await house.apply()
        await halt(controller, "momentum", flatten=True)
        assert house.machine.halt_of("paper").strategies == {"momentum": True}
        assert (await house.status("bollinger")).halted == ""
        await halt(controller, "paper")
        assert house.machine.halt_of("paper").strategies == {"bollinger": False, "momentum": True}
        await resume(controller, "paper")
        assert house.machine.halt_of("paper").strategies == {"momentum": True}
        message = (await house.status("momentum")).message
        assert "what is held is closed; `ntpctl resume momentum` clears it" in message


async def test_it_holds_over_a_controller_an_apply_and_a_restart(house):
    async with house.controlled() as controller:
        await house.apply()
        await halt(controller, "momentum")
    async with house.controlled() as controller:
        await house.apply(FLEET.replace("lookback: 14", "lookback: 15"))
        await finish(controller.restart("paper", wait=True, deadline=LONG))
        assert house.machine.file("paper").halt.strategies == {"momentum": False}
        assert (await house.status("paper")).ready, "its launch file had it, so nothing is told"
        assert ("halt", "paper") in house.machine.history
        assert house.machine.history.count(("halt", "paper")) == 1


async def test_where_it_was_damaged_all_are_halted_until_a_person_says_otherwise(house):
    async with house.controlled() as controller:
        await house.apply()
        await halt(controller, "momentum")
        house.damage("settings", "halts")
    for _ in range(2):  # the second finds nothing damaged any more
        async with house.controlled() as controller:
            await eventually(lambda: len(house.machine.halt_of("paper").strategies) == 2)
            told = house.machine.halt_of("paper")
            assert told.strategies == {"bollinger": False, "momentum": False}
            assert told.number > 1, "an executor takes an older number for old news"
            why = "halted, as who was halted or stopped before is not known"
            assert told.why == why
            assert (await house.status("bollinger")).message.startswith(f"{why}; `ntpctl resume` clears it")  # fmt: skip
            known = await house.condition("HaltsKnown")
            assert (known.status, known.reason) == (False, "Damaged")
            assert "`ntpctl resume` clears it" in known.message
    async with house.controlled() as controller:
        assert (await resume(controller)).ready
        assert house.machine.halt_of("paper").strategies == {}
        assert (await house.condition("HaltsKnown")).status
        await halt(controller, "momentum")
        assert house.machine.halt_of("paper").why == "halted by hand"


async def test_who_opened_a_damaged_file_and_died_leaves_the_next_to_halt_all(house):
    async with house.controlled() as controller:
        await house.apply()
        await halt(controller, "momentum")
        house.damage("settings", "halts")
    with SqliteStore.open(house.folder / "state.db"):
        pass  # killed before there was a controller, for its broker did not begin
    async with house.controlled():
        await eventually(lambda: len(house.machine.halt_of("paper").strategies) == 2)
        assert not (await house.condition("HaltsKnown")).status


async def test_that_something_was_damaged_is_told_until_a_person_has_said_who_is_halted(house):
    async with house.controlled() as controller:
        await house.apply()
        await resume(controller)
        house.damage("records", "binance_data")
    for _ in range(2):
        async with house.controlled() as controller:
            whole = await house.condition("StoreWhole")
            assert (whole.status, whole.reason) == (False, "Damaged")
            await halt(controller, "momentum")
            assert not (await house.condition("StoreWhole")).status
    async with house.controlled() as controller:
        await halt(controller)
        assert (await house.condition("HaltsKnown")).status
        whole = await house.condition("StoreWhole")
        assert (whole.status, whole.reason) == (True, "Whole")
        why = "halted by hand"
        assert (await house.status("bollinger")).message.startswith(why), "a person has halted all"
        assert house.machine.halt_of("paper").why == why
    async with house.controlled():
        assert (await house.condition("StoreWhole")).status
        assert (await house.condition("HaltsKnown")).status


async def test_a_lost_message_is_sent_again(house):
    async with house.controlled() as controller:
        await house.apply()
        house.machine.lossy.add("paper")
        outcome = await halt(controller, deadline=SOON)
        assert not outcome.ready
        (waiting,) = outcome.waiting
        assert waiting.name == "paper"
        assert "not obeyed: not confirmed yet" in waiting.message
        house.machine.lossy.clear()
        await eventually(lambda: house.machine.halt_of("paper").number == 1)
        await eventually(lambda: house.controller._loop.actions.get("paper") is None)


async def test_with_the_broker_dead_it_is_kept_and_holds_once_it_is_heard(house):
    async with house.controlled() as controller:
        await house.apply()
        house.bus.deaf = True
        outcome = await halt(controller, deadline=SOON)
        assert not outcome.ready
        assert "the bus does not answer; it holds once it does" in outcome.waiting[0].message
        house.bus.deaf = False
        await eventually(lambda: house.machine.halt_of("paper").number == 1)


async def test_an_executor_that_cannot_obey_says_why(house):
    async with house.controlled() as controller:
        await house.apply()
        house.machine.refuses_halts["paper"] = "its class has no on_halt(); stop it instead"
        outcome = await halt(controller, deadline=SOON)
        assert not outcome.ready
        assert "its class has no on_halt(); stop it instead" in outcome.waiting[0].message


async def test_what_cannot_be_halted_or_resumed_changes_nothing(house):
    async with house.controlled() as controller:
        await house.apply()
        for names, words in (
            (("momentum", "binance_data"), "of kind data_source; strategies and executors"),
            (("momentun",), "did you mean 'momentum'"),
        ):
            with pytest.raises(ActionError, match=words):
                await halt(controller, *names)
        await halt(controller)
        with pytest.raises(ActionError, match="`ntpctl resume` without a name clears that"):
            await resume(controller, "momentum")
        assert house.machine.halt_of("paper").number == 1


async def test_other_limits_are_pushed_to_the_executor_and_stop_nobody(house):
    risk = FLEET.replace(
        "config: {lookback: 14}", "config: {lookback: 14}\n      risk: {max_position: 5000}"
    )
    both = risk.replace("- name: paper\n", "- name: paper\n      risk: {max_daily_loss: 2%}\n")
    async with house.controlled():
        await house.apply()
        lives = {name: each.id for name, each in house.machine.instances.items()}
        for text, words in (
            (risk, "risk.momentum.max_position (none) -> 5000"),
            (both, "risk.max_daily_loss (none) -> 2%"),
        ):
            preview = await house.preview(text)
            told = [(c.name, c.do.value, c.cause) for c in preview.changes if c.do != "keep"]
            assert told == [("paper", "push", words)]
            _, _, outcome = await house.apply(text)
            assert outcome.ready
        limits = house.machine.limits[lives["paper"]]
        assert limits.own == {"max_daily_loss": "2%"}
        assert limits.strategies == {"bollinger": {}, "momentum": {"max_position": "5000"}}
        assert {name: each.id for name, each in house.machine.instances.items()} == lives
        launched = house.machine.file("paper")
        assert launched.risk == {}, "as it was when it was started"


async def test_a_halt_that_is_not_kept_is_told_to_nobody(house):
    async with house.controlled() as controller:
        await house.apply()
        house.store.behind = True
        with pytest.raises(UnreachableError, match="could not be kept"):
            await halt(controller)
        assert house.machine.halt_of("paper").strategies == {}
        assert (await house.status("bollinger")).halted == ""
        reasons = [each.reason for each in await controller.events(None, limit=100)]
        assert "Halted" not in reasons
        house.store.behind = False
        assert (await halt(controller)).ready
        house.store.behind = True
        with pytest.raises(UnreachableError):
            await resume(controller)
        assert house.machine.halt_of("paper").strategies == {"bollinger": False, "momentum": False}
    async with house.controlled():
        assert (await house.status("bollinger")).halted != ""
