"""What a person asks for by hand: stop, start, restart, down."""

import asyncio
from datetime import timedelta

import pytest

from ntp.contract.launch import CREDENTIALS_FILE
from orchestrator.controller.controller import Controller
from orchestrator.errors import ActionError, UnreachableError
from tests.worlds.house import FLEET, NAMES, finish
from tests.worlds.memory import (
    eventually,
)


async def test_a_plugin_stopped_by_hand_stays_so_until_it_is_started(house):
    async with house.controlled() as controller:
        await house.apply()
        outcome = await finish(
            controller.stop("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert outcome.plugins[0].state == "Stopped"
        assert "by hand, not in plugins.yaml" in outcome.plugins[0].message
        await house.apply(FLEET.replace("period: 20", "period: 30"))
    async with house.controlled() as controller:
        assert (await house.status("bollinger")).state == "Stopped"
        assert "bollinger" not in house.machine.running()
        outcome = await finish(
            controller.start("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert house.machine.file("bollinger").config["period"] == 30


async def test_where_the_record_of_a_stop_is_damaged_all_are_halted(house):
    wait = {"wait": True, "deadline": timedelta(seconds=5)}
    async with house.controlled() as controller:
        await house.apply()
        await finish(controller.halt([], flatten=None, **wait))  # nobody, and that is known
        await finish(controller.stop("bollinger", **wait))
        house.damage("records", "bollinger")
    for _ in range(2):  # the second finds a record of it again
        async with house.controlled() as controller:
            await eventually(lambda: len(house.machine.halt_of("paper").strategies) == 2)
            told = house.machine.halt_of("paper")
            assert told.why == "halted, as who was halted or stopped before is not known"
            known = await house.condition("HaltsKnown")
            assert (known.status, known.reason) == (False, "Damaged")
            assert "stop again who was stopped by hand" in known.message
            assert (await house.reasons("bollinger")).count("RecordLost") == 1
            assert "RecordLost" not in await house.reasons("momentum")
            await house.until("bollinger", lambda status: status.ready)
    async with house.controlled() as controller:
        await finish(controller.stop("bollinger", **wait))
        await finish(controller.halt([], flatten=None, **wait))
        assert house.machine.halt_of("paper").strategies == {}
    async with house.controlled() as controller:
        assert (await house.status("bollinger")).state == "Stopped"
        assert house.machine.halt_of("paper").strategies == {}


@pytest.mark.parametrize("name", ["bollinger", "broker"])
async def test_a_restart_by_hand_replaces_exactly_one_life(house, name):
    async with house.controlled() as controller:
        await house.apply()
        before = len(house.machine.history)
        outcome = await finish(controller.restart(name, wait=True, deadline=timedelta(seconds=5)))
        assert outcome.ready, outcome.waiting
        assert house.machine.history[before:] == [("stop", name), ("start", name)]
        assert (await house.status("bollinger")).restarts == 0, "nothing has failed"


def _credentials(house, name):
    return house.machine.launches[name].files[CREDENTIALS_FILE]


async def test_who_is_given_another_credential_begins_with_it_and_alone(house):
    async with house.controlled() as controller:
        await house.apply()
        before = len(house.machine.history)
        outcome = await finish(
            controller.rotate("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert house.machine.history[before:] == [("stop", "bollinger"), ("start", "bollinger")]
        assert house.broker.rotated == ["bollinger"]
        assert _credentials(house, "bollinger") == b"creds of bollinger anew 1"
        assert _credentials(house, "momentum") == b"creds of momentum"
        await finish(controller.restart("bollinger", wait=True, deadline=timedelta(seconds=5)))
        assert house.broker.rotated == ["bollinger"], "asked for once"


async def test_the_old_credential_serves_until_its_life_has_ended(house):
    """Cut off before, it could not send any more what it had to."""
    async with house.controlled() as controller:
        await house.apply()
        house.broker.away = True
        outcome = await finish(
            controller.rotate("bollinger", wait=True, deadline=timedelta(seconds=0.5))
        )
        assert (outcome.ready, house.broker.rotated) == (False, [])
        assert "bollinger" not in house.machine.running(), "nobody goes on with the old one"
        house.broker.away = False
        await eventually(lambda: "bollinger" in house.machine.running())
        assert _credentials(house, "bollinger") == b"creds of bollinger anew 1"


async def test_a_controller_that_is_killed_meanwhile_has_its_successor_do_it(house):
    async with house.controlled() as controller:
        await house.apply()
        house.broker.away = True
        await finish(controller.rotate("bollinger", wait=False, deadline=timedelta(0)))
    house.broker.away = False
    async with house.controlled():
        await eventually(lambda: house.broker.rotated == ["bollinger"])
        await eventually(lambda: "bollinger" in house.machine.running())
        assert _credentials(house, "bollinger") == b"creds of bollinger anew 1"


async def test_of_one_that_is_stopped_the_credential_is_refused_at_once(house):
    async with house.controlled() as controller:
        await house.apply()
        await finish(controller.stop("bollinger", wait=True, deadline=timedelta(seconds=5)))
        outcome = await finish(
            controller.rotate("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert outcome.plugins[0].state == "Stopped"
        assert house.broker.rotated == ["bollinger"]


async def test_a_broker_that_does_not_come_back_is_not_called_restarted(house):
    async with house.controlled() as controller:
        await house.apply()
        house.machine.refuse["broker"] = ActionError("no room", reason="StartRefused")
        outcome = await finish(
            controller.restart("broker", wait=True, deadline=timedelta(seconds=1))
        )
        assert not outcome.ready
        assert [each.name for each in outcome.waiting] == ["broker"]


@pytest.mark.parametrize(
    ("act", "name", "words"),
    [
        (
            Controller.restart,
            "bolinger",
            r"no plugin is named 'bolinger'; did you mean 'bollinger'[?] there are: binance_data",
        ),
        (Controller.rotate, "broker", "no plugin is named 'broker'"),
    ],
)
async def test_a_name_that_is_no_plugins_is_refused_with_those_there_are(house, act, name, words):
    async with house.controlled() as controller:
        await house.apply()
        with pytest.raises(ActionError, match=words):
            await finish(act(controller, name, wait=True, deadline=timedelta(seconds=5)))


async def test_down_stops_sources_first_and_the_broker_last_and_keeps_storage(house):
    async with house.controlled() as controller:
        await house.apply()
        before = len(house.machine.history)
        downed = await finish(controller.down(delete_data=False, deadline=timedelta(seconds=10)))
        stops = [name for what, name in house.machine.history[before:] if what == "stop"]
        assert stops[0] == "binance_data"
        assert stops[-1] == "broker"
        assert house.machine.history[-1] == ("remove", "broker")
        assert set(downed.removed) == NAMES | {"broker"}
        assert list(downed.kept) == ["paper"]
        assert house.machine.instances == {}
        assert house.machine.storage == {"paper"}
        assert house.machine.closed
        await eventually(lambda: house.ended is False)
    async with house.controlled() as controller:
        await controller.status(None)
        await house.passes(5)
        assert house.machine.instances == {}, "what was taken down does not come back by itself"
        _, _, outcome = await house.apply()
        assert outcome.ready


async def test_down_goes_on_in_the_next_controller(house):
    async with house.controlled():
        await house.apply()
        house.machine.hangs = True
        items = house.controller.down(delete_data=True, deadline=timedelta(milliseconds=50))
        with pytest.raises(ActionError, match="still being taken down"):
            await finish(items)
    house.machine.hangs = False
    async with house.controlled():
        await eventually(lambda: house.ended is True)
        assert house.machine.instances == {}
        assert house.machine.storage == set()


async def test_who_is_taken_out_while_he_is_installed_is_not_started(house):
    house.catalog.slow["bollinger"] = asyncio.Event()
    async with house.controlled() as controller:
        await house.apply(wait=False)
        await house.until(
            "bollinger", lambda each: each.message == "its requirements are being installed"
        )
        await house.until("momentum", lambda each: each.ready)
        await finish(controller.stop("bollinger", wait=False, deadline=timedelta(seconds=1)))
        house.catalog.slow["bollinger"].set()
        await house.until("bollinger", lambda each: each.state == "Stopped")
        assert house.starts("bollinger") == 0


async def test_a_plugin_stopped_by_hand_fails_no_apply(house):
    async with house.controlled() as controller:
        await house.apply()
        await finish(controller.stop("momentum", wait=True, deadline=timedelta(seconds=5)))
        _, progress, outcome = await house.apply(FLEET.replace("period: 20", "period: 30"))
        assert outcome.ready
        assert (progress[-1].ready, progress[-1].total) == (3, 4), "nor is it counted as ready"
        outcome = await finish(controller.wait(["momentum"], deadline=timedelta(seconds=5)))
        assert not outcome.ready


async def test_an_apply_that_down_overtakes_brings_nothing_back(house):
    async with house.controlled() as controller, asyncio.TaskGroup() as tasks:
        await house.apply()
        resolve, desk = house.catalog.resolve, controller._rooms.desk

        async def slow(wanted):
            found = await resolve(wanted)
            tasks.create_task(
                finish(controller.down(delete_data=False, deadline=timedelta(seconds=10)))
            )
            await eventually(lambda: desk.down is not None)
            return found

        house.catalog.resolve = slow
        with pytest.raises(ActionError, match="being taken down"):
            await house.apply(FLEET.replace("period: 20", "period: 30"))
        await eventually(lambda: house.ended is False)
        assert house.machine.instances == {}
        assert desk.book.entries == {}


@pytest.mark.parametrize("act", ["stop", "start", "restart", "rotate"])
async def test_what_is_asked_for_and_not_kept_is_not_done(house, act):
    async with house.controlled() as controller:
        await house.apply()
        before, life = len(house.machine.history), house.store.records()["bollinger"]
        house.store.behind = True
        with pytest.raises(UnreachableError, match="could not be kept"):
            await finish(
                getattr(controller, act)("bollinger", wait=True, deadline=timedelta(seconds=5))
            )
        assert house.machine.history[before:] == []
        after = house.store.records()["bollinger"]
        assert (after.stopped_by_hand, after.rotate, after.replace) == (
            life.stopped_by_hand,
            life.rotate,
            life.replace,
        )


async def test_nobody_is_given_rights_or_runs_with_keys_that_are_not_kept(house):
    house.keys_behind = True
    async with house.controlled():
        await house.apply(wait=False)
        await eventually(lambda: house.broker.ensured)
        await house.passes(5)
        assert house.machine.running() == {"broker"}
        assert "keys could not be kept" in (await house.condition("BrokerReady")).message
        house.keys_behind = False
        await eventually(lambda: house.machine.running() == NAMES | {"broker"})
        house.keys_behind = True
        house.machine.end("bollinger", signal=9)
        await house.passes(20)
        assert "bollinger" not in house.machine.running()
        house.keys_behind = False
        await eventually(lambda: house.machine.running() == NAMES | {"broker"})
