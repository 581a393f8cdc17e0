"""Who is looked at when."""

import asyncio
from datetime import timedelta

from orchestrator.controller.agenda import Agenda

RELIST = timedelta(seconds=0.2)


async def looks(agenda: Agenda, *, within: timedelta) -> list[set[str] | None]:
    """Wait and take again and again, as the loop does."""
    clock, found = asyncio.get_running_loop().time, []
    ends = clock() + within.total_seconds()
    while clock() < ends:
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
        found = await looks(agenda, within=5 * RELIST)
        asking.cancel()
    assert len(found) > 20
    assert 4 <= found.count(None) <= 9, "at first, and then each 0.13 to 0.2 s"


async def test_all_are_looked_at_again_however_often_one_is_marked():
    agenda = Agenda()
    async with asyncio.TaskGroup() as tasks:
        marking = tasks.create_task(often(lambda: agenda.mark("x")))
        found = await looks(agenda, within=3 * RELIST)
        marking.cancel()
    assert {"x"} in found
    assert 2 <= found.count(None) <= 6


async def test_nobody_is_looked_at_before_it_is_time():
    agenda = Agenda()
    await agenda.wait(RELIST)
    assert agenda.take() is None, "at the beginning"
    began = asyncio.get_running_loop().time()
    await agenda.wait(RELIST)
    assert agenda.take() is None
    assert asyncio.get_running_loop().time() - began > 0.1
