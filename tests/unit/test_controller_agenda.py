"""Who is looked at when."""

import asyncio
from datetime import timedelta

from orchestrator.controller.agenda import Agenda

RELIST = timedelta(seconds=0.2)
WITHIN_S = 60.0


async def looks(agenda: Agenda, *, of_all: int) -> list[set[str] | None]:
    """Wait and take again and again, as the loop does, until all were looked at so often."""
    found = []
    async with asyncio.timeout(WITHIN_S):
        while found.count(None) < of_all:
            await agenda.wait(RELIST)
            found.append(agenda.take())
    return found


async def often(do) -> None:
    while True:
        do()
        await asyncio.sleep(0.005)


async def test_all_are_looked_at_again_however_often_somebody_asks():
    agenda = Agenda()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(often(agenda.wake))
        found = await looks(agenda, of_all=5)
        asking.cancel()
    assert set() in found, "who asks is about nobody in particular"


async def test_all_are_looked_at_again_however_often_one_is_marked():
    agenda = Agenda()
    async with asyncio.TaskGroup() as tasks:
        marking = tasks.create_task(often(lambda: agenda.mark("x")))
        found = await looks(agenda, of_all=3)
        marking.cancel()
    assert {"x"} in found


async def test_nobody_is_looked_at_before_it_is_time():
    agenda = Agenda()
    await agenda.wait(RELIST)
    assert agenda.take() is None, "at the beginning"
    began = asyncio.get_running_loop().time()
    await agenda.wait(RELIST)
    assert agenda.take() is None
    assert asyncio.get_running_loop().time() - began > 0.1


async def test_what_is_marked_before_a_look_begins_wakes_for_no_second_one():
    agenda = Agenda()
    await agenda.wait(RELIST)
    agenda.mark("x")  # while the loop waits for the rest of a burst
    assert agenda.woken
    agenda.take()
    assert not agenda.woken
    agenda.mark("y")  # while it looks
    assert agenda.woken
    await agenda.wait(timedelta(hours=1))
    assert agenda.take() == {"y"}
