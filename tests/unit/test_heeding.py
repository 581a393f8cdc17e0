"""A cancellation that comes in the moment of the end: lost by `asyncio.wait_for`, before Python 3.12 alone."""

import asyncio

import pytest

from ntp.heeding import heeded


async def _late(future):
    """As nats-py waits: with what loses it before Python 3.12."""
    return await asyncio.wait_for(future, 10)  # noqa: TID251 (it is what is tested)


@pytest.fixture
async def future():
    return asyncio.get_running_loop().create_future()


async def _ended(future, task):
    await asyncio.sleep(0)  # it waits now
    await asyncio.sleep(0)
    future.set_result("answer")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_is_raised_though_there_is_an_answer(future):
    await _ended(future, asyncio.create_task(heeded(_late(future))))  # noqa: TID251 (cancelled, and awaited)


async def test_it_is_raised_though_the_answer_came_in_a_task_of_its_own(future):
    async with asyncio.TaskGroup() as tasks:
        inner = tasks.create_task(_late(future))
        await _ended(future, tasks.create_task(heeded(inner)))


async def test_an_end_in_time_is_one(future):
    future.set_result("answer")
    assert await heeded(_late(future)) == "answer"


async def test_who_was_cancelled_before_may_still_wait_for_something(future):
    """To clean up."""

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            found.append(await heeded(_late(future)))

    found = []
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        future.set_result("answer")
    assert found == ["answer"]


async def test_the_end_of_a_time_is_one(future):
    """Which is a cancellation, too."""

    async def answered() -> None:
        async with asyncio.timeout(0) as time:
            loop = asyncio.get_running_loop()
            loop.call_at(time.when(), lambda: future.done() or future.set_result("answer"))
            await heeded(_late(future))

    with pytest.raises(TimeoutError):
        await answered()
