"""Dead letters, from the broker's count to what a person does with them."""

import asyncio

import msgspec
import pytest

from ntp.contract.launch import LAUNCH_FILE, LaunchFile
from orchestrator.errors import ActionError


async def counted(house, name, count):
    def said(status):
        return status.dead_letters == count

    return await house.until(name, said)


async def test_how_many_there_are_is_counted_when_the_bus_is_heard_and_when_a_plugin_says_so(house):
    house.broker.letters.put("paper", "bollinger")
    async with house.controlled():
        await house.apply()
        status = await counted(house, "paper", 1)
        assert (status.state, status.ready) == ("Running", True)
        assert status.message == (
            "DeadLetters: 1 message that it could not take; `ntpctl dlq list paper`"
        )
        told = {each.type: each for each in status.conditions}["DeadLetters"]
        assert (told.status, told.reason) == (True, "DeadLetters")
        house.broker.letters.put("paper", "momentum")
        house.bus.dead["paper"] = 1
        await counted(house, "paper", 2)
        assert "DeadLetters" in await house.reasons("paper")
        others = await house.status("bollinger")
        assert "DeadLetters" not in {each.type for each in others.conditions}


async def test_what_is_sent_once_more_or_dropped_is_gone_and_said(house):
    letters = house.broker.letters
    first, second = letters.put("paper", "bollinger"), letters.put("paper", "bollinger")
    async with house.controlled() as controller:
        await house.apply()
        await counted(house, "paper", 2)
        done = await controller.letters.retry([first, first])
        assert (done.done, done.failed, letters.again) == ([first], {}, [first])
        assert [each.id for each in await controller.letters.listed(None)] == [second]
        gone = await controller.letters.drop([first, second, "paper/x", "nobody/1"])
        assert gone.done == [second]
        assert sorted(gone.failed) == ["nobody/1", first, "paper/x"]
        assert gone.failed[first].startswith(f"there is no dead letter '{first}'")
        status = await counted(house, "paper", 0)
        assert "DeadLetters" not in {each.type for each in status.conditions}
        assert {"LetterRetried", "LetterDropped"} <= set(await house.reasons("paper"))


async def test_what_would_arrive_nowhere_stays(house):
    letter = house.broker.letters.put("paper", "who_went")
    async with house.controlled() as controller:
        await house.apply()
        done = await controller.letters.retry([letter])
        assert done.done == []
        assert "does not hear who_went any more" in done.failed[letter]
        shown = await controller.letters.one(letter)
        assert shown.refusal == done.failed[letter]
        assert await house.broker.letters.count("paper") == 1


async def test_a_letter_is_shown_without_what_could_harm_a_terminal(house):
    letter = house.broker.letters.put("paper", "bollinger", b'{"a":\n"\x1b[2J\xff"}')
    async with house.controlled() as controller:
        await house.apply()
        shown = await controller.letters.one(letter)
        assert shown.text == '{"a":\n"[2J\ufffd"}'
        with pytest.raises(ActionError) as refused:
            await controller.letters.one("paper/99")
        assert refused.value.reason == "NoSuchLetter"


async def test_nothing_is_asked_of_the_broker_while_nothing_changes(house):
    asked = []
    count, counts = house.broker.letters.count, house.broker.letters.counts

    async def counting(name):
        asked.append(name)
        return await count(name)

    async def counting_all():
        asked.append("all")
        return await counts()

    house.broker.letters.count, house.broker.letters.counts = counting, counting_all
    async with house.controlled() as controller:
        await house.apply()
        letters = controller._rooms.letters
        for _ in range(3):
            beats = {name: beat for name, (beat, _) in house.bus.beats().items()}
            await letters.look(beats, house.bus.listening_since)
            await asyncio.sleep(0)
        assert asked == ["all"]


async def test_a_life_is_told_what_the_last_one_failed_by_and_that_its_letters_are_kept(house):
    def launch(name):
        return msgspec.json.decode(house.machine.launches[name].files[LAUNCH_FILE], type=LaunchFile)

    async with house.controlled():
        await house.apply()
        assert (launch("paper").dead_letters, launch("paper").last_end) == (True, "")
        assert launch("bollinger").dead_letters
        assert not launch("binance_data").dead_letters
        house.machine.end("paper", code=3)
        await house.until("paper", lambda status: status.restarts == 1 and status.ready)
        house.machine.end("paper", code=4)
        await house.until("paper", lambda status: status.restarts == 2 and status.ready)
        assert launch("paper").last_end == "Exited: exit code 4"
