"""A bell wakes all who wait, and who was busy meanwhile too."""

import asyncio

from ntp.bell import Bell

LONG = 3_600.0


async def test_it_wakes_everyone_who_waits():
    bell = Bell()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(bell.after(0, LONG)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        bell.ring()


async def test_who_was_busy_while_it_rang_does_not_wait():
    bell = Bell()
    known = bell.rung
    bell.ring()
    async with asyncio.timeout(30):
        await bell.after(known, LONG)


async def test_who_has_heard_it_waits_for_the_next_ring():
    bell = Bell()
    bell.ring()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(bell.after(bell.rung, LONG))
        await asyncio.sleep(0)
        assert not waiting.done()
        bell.ring()


async def test_without_a_ring_it_returns_in_time():
    async with asyncio.timeout(30):
        await Bell().after(0, 0.001)


async def test_who_gave_up_is_not_woken():
    bell = Bell()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(bell.after(0, LONG))
        await asyncio.sleep(0)
        waiting.cancel()
        bell.ring()
    assert waiting.cancelled()
